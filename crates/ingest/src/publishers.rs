//! Who may publish events for whom (rule 33).

use whimbrel_core::parking::PUBLISHER;
use whimbrel_core::port::Received;
use whimbrel_core::problem::Rejection;

use crate::read::Incoming;

/// Whom the publishers of events may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publishers {
    /// Whoever can publish is trusted for all tenants.
    Trusted,
    /// A publisher speaks for the tenant that its broker user is named for: the broker holds the property `user_id`
    /// against the connection.
    Named {
        /// Users that speak for all tenants: Whimbrel's own.
        trusted: Vec<String>,
    },
}

impl Publishers {
    /// The event, if its publisher may speak for its tenant.
    pub(crate) fn admit(&self, message: &Received, incoming: Incoming) -> Result<Incoming, Rejection> {
        let Self::Named { trusted } = self else { return Ok(incoming) };
        let is_trusted = |user: &str| !user.is_empty() && trusted.iter().any(|known| known == user);
        let mut user = message.user_id.as_str();
        // What was parked and brought back is still its first publisher's word; the redrive's user says whose.
        if is_trusted(user)
            && let Some((_, first)) = message.headers.iter().find(|(name, _)| name == PUBLISHER)
        {
            user = first;
        }
        if is_trusted(user) {
            return Ok(incoming);
        }
        if user.is_empty() {
            let message = "the property `user_id` is missing: it must name the broker user, which names the tenant";
            return Err(Rejection::new("forbidden_tenant", "", message));
        }
        if user != incoming.tenant.as_str() {
            let message = format!("the broker user `{user}` may not publish for the tenant `{}`", incoming.tenant);
            return Err(Rejection::new("forbidden_tenant", "/tenant", message));
        }
        // Ids and addressees are Whimbrel's own to give: with them another tenant's event could be met.
        if incoming.id.is_some() || incoming.only_endpoint.is_some() || incoming.except_endpoint.is_some() {
            let message = "upstream's events have an idempotency key, but no id and no endpoint";
            return Err(Rejection::new("forbidden_id", "/id", message));
        }
        Ok(incoming)
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::message::v1;
    use whimbrel_core::port::Tag;

    use super::*;
    use crate::read::read;

    fn verdict(publishers: &Publishers, user: &str, tenant: &str, id: &[u8]) -> Result<(), &'static str> {
        said(publishers, user, None, tenant, id)
    }

    fn said(
        publishers: &Publishers,
        user: &str,
        first: Option<&str>,
        tenant: &str,
        id: &[u8],
    ) -> Result<(), &'static str> {
        let event = v1::Event {
            tenant: tenant.into(),
            r#type: "order.created".into(),
            data: "{}".into(),
            id: bytes::Bytes::copy_from_slice(id),
            idempotency_key: "one".into(),
            ..v1::Event::default()
        };
        let message = Received {
            tag: Tag { epoch: 1, number: 1 },
            payload: prost::Message::encode_to_vec(&event).into(),
            content_type: "application/x-protobuf".into(),
            message_id: String::new(),
            kind: String::new(),
            timestamp: None,
            user_id: user.into(),
            headers: first.map(|user| (PUBLISHER.to_owned(), user.to_owned())).into_iter().collect(),
            redeliveries: 0,
        };
        let incoming = read(&message).expect("it can be read");
        publishers.admit(&message, incoming).map(drop).map_err(|rejection| rejection.reason)
    }

    #[test]
    fn rule_33_a_broker_user_speaks_for_its_own_tenant() {
        let named = Publishers::Named { trusted: vec!["whimbrel-api".into()] };
        assert_eq!(verdict(&named, "acme", "acme", b""), Ok(()));
        assert_eq!(verdict(&named, "acme", "other", b""), Err("forbidden_tenant"));
        assert_eq!(verdict(&named, "", "acme", b""), Err("forbidden_tenant"));
        assert_eq!(verdict(&named, "acme", "acme", &[7; 16]), Err("forbidden_id"));
        assert_eq!(verdict(&named, "whimbrel-api", "acme", &[7; 16]), Ok(()));
        assert_eq!(verdict(&Publishers::Trusted, "", "acme", &[7; 16]), Ok(()));
    }

    #[test]
    fn rule_33_what_is_brought_back_is_still_its_first_publishers_word() {
        let named = Publishers::Named { trusted: vec!["whimbrel-redrive".into()] };
        let back = |user, first, tenant| said(&named, user, Some(first), tenant, b"");
        assert_eq!(back("whimbrel-redrive", "acme", "acme"), Ok(()));
        assert_eq!(back("whimbrel-redrive", "acme", "other"), Err("forbidden_tenant"));
        assert_eq!(back("whimbrel-redrive", "", "acme"), Err("forbidden_tenant"));
        assert_eq!(back("acme", "other", "other"), Err("forbidden_tenant"), "only a trusted user is believed");
    }
}
