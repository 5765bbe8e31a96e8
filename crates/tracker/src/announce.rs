//! What Whimbrel itself has to say: that an endpoint was suspended or activated, that a delivery was given up. Each as
//! a notice for upstream and as an event for the tenant's endpoints that asked for it by name (rule 11).

use serde_json::json;
use tokio_util::sync::CancellationToken;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::message::{PROTOBUF, id_bytes, v1};
use whimbrel_core::port::{Message, Publisher, Route, ToPublish, Unannounced, insist};
use whimbrel_core::tenant::TenantId;
use whimbrel_core::{EndpointId, EventId, Timestamp};

use crate::duty::DutyError;
use crate::settle::Tracker;

const ENDPOINT_SUSPENDED: &str = "endpoint.suspended";
const ENDPOINT_ACTIVATED: &str = "endpoint.activated";
const DELIVERY_EXHAUSTED: &str = "delivery.exhausted";

/// Endpoints announced at a look.
const BATCH_MAX: u32 = 100;

impl Tracker {
    /// Announces what changed, until each endpoint's announced version is its version. Said twice after a crash, it is
    /// one event: the id follows from endpoint and version.
    pub(crate) async fn announce(&self, publisher: &dyn Publisher, stop: &CancellationToken) -> Result<(), DutyError> {
        let changed = self.store.unannounced(BATCH_MAX).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let messages = changed.iter().flat_map(|endpoint| self.announcement(endpoint)).collect();
        insist(publisher, messages, stop.cancelled()).await?;
        let rows: Vec<_> =
            changed.iter().map(|endpoint| (endpoint.endpoint, endpoint.version, endpoint.status.as_str())).collect();
        Ok(self.store.announced(&rows).await?)
    }

    fn announcement(&self, changed: &Unannounced) -> Vec<Message> {
        let same = changed.announced_status == changed.status.as_str();
        let (kind, at, reason) = match (changed.status, changed.activated_at) {
            (EndpointStatus::Suspended { reason, since }, _) if !same => {
                (ENDPOINT_SUSPENDED, since, Some(reason.as_str()))
            }
            (EndpointStatus::Active, Some(at)) if !same => (ENDPOINT_ACTIVATED, at, None),
            _ => return Vec::new(),
        };
        let data = json!({
            "webhook_id": changed.endpoint.to_string(),
            "url": changed.url,
            "reason": reason,
            "at": at.to_string(),
        });
        let event = SystemEvent {
            id: EventId::of_cause(at, &format!("{kind}/{}/{}", changed.endpoint, changed.version)),
            tenant: &changed.tenant,
            kind,
            at,
            data: data.to_string(),
            except: Some(changed.endpoint),
        };
        vec![self.system_event(event), self.notice(kind, changed.endpoint, reason.unwrap_or_default())]
    }

    /// Word of a delivery that was given up; none about one that carried such a word itself.
    pub(crate) fn exhausted(&self, what: &ToPublish) -> Option<Message> {
        let DeliveryState::Failed { at, .. } = what.delivery.state else { return None };
        if what.event_type.is_system() {
            return None;
        }
        let data = json!({
            "delivery_id": what.delivery.id.to_string(),
            "event_id": what.delivery.event.to_string(),
            "event_type": what.event_type.as_str(),
            "webhook_id": what.delivery.endpoint.to_string(),
            "last_attempt": what.delivery.attempt,
            "failed_at": at.to_string(),
        });
        Some(self.system_event(SystemEvent {
            id: EventId::of_cause(at, &format!("{DELIVERY_EXHAUSTED}/{}/{}", what.delivery.id, what.delivery.round)),
            tenant: &what.tenant,
            kind: DELIVERY_EXHAUSTED,
            at,
            data: data.to_string(),
            except: None,
        }))
    }

    fn system_event(&self, event: SystemEvent<'_>) -> Message {
        let wire = v1::Event {
            id: id_bytes(event.id.uuid()),
            tenant: event.tenant.to_string(),
            r#type: event.kind.into(),
            occurred_at_us: event.at.as_micros(),
            data: event.data.into(),
            except_endpoint: event.except.map(|endpoint| id_bytes(endpoint.uuid())).unwrap_or_default(),
            ..v1::Event::default()
        };
        let payload = prost::Message::encode_to_vec(&wire).into();
        self.message(Route::Events(wire.r#type), PROTOBUF.into(), payload)
    }
}

/// An event of Whimbrel's own.
struct SystemEvent<'a> {
    id: EventId,
    tenant: &'a TenantId,
    kind: &'static str,
    at: Timestamp,
    data: String,
    /// Who is not told: the endpoint it is about.
    except: Option<EndpointId>,
}
