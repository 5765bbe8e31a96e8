//! Published vectors: what others computed must come out here.

use std::sync::Arc;

use super::*;
use crate::contract::ContractSet;
use crate::secret::SecretPair;

fn sign(contract: &str, secrets: &SecretPair, id: &str, at_secs: i64, body: &str) -> String {
    let set = ContractSet::built_in();
    let contract: &Arc<Contract> = set.get(&contract.parse().expect("a name")).expect("built in");
    let at = Timestamp::from_secs(at_secs);
    let message = Signed { event_id: id, event_type: "x", event_at: at, attempt_at: at, body: body.as_bytes() };
    let signer = Signer::new(contract, secrets).expect("a usable secret");
    let headers = signer.headers(&message);
    let value = headers.iter().find(|(name, _)| *name == contract.signature().header());
    value.expect("the signature header").1.to_string()
}

fn one(secret: &str) -> SecretPair {
    SecretPair::new(Secret::new(secret))
}

#[test]
fn standard_webhooks() {
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let secrets = one("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let value = sign("standard", &secrets, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
    assert_eq!(value, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");

    let secrets = one("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let value = sign("standard", &secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(value, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn standard_webhooks_ed25519() {
    let key = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let secrets =
        SecretPair { signing_key: Some(key.parse().expect("a key")), ..one("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") };
    let value = sign("standard", &secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(
        value,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= \
         v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    );
}

#[test]
fn github() {
    let value = sign("eightbit", &one("It's a Secret to Everybody"), "evt_1", 0, "Hello, World!");
    assert_eq!(value, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}
