//! Deliveries that are held.

use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::event::TraceContext;
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::{Decision, DeliveryChange, Facts};
use whimbrel_core::{DeliveryId, EndpointId};

use super::Api;

impl Api {
    /// A delivery to this endpoint that was found not active, as the tracker records it.
    pub(crate) async fn held(&self, endpoint: &str) -> DeliveryId {
        let delivery = self.delivered(endpoint, &[]).await;
        let endpoint: EndpointId = endpoint.parse().unwrap();
        let position = self.state.store.positions(&[delivery]).await.unwrap().remove(0);
        let found = Outcome {
            delivery,
            event: position.event,
            endpoint,
            round: 1,
            attempt: 1,
            contract: "generic".parse().unwrap(),
            trace: TraceContext::default(),
            fate: Fate::NotActive,
        };
        let decide = |_: &Facts| {
            let delivery = Delivery { state: DeliveryState::Held, ..position };
            let change = DeliveryChange { delivery, attempts_added: 0, last: None, sweep_at: None };
            Decision { deliveries: vec![change], ..Decision::default() }
        };
        self.state.store.settle(std::slice::from_ref(&found), &decide).await.unwrap();
        delivery
    }
}
