//! The receiver against the signer, over real HTTP, under every built-in contract.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use whimbrel_core::contract::{Contract, ContractSet};
use whimbrel_core::port::{Clock, SystemClock};
use whimbrel_core::render::render;
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::signing::{Signed, Signer};
use whimbrel_core::{EventId, Timestamp};

use super::*;
use crate::cmd::shared::{Verifier, samples};

/// A contract's sender, as far as its receivers can tell.
struct Sender {
    signer: Signer,
    event_id: String,
    event_type: String,
    body: bytes::Bytes,
    url: String,
}

impl Sender {
    async fn post(&self, attempt_at: Timestamp, body: &[u8]) -> u16 {
        let (event_id, event_type, event_at) = (self.event_id.as_str(), self.event_type.as_str(), SystemClock.now());
        let headers = self.signer.headers(&Signed { event_id, event_type, event_at, attempt_at, body: &self.body });
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
        let request =
            headers.iter().fold(client.post(&self.url), |request, (name, value)| request.header(*name, value.as_ref()));
        request.body(body.to_vec()).send().await.expect("an answer").status().as_u16()
    }
}

async fn pair(
    contracts: &ContractSet,
    contract: &Arc<Contract>,
    answers: Answers,
) -> (Sender, Receiver, mpsc::Receiver<Seen>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let secret = Secret::generate(contract, &mut |bytes| SystemClock.fill(bytes));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (lines, seen) = mpsc::channel(16);
    let verifier = Verifier::new(contract.clone(), secret.clone());
    let receiver = Receiver::start(listener, verifier, answers, lines).expect("a receiver");
    let event_id = EventId::generate(SystemClock.now(), SystemClock.random10()).to_string();
    let (event_type, data) = samples(contracts, contract)[0];
    let rendered =
        render(contract, &event_id, event_type, SystemClock.now(), &bytes::Bytes::copy_from_slice(data.as_bytes()))
            .expect("a body");
    let signer = Signer::new(contract, &SecretPair::new(secret)).expect("a signer");
    let url = format!("http://{}/webhooks", receiver.address());
    (Sender { signer, event_id, event_type: event_type.to_owned(), body: rendered.body, url }, receiver, seen)
}

#[tokio::test]
async fn what_is_signed_under_a_contract_is_verified_and_told_in_full() {
    let contracts = ContractSet::built_in();
    for contract in &contracts {
        let (sender, receiver, mut lines) = pair(&contracts, contract, Answers::in_order(vec![503, 200])).await;
        for (attempt, status) in [(1, 503), (2, 200), (3, 200)] {
            assert_eq!(sender.post(SystemClock.now(), &sender.body).await, status, "{}", contract.name());
            let seen = lines.recv().await.expect("a line");
            assert_eq!(seen.refusal, None, "{}", contract.name());
            assert_eq!(seen.event_id.as_deref(), Some(sender.event_id.as_str()), "{}", contract.name());
            assert_eq!(seen.event_type.as_deref(), Some(sender.event_type.as_str()), "{}", contract.name());
            assert_eq!((seen.attempt, seen.status, seen.path.as_str()), (attempt, status, "/webhooks"));
            assert!(seen.after().is_some_and(|after| after < Duration::from_mins(1)));
        }
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_changed_body_is_refused_under_every_contract() {
    let contracts = ContractSet::built_in();
    for contract in &contracts {
        let (sender, _receiver, mut lines) = pair(&contracts, contract, Answers::in_order(vec![200])).await;
        let mut body = sender.body.to_vec();
        body.push(b' ');
        sender.post(SystemClock.now(), &body).await;
        let reason = lines.recv().await.expect("a line").refusal.expect("not verified");
        assert!(reason.contains("matches"), "{}: {reason}", contract.name());
    }
}

#[tokio::test]
async fn an_old_timestamp_is_refused_where_the_contract_signs_one() {
    let contracts = ContractSet::built_in();
    for contract in &contracts {
        let (sender, _receiver, mut lines) = pair(&contracts, contract, Answers::in_order(vec![200])).await;
        sender.post(SystemClock.now().before(Duration::from_mins(6)), &sender.body).await;
        let seen = lines.recv().await.expect("a line");
        assert_eq!(seen.is_verified(), !contract.signature().covers_timestamp(), "{}", contract.name());
    }
}

#[tokio::test]
async fn only_posts_are_taken() {
    let contracts = ContractSet::built_in();
    let contract = contracts.iter().next().expect("a contract");
    let (sender, _receiver, mut lines) = pair(&contracts, contract, Answers::in_order(vec![200])).await;
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
    assert_eq!(client.get(&sender.url).send().await.expect("an answer").status().as_u16(), 405);
    assert!(lines.try_recv().is_err(), "not counted");
}

#[test]
fn a_script_and_a_status_exclude_each_other() {
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ListenArgs,
    }

    let parse =
        |words: &[&str]| Line::try_parse_from([&["listen", "--contract=generic", "--secret=s"], words].concat());
    assert_eq!(parse(&["--script", "500,503,200"]).expect("a script").args.script, [500, 503, 200]);
    assert_eq!(parse(&["--delay=2s"]).expect("a delay").args.delay, Duration::from_secs(2));
    assert!(parse(&["--script=500", "--status=200"]).is_err());
    assert!(parse(&["--script=500,99"]).is_err());
    assert!(Line::try_parse_from(["listen", "--contract=generic"]).is_err(), "something to verify with is needed");
}
