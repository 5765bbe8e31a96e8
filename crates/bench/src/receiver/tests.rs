use data_encoding::BASE64;
use ring::hmac;

use super::*;
use crate::load::{Connection, Signer};

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"a secret of the tests")
}

fn plan(behaviour: Behaviour, events: usize) -> Plan {
    let endpoints = vec![Endpoint { behaviour, key: key() }];
    Plan { endpoints, events, ..Plan::default() }
}

async fn post(receiver: &Receiver, id: &str, body: &str, key: &hmac::Key) -> Result<u16> {
    let mut connection = Connection::open(&receiver.url(0, Behaviour::Answer)).await?;
    let request = Signer::new(&receiver.url(0, Behaviour::Answer), key.clone())?.request(id, body.to_owned().into());
    Ok(connection.send(request).await?.0.as_u16())
}

#[tokio::test]
async fn what_comes_is_verified_counted_and_timed() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.expect(plan(Behaviour::Answer, 2));
    let other = hmac::Key::new(hmac::HMAC_SHA256, b"another secret");
    assert_eq!(post(&receiver, "evt_a", r#"{"n":0}"#, &key()).await?, 200);
    assert!(!receiver.complete(Duration::from_millis(20)).await);
    assert_eq!(post(&receiver, "evt_b", r#"{"n":1}"#, &other).await?, 200);
    assert_eq!(post(&receiver, "evt_c", r#"{"n":1}"#, &key()).await?, 200);
    assert_eq!(post(&receiver, "evt_d", r#"{"n":2}"#, &key()).await?, 200);
    assert!(receiver.complete(Duration::from_millis(20)).await);
    let receipts = receiver.take();
    assert_eq!((receipts.counts.as_slice(), receipts.requests), (&[1, 2][..], 4));
    assert!(receipts.first_us[0] > 0 && receipts.first_us[0] <= receipts.first_us[1]);
    // One badly signed; one under a second id and one that no plan knows.
    assert_eq!(receipts.faults, Faults { unsigned: 1, strange: 2, ..Faults::default() });
    Ok(())
}

#[tokio::test]
async fn two_events_under_one_id_are_strange() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.expect(plan(Behaviour::Answer, 2));
    post(&receiver, "evt_a", r#"{"n":0}"#, &key()).await?;
    post(&receiver, "evt_a", r#"{"n":1}"#, &key()).await?;
    assert_eq!(receiver.take().faults.strange, 1);
    Ok(())
}

#[tokio::test]
async fn endpoints_answer_as_they_are_told() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.expect(plan(Behaviour::Fail, 1));
    assert_eq!(post(&receiver, "evt_a", r#"{"n":0}"#, &key()).await?, 500);
    receiver.expect(plan(Behaviour::After(Duration::from_millis(50)), 1));
    let begun = receiver.now_us();
    assert_eq!(post(&receiver, "evt_a", r#"{"n":0}"#, &key()).await?, 200);
    assert!(receiver.now_us() >= begun + 50_000);
    receiver.expect(plan(Behaviour::Never, 1));
    let other = key();
    let never = tokio::time::timeout(Duration::from_millis(50), post(&receiver, "evt_a", r#"{"n":0}"#, &other));
    assert!(never.await.is_err());
    assert!(receiver.complete(Duration::from_secs(5)).await);
    receiver.expect(Plan::default());
    assert_eq!(post(&receiver, "evt_a", r#"{"n":0}"#, &key()).await?, 404);
    Ok(())
}

#[test]
fn the_signature_is_that_of_standard_webhooks() {
    // The example of the specification's libraries.
    let secret = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
    let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
    let signature = crate::load::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), id, "1614265330", body.as_bytes());
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}
