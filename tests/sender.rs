//! The sender's own rules, over the real engines: what came early waits, what cannot be read is parked, and while
//! results cannot be published nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::id::PackId;
use whimbrel_core::message::{Body, Job, PROTOBUF, encode_jobs};
use whimbrel_core::port::{
    Clock, Consumer, DepthRow, Fanout, Lane, Message, Publisher, Queue, QueueError, Route, Source, SystemClock,
};
use whimbrel_core::secret::{Secret, SecretPair, SigningKey};
use whimbrel_core::tier::Tiers;
use whimbrel_core::{DeliveryId, EventId, TenantId};
use whimbrel_testkit::receiver::{Receiver, Step};

use crate::harness::{Kind, Roles, SOON, on_both_engines, publish, subscribe};

async fn roles(kind: Kind) -> Result<Roles> {
    let contracts = Arc::new(ContractSet::built_in());
    let tiers = Arc::new(Tiers::new(contracts.distinct_delays()));
    Roles::open(kind, contracts, tiers).await
}

fn message(route: Route, payload: bytes::Bytes) -> Message {
    let id = PackId::generate(SystemClock.now(), SystemClock.random10());
    Message { route, id, content_type: PROTOBUF.into(), payload }
}

/// A queue that says it is blocked, as a broker under a memory alarm does.
struct Blocked(Arc<dyn Queue>, watch::Receiver<bool>);
struct BlockedPublisher(Arc<dyn Publisher>, watch::Receiver<bool>);

#[async_trait]
impl Queue for Blocked {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(BlockedPublisher(self.0.publisher(), self.1.clone()))
    }

    async fn consume(&self, source: Source, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        self.0.consume(source, prefetch).await
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.0.ping().await
    }

    async fn depths(&self) -> Result<Vec<DepthRow>, QueueError> {
        self.0.depths().await
    }

    async fn close(&self) {}
}

#[async_trait]
impl Publisher for BlockedPublisher {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        self.0.publish(messages).await
    }

    fn blocked(&self) -> watch::Receiver<bool> {
        self.1.clone()
    }
}

on_both_engines! {
    async fn rule_16_while_the_broker_is_blocked_no_post_is_started(kind: Kind) {
        let receiver = Receiver::start().await?;
        let roles = roles(kind).await?;
        subscribe(&roles, "generic", receiver.url("/"), None).await?;
        let stop = CancellationToken::new();
        let (block, blocked) = watch::channel(true);
        roles.start_ingest(&stop);
        roles.start_sender(Arc::new(Blocked(roles.queue.clone(), blocked)), &stop);
        publish(&*roles.queue).await?;
        assert!(receiver.wait_for(1, Duration::from_secs(3)).await.is_err(), "a result could not be recorded");
        block.send(false)?;
        receiver.wait_for(1, SOON).await?;
        stop.cancel();
    }

    async fn rule_23_a_job_that_came_early_waits_and_is_never_early(kind: Kind) {
        let receiver = Receiver::start().await?;
        let roles = roles(kind).await?;
        let endpoint = subscribe(&roles, "generic", receiver.url("/"), None).await?;
        let (at, random) = (SystemClock.now(), SystemClock.random10());
        let event = Event {
            id: EventId::generate(at, random),
            tenant: TenantId::default(),
            event_type: "order.created".parse()?,
            occurred_at: at,
            body: "{}".into(),
            data_range: 0..2,
            trace: TraceContext::default(),
            only_endpoint: None,
        };
        let delivery = Delivery::new(event.id, endpoint, DeliveryState::Pending);
        let not_before = at + Duration::from_millis(2500);
        let body = Body {
            event: event.id,
            event_type: event.event_type.to_string(),
            occurred_at: at,
            bytes: event.body.clone(),
            trace: TraceContext::default(),
        };
        let job = Job {
            delivery: delivery.id,
            endpoint,
            body: Arc::new(body),
            round: 1,
            attempt: 1,
            contract: "generic".parse()?,
            endpoint_version: 0,
            not_before: Some(not_before),
            hops: 0,
            jitter: Duration::ZERO,
            trace: TraceContext::default(),
        };
        roles.store.accept(&[Fanout { event, deliveries: vec![delivery], sweep_at: not_before }]).await?;
        let packs = encode_jobs(&[job]).into_iter().map(|payload| message(Route::Jobs(Lane::Slow), payload)).collect();
        roles.queue.publisher().publish(packs).await?;
        let stop = CancellationToken::new();
        roles.start_sender(roles.queue.clone(), &stop);
        let request = receiver.wait_for(1, SOON).await?.remove(0);
        let arrived = i64::try_from(request.unix.as_micros())?;
        let late = arrived - not_before.as_micros();
        assert!((0..1_500_000).contains(&late), "{late} µs after its time");
        stop.cancel();
    }

    async fn rule_19_a_pack_that_cannot_be_read_is_parked_and_the_next_is_sent(kind: Kind) {
        let receiver = Receiver::start().await?;
        let roles = roles(kind).await?;
        subscribe(&roles, "generic", receiver.url("/"), None).await?;
        let stop = CancellationToken::new();
        let poison = message(Route::Jobs(Lane::Live), bytes::Bytes::from_static(b"\xff\xff\xff"));
        roles.queue.publisher().publish(vec![poison]).await?;
        roles.start_ingest(&stop);
        roles.start_sender(roles.queue.clone(), &stop);
        publish(&*roles.queue).await?;
        receiver.wait_for(1, SOON).await?;
        let mut parked = roles.queue.consume(Source::Parking, 10).await?;
        let found = tokio::time::timeout(SOON, parked.receive(1)).await??.remove(0);
        assert_eq!(found.payload.as_ref(), b"\xff\xff\xff");
        stop.cancel();
    }

    async fn rule_17_an_endpoints_cap_holds_under_load(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(200).after(Duration::from_millis(20))]);
        let roles = roles(kind).await?;
        subscribe(&roles, "generic", receiver.url("/"), None).await?;
        let stop = CancellationToken::new();
        roles.start_ingest(&stop);
        roles.start_sender_with(roles.queue.clone(), &stop, 4);
        for _ in 0..100 {
            publish(&*roles.queue).await?;
        }
        receiver.wait_for(100, SOON).await?;
        assert!(receiver.in_flight_max() <= 4, "{}", receiver.in_flight_max());
        stop.cancel();
    }
}

