//! Where the broker is, with the password kept out of sight.

use std::fmt;

use lapin::uri::AMQPUri;
use whimbrel_core::port::QueueError;

/// Seconds between heartbeats unless the URL says otherwise: a silent broker is noticed within two of them.
const HEARTBEAT_S: u16 = 20;

/// A parsed `amqp://` or `amqps://` URL. Shown as `host:port/vhost`.
#[derive(Clone)]
pub(crate) struct Address(AMQPUri);

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, QueueError> {
        // The parser's own words would repeat the URL, and with it the password.
        let unreadable = || "amqp_url is not of the form amqp://user:password@host:port/vhost".to_owned();
        let mut uri: AMQPUri = url.parse().map_err(|_| QueueError::Fatal(unreadable()))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        Ok(Self(uri))
    }

    pub(crate) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    pub(crate) fn user(&self) -> &str {
        &self.0.authority.userinfo.username
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { authority, vhost, .. } = &self.0;
        write!(f, "{}:{}/{vhost}", authority.host, authority.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_without_credentials() {
        let address = Address::parse("amqp://user:s3cret@broker:5673/hooks").expect("a URL");
        assert_eq!(format!("{address} {address:?}"), "broker:5673/hooks broker:5673/hooks");
        assert_eq!(address.uri().query.heartbeat, Some(20));
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        let error = Address::parse("user:s3cret@broker").expect_err("no scheme").to_string();
        assert!(!error.contains("s3cret") && error.contains("amqp_url"), "{error}");
    }
}
