//! Ed25519 keys of webhooks.

use futures::future::join;
use serde_json::{Value, json};
use whimbrel_core::secret::PublicKey;

use crate::support::{Api, Call};

async fn webhook(api: &Api, key: &str) -> String {
    let made = api.webhook(key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    format!("/v1/webhooks/{}", made["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_key_is_made_replaced_and_deleted() {
    let api = Api::start().await;
    let key = api.tenant("acme", "standard").await;
    let path = webhook(&api, &key).await;
    let make = || api.send(Call::post(&format!("{path}/signing-key")).key(&key));
    let public = || api.send(Call::get(&format!("{path}/public-key")).key(&key));
    let delete = || api.send(Call::new("DELETE", &format!("{path}/signing-key")).key(&key));

    public().await.problem(404);
    delete().await.problem(404);
    let first = make().await.expect(200);
    assert!(first["public_key"].as_str().unwrap().parse::<PublicKey>().is_ok());
    assert_eq!(public().await.expect(200), first);
    let second = make().await.expect(200);
    assert_ne!(second, first, "replaced");
    assert_eq!(public().await.expect(200), second);
    let read = api.send(Call::get(&path).key(&key)).await;
    assert_eq!(read.expect(200)["public_key"], second["public_key"]);
    assert!(!read.text().contains("whsk_"), "the private half is never shown");

    assert_eq!(delete().await.status, 204);
    public().await.problem(404);
    assert_eq!(api.send(Call::get(&path).key(&key)).await.expect(200).get("public_key"), None::<&Value>);
}

#[tokio::test]
async fn a_contract_without_a_place_for_it_has_no_key() {
    let api = Api::start().await;
    for contract in ["bitbybit", "eightbit", "generic"] {
        let key = api.tenant(contract, contract).await;
        let path = webhook(&api, &key).await;
        let problem = api.send(Call::post(&format!("{path}/signing-key")).key(&key)).await.problem(409);
        assert_eq!(problem["type"], "urn:whimbrel:problem:no_ed25519");
        assert!(problem["detail"].as_str().unwrap().contains(contract));
    }
}

#[tokio::test]
async fn a_rotation_and_a_new_key_at_once_lose_nothing() {
    let api = Api::start().await;
    let key = api.tenant("acme", "standard").await;
    for _ in 0..8 {
        let path = webhook(&api, &key).await;
        let made = api.send(Call::post(&format!("{path}/signing-key")).key(&key));
        let rotated = api.send(Call::post(&format!("{path}/rotate-secret")).key(&key).json(&json!({})));
        let (made, rotated) = join(made, rotated).await;
        let id = path.rsplit('/').next().unwrap();
        assert_eq!(rotated.expect(200)["secret"], api.secrets(id).await.0);
        assert_eq!(api.send(Call::get(&format!("{path}/public-key")).key(&key)).await.expect(200), made.expect(200));
    }
}
