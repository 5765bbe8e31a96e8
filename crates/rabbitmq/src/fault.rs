//! What lapin's errors mean: whether waiting may heal them, and what to tell people.

use lapin::ErrorKind;
use whimbrel_core::port::QueueError;

use crate::address::Address;

/// How often in a row a lasting fault must come before it is believed: a broker that starts may refuse what
/// it grants a moment later.
const STRIKES_MAX: u32 = 3;

/// Something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The same may work later.
    Passing(String),
    /// Only people can mend it.
    Lasting(String),
}

impl Fault {
    /// What an error of lapin's means at this address.
    pub(crate) fn of(error: &lapin::Error, address: &Address) -> Self {
        let ErrorKind::ProtocolError(protocol) = error.kind() else {
            return Self::Passing(format!("{error} ({address})"));
        };
        let (code, text) = (protocol.get_id(), protocol.get_message().as_str());
        match code {
            403 if text.contains("Login was refused") || !text.contains("access to") => Self::Lasting(format!(
                "{address} refuses user `{}`: wrong name or password, or the user may not log in from here",
                address.user()
            )),
            403 => Self::Lasting(format!(
                "{address} denies user `{}` {}: see `whimbrel topology print` for the permissions it needs",
                address.user(),
                subject(text).unwrap_or_else(|| "what it asked for".to_owned())
            )),
            404 if text.contains("no queue") || text.contains("no exchange") => Self::Lasting(format!(
                "{} does not exist at {address}: run `whimbrel topology apply`",
                subject(text).unwrap_or_else(|| text.to_owned())
            )),
            406 if text.contains("inequivalent") => Self::Lasting(format!(
                "{} exists at {address} with other arguments: run `whimbrel topology check`",
                subject(text).unwrap_or_else(|| text.to_owned())
            )),
            530 if text.contains("not found") => Self::Lasting(format!(
                "the vhost of {address} does not exist: create it, then run `whimbrel topology apply`"
            )),
            530 if text.contains("refused") => Self::Lasting(format!(
                "{address} denies user `{}` the vhost: give it permissions there",
                address.user()
            )),
            _ => Self::Passing(format!("{error} ({address})")),
        }
    }

    pub(crate) fn sentence(&self) -> &str {
        match self {
            Self::Passing(sentence) | Self::Lasting(sentence) => sentence,
        }
    }
}

/// `queue NAME` or `exchange NAME`, as the broker's sentence has it.
fn subject(text: &str) -> Option<String> {
    let (kind, rest) = ["queue '", "exchange '"].into_iter().find_map(|kind| Some((kind, text.split_once(kind)?.1)))?;
    Some(format!("{}{}", kind.trim_end_matches('\''), rest.split_once('\'')?.0))
}

/// Counts the same lasting fault in a row.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    sentence: String,
    count: u32,
}

impl Strikes {
    /// What to tell the caller: `Fatal` once a lasting fault has come three times in a row.
    pub(crate) fn count(&mut self, fault: &Fault) -> QueueError {
        let Fault::Lasting(sentence) = fault else { return QueueError::Away(fault.sentence().to_owned()) };
        if *sentence != self.sentence {
            *self = Self { sentence: sentence.clone(), count: 0 };
        }
        self.count += 1;
        if self.count < STRIKES_MAX { QueueError::Away(sentence.clone()) } else { QueueError::Fatal(sentence.clone()) }
    }

    /// It worked.
    pub(crate) fn forget(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind};

    use super::*;

    fn fault(code: u16, text: &str) -> Fault {
        let kind = AMQPErrorKind::from_id(code).expect("a code of AMQP's");
        let error = lapin::Error::from(ErrorKind::ProtocolError(AMQPError::new(kind, text.into())));
        Fault::of(&error, &Address::parse("amqp://ingest:s3cret@broker:5672/hooks").expect("a URL"))
    }

    #[test]
    fn sentences_say_what_to_do() {
        let missing = fault(404, "NOT_FOUND - no queue 'whimbrel.jobs.live.v1' in vhost 'hooks'");
        let sentence = "queue whimbrel.jobs.live.v1 does not exist at broker:5672/hooks: run `whimbrel topology apply`";
        assert_eq!(missing, Fault::Lasting(sentence.to_owned()));
        let denied = fault(
            403,
            "ACCESS_REFUSED - access to exchange 'whimbrel.jobs' in vhost 'hooks' refused for user 'ingest'",
        );
        assert!(denied.sentence().contains("denies user `ingest` exchange whimbrel.jobs:"), "{denied:?}");
        let login = fault(403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.");
        assert!(matches!(&login, Fault::Lasting(sentence) if sentence.contains("wrong name or password")));
    }

    #[test]
    fn a_queue_without_its_process_comes_back() {
        let text = "NOT_FOUND - queue 'q' in vhost 'hooks' process is stopped by supervisor";
        assert!(matches!(fault(404, text), Fault::Passing(_)));
        assert!(matches!(fault(320, "CONNECTION_FORCED - broker forced connection closure"), Fault::Passing(_)));
        assert!(matches!(fault(541, "INTERNAL_ERROR - vhost 'hooks' is down"), Fault::Passing(_)));
    }

    #[test]
    fn only_the_third_strike_in_a_row_is_fatal() {
        let (one, other) = (Fault::Lasting("one".to_owned()), Fault::Lasting("other".to_owned()));
        let mut strikes = Strikes::default();
        let faults = [&one, &one, &other, &one, &one, &one];
        let fatal: Vec<_> = faults.map(|fault| matches!(strikes.count(fault), QueueError::Fatal(_))).into();
        assert_eq!(fatal, [false, false, false, false, false, true]);
    }
}
