use super::*;
use crate::contract::ContractSet;
use crate::signing::SigningKey;

fn contract(name: &str) -> std::sync::Arc<Contract> {
    let name = name.parse().expect("a name");
    ContractSet::built_in().get(&name).expect("built in").clone()
}

fn accept(name: &str, text: &str) -> Result<Secret, String> {
    Secret::accept(&contract(name), text).map_err(|error| error.to_string())
}

fn generate(name: &str) -> String {
    let mut byte = 0;
    let mut fill = |bytes: &mut [u8]| {
        for place in bytes {
            *place = byte;
            byte += 1;
        }
    };
    Secret::generate(&contract(name), &mut fill).expose().to_owned()
}

#[test]
fn generated_secrets_have_the_contracts_form() {
    let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    assert_eq!(generate("bitbybit"), format!("whsec_{hex}"));
    assert_eq!(generate("eightbit"), hex);
    assert_eq!(generate("generic"), format!("whsec_{hex}"));
    assert_eq!(generate("standard"), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert!(accept("standard", &generate("standard")).is_ok());
}

#[test]
fn a_callers_own_secret_is_taken_or_told_the_form() {
    assert!(accept("generic", "whsec_abc123...").is_ok());
    assert!(accept("eightbit", "0123456789abcdef").is_ok());
    assert!(accept("eightbit", &"é".repeat(16)).is_ok());
    assert!(accept("standard", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").is_ok());
    assert_eq!(
        accept("bitbybit", "0123456789abcdef"),
        Err("the contract `bitbybit` generates its secrets: leave the secret out".to_owned())
    );
    let short = "a secret under the contract `generic` must be 12 to 256 characters without control characters or surrounding white space";
    for text in ["", "0123456789a", "0123456789abc\n", " 0123456789abc", &"x".repeat(257)] {
        assert_eq!(accept("generic", text), Err(short.to_owned()), "{text}");
    }
    let form = "a secret under the contract `standard` must be `whsec_` followed by base64 of 24 to 64 bytes";
    let too_long = format!("whsec_{}", "A".repeat(88));
    for text in ["C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_AAAA", "whsec_not base64 at all, not a bit", &too_long] {
        assert_eq!(accept("standard", text), Err(form.to_owned()), "{text}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let key = SigningKey::from_seed(&[7; 32]);
    let pair = SecretPair {
        previous: Some((Secret::new("old and secret"), Timestamp::from_secs(1))),
        signing_key: Some(key),
        ..SecretPair::new(Secret::new("new and secret"))
    };
    let printed = format!("{pair:?}");
    assert_eq!(
        printed,
        "SecretPair { current: Secret(…), previous: Some((Secret(…), 1970-01-01T00:00:01Z)), signing_key: Some(SigningKey(…)) }"
    );
}

#[test]
fn rule_30_at_most_two_secrets_and_the_loss_is_told() {
    let hour = Duration::from_hours(1);
    let at = Timestamp::from_secs(1_000);
    let first = SecretPair::new(Secret::new("first")).rotate(Secret::new("second"), at, hour);
    assert!(!first.dropped_oldest);
    assert_eq!(first.secrets.previous_at(at), Some(&Secret::new("first")));
    assert_eq!(first.secrets.previous_at(at + hour), None);

    let within = first.secrets.clone().rotate(Secret::new("third"), at + hour / 2, hour);
    assert!(within.dropped_oldest);
    assert_eq!(within.secrets.previous_at(at + hour), Some(&Secret::new("second")));

    let after = first.secrets.rotate(Secret::new("third"), at + hour, Duration::ZERO);
    assert!(!after.dropped_oldest);
    assert_eq!(after.secrets, SecretPair::new(Secret::new("third")));
}

#[test]
fn sealed_bytes_come_back_as_they_were() {
    let one = SecretPair::new(Secret::new("only"));
    let two = one.clone().rotate(Secret::new("née"), Timestamp::from_micros(5), Duration::from_hours(1)).secrets;
    let all = SecretPair { signing_key: Some(SigningKey::from_seed(&[7; 32])), ..two.clone() };
    for pair in [one, two, all] {
        let bytes = pair.to_bytes();
        assert_eq!(SecretPair::from_bytes(&bytes), Some(pair));
        assert_eq!(SecretPair::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(SecretPair::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }
    assert_eq!(SecretPair::from_bytes(&[]), None);
    assert_eq!(SecretPair::from_bytes(&[2, 0, 0, 0, 0]), None);
}

#[test]
fn ed25519_keys_in_text() {
    let text = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let key: SigningKey = text.parse().expect("a key");
    assert_eq!(*key.expose(), text);
    assert_eq!(key.public().to_string(), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    assert_eq!("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".parse(), Ok(key.public()));
    assert_ne!(SigningKey::generate(&mut |bytes| bytes.fill(9)), key);

    let halves_apart = text.replace("vg==", "vA==");
    for wrong in ["", "whsk_", "whsec_AAAA", &halves_apart] {
        let error = wrong.parse::<SigningKey>().expect_err("no key").to_string();
        assert_eq!(error, "an Ed25519 signing key must be `whsk_` followed by base64 of 64 bytes that form a key");
    }
    assert!("whpk_AAAA".parse::<PublicKey>().is_err());
}
