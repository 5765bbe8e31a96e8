use std::sync::Arc;

use super::*;

fn job(number: u8, event: u8, body_bytes: usize) -> Job {
    let event = EventId::generate(Timestamp::from_secs(1), [event; 10]);
    let endpoint = EndpointId::generate(Timestamp::from_secs(1), [number; 10]);
    let body = Body {
        event,
        event_type: "order.created".into(),
        occurred_at: Timestamp::from_secs(5),
        bytes: Bytes::from(vec![b'x'; body_bytes]),
        trace: TraceContext { traceparent: "00-1-2-01".into(), tracestate: String::new() },
    };
    Job {
        delivery: DeliveryId::of(event, endpoint),
        endpoint,
        body: Arc::new(body),
        round: 1,
        attempt: u32::from(number),
        contract: "generic".parse().expect("a name"),
        endpoint_version: 3,
        not_before: Some(Timestamp::from_secs(9)),
        hops: 1,
        jitter: Duration::from_millis(7),
        trace: TraceContext::default(),
    }
}

#[test]
fn rule_14_packs_are_bounded_and_a_shared_body_travels_once() {
    let jobs: Vec<Job> = (0..40).map(|number| job(number, 1, 100_000)).collect();
    let packs = encode_jobs(&jobs);
    assert_eq!(packs.len(), 3);
    assert!(packs.iter().all(|pack| pack.len() < 110_000), "one body a pack");
    let back: Vec<Job> = packs.into_iter().flat_map(|pack| decode_jobs(pack).expect("a pack")).collect();
    assert_eq!(back, jobs);
}

#[test]
fn rule_14_a_single_larger_job_travels_alone() {
    let packs = encode_jobs(&[job(1, 1, 10), job(2, 2, PACK_BYTES_MAX + 1), job(3, 3, 10)]);
    assert_eq!(packs.len(), 3);
}

#[test]
fn what_is_no_pack_is_refused_with_words() {
    let error = decode_jobs(Bytes::from_static(b"\xff\xff\xff")).expect_err("no protobuf");
    assert!(error.to_string().starts_with("not a Jobs message"), "{error}");
    let pack = v1::Jobs { bodies: vec![], jobs: vec![v1::Job::default()] };
    assert_eq!(decode_jobs(pack.encode_to_vec().into()), Err(field("Job", "delivery_id")));
}

#[test]
fn outcomes_come_back_as_they_went() {
    let job = job(1, 1, 1);
    let outcome = |fate| Outcome {
        delivery: job.delivery,
        event: job.body.event,
        endpoint: job.endpoint,
        round: 2,
        attempt: 7,
        contract: job.contract.clone(),
        trace: TraceContext::default(),
        fate,
    };
    let attempted = |reply| {
        Fate::Attempted(Attempted {
            execution: ExecutionId::generate(Timestamp::from_secs(3), [5; 10]),
            started_at: Timestamp::from_secs(3),
            duration: Duration::from_millis(12),
            reply,
        })
    };
    let outcomes = vec![
        outcome(Fate::NotActive),
        outcome(Fate::Deferred),
        outcome(attempted(Reply::Error { kind: ErrorKind::Tls, message: "bad certificate".into() })),
        outcome(attempted(Reply::Response {
            status: 503,
            body: Bytes::from_static(b"\x00\xff"),
            retry_after: Some(Duration::from_secs(4)),
        })),
    ];
    let packs = encode_outcomes(&outcomes);
    assert_eq!(packs.len(), 1);
    assert_eq!(decode_outcomes(packs[0].clone()).expect("a pack"), outcomes);
}
