use std::sync::Arc;

use whimbrel_core::contract::ContractSet;
use whimbrel_core::endpoint::CustomHeaders;
use whimbrel_core::port::SystemClock;
use whimbrel_testkit::receiver::{Receiver, Step};

use super::*;
use crate::EgressPolicy;
use crate::target::Prepared;
use crate::testing::{endpoint, job};

struct World {
    receiver: Receiver,
    client: Client,
    target: Target,
}

/// A receiver, and an endpoint there with a header and a deadline of its own.
async fn world(timeout: Duration) -> World {
    let receiver = Receiver::start().await.expect("a receiver");
    let networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let policy = Arc::new(EgressPolicy { allow_http: true, allow_networks: networks, proxy: None });
    let contract = ContractSet::built_in().get(&"generic".parse().expect("a name")).expect("built in").clone();
    let headers = [("Authorization", "Bearer t0ken"), ("content-length", "1"), ("Host", "other.example")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut endpoint = endpoint(&contract, &receiver.url("/hook"), CustomHeaders(headers));
    endpoint.options.timeout = Some(timeout);
    let target = Target::new(&endpoint, Arc::new(Prepared::new(contract)), &policy);
    World { receiver, client: Client::new(1, &policy).expect("a client"), target }
}

impl World {
    async fn post(&self) -> Attempted {
        post(&self.client, &SystemClock, &self.target, &job(0), None).await
    }
}

#[tokio::test]
async fn a_request_carries_the_custom_headers_and_https_own_win() {
    let world = world(Duration::from_secs(5)).await;
    assert!(world.post().await.is_success());
    let requests = world.receiver.requests();
    let request = requests.first().expect("it came");
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(&request.body[..], b"{}", "with its own length");
    assert_eq!(request.header("host"), Some(world.receiver.address().to_string().as_str()));
    assert_eq!(request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).count(), 1);
}

#[tokio::test]
async fn the_deadline_is_the_smaller_of_the_endpoints_and_the_contracts() {
    let hasty = world(Duration::from_millis(50)).await;
    hasty.receiver.otherwise([Step::Hang]);
    let Reply::Error { kind, message } = hasty.post().await.reply else { panic!("an answer") };
    assert_eq!((kind, message.as_str()), (ErrorKind::Timeout, "no status line within 50ms"));
    let patient = world(Duration::from_hours(1)).await.target;
    assert_eq!(patient.timeout, patient.prepared.contract.timeout());
}

#[tokio::test]
async fn retry_after_reaches_the_outcome_for_every_status() {
    let world = world(Duration::from_secs(5)).await;
    for status in [200, 301, 400, 410, 429, 500, 502, 503, 504] {
        world.receiver.otherwise([Step::status(status).header("Retry-After", "17")]);
        let Reply::Response { status: answered, retry_after, .. } = world.post().await.reply else {
            panic!("{status}")
        };
        assert_eq!((answered, retry_after), (status, Some(Duration::from_secs(17))));
    }
    let date = httpdate::fmt_http_date(time(60));
    world.receiver.otherwise([Step::status(429).header("Retry-After", &date)]);
    let Reply::Response { retry_after: Some(asked), .. } = world.post().await.reply else { panic!("it asks") };
    assert!((Duration::from_secs(30)..=Duration::from_mins(1)).contains(&asked), "{asked:?}");
}

/// So many seconds from now, in whole ones.
fn time(ahead: u64) -> std::time::SystemTime {
    let secs = u64::try_from(SystemClock.now().as_secs()).expect("after 1970");
    std::time::UNIX_EPOCH + Duration::from_secs(secs + ahead)
}
