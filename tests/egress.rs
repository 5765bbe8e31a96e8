//! Where deliveries may go, and what odd receivers do to the log.

use anyhow::Result;
use serde_json::Value;
use whimbrel_testkit::receiver::{Receiver, Step};

use crate::harness::{System, on_both_engines};

/// The one attempt of an event to `url`, under a contract.
async fn attempt(system: &System, contract: &str, url: &str, event_type: &str, status: &str) -> Result<Value> {
    let tenant =
        format!("t-{}", url.bytes().fold(contract.len() as u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte)));
    let api = system.api.create_tenant(&tenant, contract).await?;
    api.create_webhook(url, &["*"]).await?;
    let event = api.publish(event_type, "{}").await?;
    let delivery = api.settled(&event, status).await?;
    Ok(delivery["attempts"][0].clone())
}

fn error(attempt: &Value) -> &str {
    attempt["error"].as_str().unwrap_or_default()
}

on_both_engines! {
    /// Errors are told apart, and a receiver's tricks change nothing.
    async fn errors_are_classified(kind: Kind) {
        let receiver = Receiver::start().await?;
        let tls = Receiver::start_tls().await?;
        receiver.on("/close", [Step::CloseConnection]);
        receiver.on("/redirect", [Step::status(302).header("Location", &receiver.url("/target"))]);
        let system = System::start(kind).await?;
        let of = async |url: String| attempt(&system, "generic", &url, "order.created", "retrying").await;
        let closed = of(receiver.url("/close")).await?;
        assert!(error(&closed).starts_with("protocol:"), "{closed}");
        let refused = of("http://127.0.0.1:9/".into()).await?;
        assert!(error(&refused).starts_with("connect:"), "{refused}");
        let unknown = of("https://no-such-host.invalid/".into()).await?;
        assert!(error(&unknown).starts_with("dns:"), "{unknown}");
        let untrusted = of(tls.url("/")).await?;
        assert!(error(&untrusted).starts_with("tls:"), "{untrusted}");
        let redirect = of(receiver.url("/redirect")).await?;
        assert_eq!(redirect["status_code"], 302);
        assert!(receiver.requests().iter().all(|request| request.path() != "/target"), "a redirect is not followed");
    }

    /// Eightbit's five seconds cover everything up to the status line.
    async fn a_hanging_receiver_times_out_at_the_contracts_limit(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::Hang]);
        let system = System::start(kind).await?;
        let hung = attempt(&system, "eightbit", &receiver.url("/"), "message.received", "retrying").await?;
        assert!(error(&hung).starts_with("timeout:"), "{hung}");
        let duration = hung["duration_ms"].as_u64().unwrap_or_default();
        assert!((5000..6500).contains(&duration), "{duration} ms");
    }

    /// Rule 5: a body that never ends does not undo a 200.
    async fn rule_05_success_is_on_the_status_line(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/drip", [Step::DripBody { status: 200, every: std::time::Duration::from_millis(100) }]);
        receiver.on("/huge", [Step::HugeBody { status: 200, bytes: 50 * 1024 * 1024 }]);
        let system = System::start(kind).await?;
        let drip = attempt(&system, "eightbit", &receiver.url("/drip"), "message.received", "success").await?;
        assert_eq!(drip["status_code"], 200);
        let huge = attempt(&system, "generic", &receiver.url("/huge"), "order.created", "success").await?;
        assert_eq!(huge["response_body"].as_str().map(str::len), Some(4096));
    }

    /// Without the allowance, private addresses are refused whatever their name, and nothing is sent.
    async fn private_addresses_are_refused(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::with(kind, &[("WHIMBREL_EGRESS__ALLOW_NETWORKS", "10.99.0.0/16")]).await?;
        let port = receiver.address().port();
        for url in [format!("http://localhost:{port}/"), format!("https://localhost:{port}/")] {
            let refused = attempt(&system, "generic", &url, "order.created", "failed").await?;
            assert!(error(&refused).starts_with("blocked_address:"), "{refused}");
        }
        let insecure = attempt(&system, "standard", &format!("http://localhost:{port}/x"), "order.created", "failed").await;
        assert!(insecure.as_ref().map_or(true, |attempt| error(attempt).starts_with("insecure_url:") || error(attempt).starts_with("blocked_address:")), "{insecure:?}");
        assert_eq!(receiver.count(), 0);
    }
}
