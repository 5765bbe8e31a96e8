use whimbrel_core::delivery::{FailReason, WaitReason};

use super::*;

const AT: Timestamp = Timestamp::from_micros(1_700_000_000_123_456);

fn delivery(event: &Event, place: u8, state: DeliveryState) -> LoggedDelivery {
    let endpoint = EndpointId::generate(AT, [place; 10]);
    let delivery = Delivery { round: 2, first_attempt: 3, attempt: 4, ..Delivery::new(event.id, endpoint, state) };
    let attempt = Attempt {
        delivery: delivery.id,
        number: 3,
        round: 2,
        execution: ExecutionId::generate(AT, [place; 10]),
        started_at: AT,
        duration_ms: 17,
        status_code: Some(500),
        error: Some("status: 500".into()),
        response_body: Bytes::from_static(b"\x00\xffnot text"),
    };
    let row = DeliveryRow {
        delivery,
        tenant: event.tenant.clone(),
        event_type: event.event_type.clone(),
        attempts: 1,
        status_code: Some(500),
        error: Some("status: 500".into()),
    };
    LoggedDelivery { row, attempts: vec![attempt] }
}

fn logged() -> LoggedEvent {
    let event = Event {
        id: EventId::generate(AT, [7; 10]),
        tenant: TenantId::default(),
        event_type: "order.created".parse().expect("a type"),
        occurred_at: AT,
        body: Bytes::from_static(b"{\"data\":{\"n\":1.0}}\xff"),
        data_range: 8..17,
        trace: TraceContext { traceparent: "00-1-1-01".into(), tracestate: String::new() },
        only_endpoint: None,
    };
    let states = [
        DeliveryState::Pending,
        DeliveryState::Retrying { at: AT },
        DeliveryState::Waiting(WaitReason::Manual),
        DeliveryState::Waiting(WaitReason::Deferred),
        DeliveryState::Held,
        DeliveryState::Succeeded { at: AT },
        DeliveryState::Failed { reason: FailReason::Expired, at: AT },
        DeliveryState::Cancelled,
    ];
    let mut deliveries: Vec<_> = (1..).zip(states).map(|(place, state)| delivery(&event, place, state)).collect();
    deliveries.sort_by_key(|delivery| delivery.row.delivery.id);
    LoggedEvent { event, deliveries }
}

#[test]
fn an_event_in_every_state_comes_back_as_it_was() {
    let text = serde_json::to_string(&EventLine::from(logged())).expect("JSON");
    assert!(!text.contains('\n'));
    let line: EventLine = serde_json::from_str(&text).expect("a line");
    assert_eq!(LoggedEvent::try_from(line).expect("an event"), logged());
}

#[test]
fn what_no_state_gives_and_data_outside_the_body_are_refused() {
    let line = || EventLine::from(logged());
    let mut unknown = line();
    unknown.deliveries[0].state = "lost".into();
    assert!(LoggedEvent::try_from(unknown).expect_err("no state").to_string().contains("lost"));
    let outside = EventLine { data: [8, 1000], ..line() };
    assert!(LoggedEvent::try_from(outside).expect_err("too far").to_string().contains("8 to 1000"));
}