/// An Ed25519 key beside the secret: both signatures travel, and Node's and Python's cryptography accept `v1a`.
#[tokio::test(flavor = "multi_thread")]
async fn ed25519_signatures_are_accepted_by_independent_cryptography() -> Result<()> {
    let receiver = Receiver::start().await?;
    let roles = roles(Kind::Embedded).await?;
    let secrets = SecretPair {
        signing_key: Some(SigningKey::generate(&mut |bytes| SystemClock.fill(bytes))),
        ..SecretPair::new(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    };
    let public_key = secrets.public_key_text();
    subscribe(&roles, "standard", receiver.url("/"), Some(secrets)).await?;
    let stop = CancellationToken::new();
    roles.start_ingest(&stop);
    roles.start_sender(roles.queue.clone(), &stop);
    publish(&*roles.queue).await?;
    let request = receiver.wait_for(1, SOON).await?.remove(0);
    let case = |name: &str, body: &[u8], expect: &str| {
        serde_json::json!({
            "name": name, "contract": "standard", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "previous_secret": null, "public_key": public_key, "headers": request.headers,
            "body_base64": data_encoding::BASE64.encode(body), "expect": expect,
        })
    };
    let verifiers =
        crate::wire::verify("v1a", &[case("genuine", &request.body, "accept"), case("tampered", b"{}", "refuse")])?;
    assert!(verifiers.contains("node/ed25519") && verifiers.contains("python/ed25519"), "{verifiers:?}");
    stop.cancel();
    Ok(())
}

/// Rule 31: an endpoint whose secret is sealed under an unknown key waits; the others are served, from the same batch.
#[tokio::test(flavor = "multi_thread")]
async fn rule_31_an_unknown_key_holds_one_endpoint_and_fails_none() -> Result<()> {
    let receiver = Receiver::start().await?;
    let before = roles(Kind::Embedded).await?;
    let sealed = subscribe(&before, "generic", receiver.url("/sealed"), None).await?;
    let roles = before.with_another_ring().await?;
    subscribe(&roles, "generic", receiver.url("/open"), None).await?;
    let stop = CancellationToken::new();
    roles.start_ingest(&stop);
    let event = publish(&*roles.queue).await?;
    roles.start_sender(roles.queue.clone(), &stop);
    let request = receiver.wait_for(1, SOON).await?.remove(0);
    assert_eq!(request.path(), "/open");
    whimbrel_testkit::wait::until("the sealed one waits in a tier", SOON, || async {
        let rows = roles.queue.depths().await.ok()?;
        rows.iter().any(|row| row.name == "delay.10s" && row.ready == 1).then_some(())
    })
    .await?;
    let (row, attempts) =
        roles.store.delivery(&TenantId::default(), DeliveryId::of(event, sealed)).await?.expect("it was stored");
    assert_eq!((row.delivery.state, attempts.len()), (DeliveryState::Pending, 0));
    stop.cancel();
    Ok(())
}
