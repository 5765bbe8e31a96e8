//! What the demo sets up: per contract a tenant, a receiver and a webhook, all through the real API.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use whimbrel_core::contract::{Contract, ContractSet};
use whimbrel_core::secret::Secret;

use crate::cmd::listen::{Answers, Receiver, Seen};
use crate::cmd::send::publication;
use crate::cmd::shared::{ApiClient, Verifier, samples};

/// The contract whose receiver is down at first.
const FLAKY: &str = "generic";
/// What it answers to its first event.
const FLAKY_ANSWERS: [u16; 3] = [500, 500, 200];
/// How many attempts that event needs.
pub(super) const FLAKY_ATTEMPTS: u64 = 3;

/// Everything that is set up.
pub(super) struct Stage {
    /// One per contract, in the contracts' order.
    pub(super) sets: Vec<Set>,
}

/// What one contract has.
pub(super) struct Set {
    /// The contract; its name is the tenant's, too.
    pub(super) contract: Arc<Contract>,
    /// Acts for the tenant.
    pub(super) client: ApiClient,
    /// The webhook's id.
    pub(super) webhook: String,
    /// What is published: types and data.
    pub(super) events: Vec<(String, String)>,
    /// Where the webhook leads.
    pub(super) receiver: Receiver,
}

impl Stage {
    /// Sets everything up. Receivers report to `lines`.
    ///
    /// # Errors
    /// When the API refuses something or no port is free.
    pub(super) async fn set(
        client: &ApiClient,
        contracts: &ContractSet,
        lines: mpsc::Sender<Seen>,
    ) -> anyhow::Result<Self> {
        let mut sets = Vec::new();
        for contract in contracts {
            let set = Set::make(client, contracts, contract, lines.clone()).await;
            sets.push(set.with_context(|| format!("the demo cannot set up the contract `{}`", contract.name()))?);
        }
        Ok(Self { sets })
    }

    /// Publishes every contract's events.
    ///
    /// # Errors
    /// When the API refuses one.
    pub(super) async fn publish(&self) -> anyhow::Result<()> {
        for set in &self.sets {
            for (event_type, data) in &set.events {
                let published = set.client.post("/v1/events", publication(event_type, data)?).await;
                published
                    .with_context(|| format!("`{event_type}` could not be published for `{}`", set.contract.name()))?;
            }
        }
        Ok(())
    }

    /// How many deliveries there must be in the end: every tenant has one webhook that wants everything.
    pub(super) fn expected(&self) -> usize {
        self.sets.iter().map(|set| set.events.len()).sum()
    }
}

impl Set {
    async fn make(
        client: &ApiClient,
        contracts: &ContractSet,
        contract: &Arc<Contract>,
        lines: mpsc::Sender<Seen>,
    ) -> anyhow::Result<Self> {
        let name = contract.name().as_str();
        client.post("/v1/tenants", json!({"id": name, "name": contract.title(), "contract": name}).to_string()).await?;
        let client = client.for_tenant(name);
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a receiver")?;
        let url = format!("http://{}/webhooks", listener.local_addr()?);
        let made = client.post("/v1/webhooks", json!({"url": url, "events": ["*"]}).to_string()).await?;
        let text = |field: &str| made[field].as_str().ok_or_else(|| anyhow!("the new webhook has no {field}"));
        let secret = Secret::new(text("secret")?);
        let answers =
            if name == FLAKY { Answers::for_first_event(FLAKY_ANSWERS.into()) } else { Answers::in_order(vec![200]) };
        // Nothing is published yet: it is early enough to begin answering now that the secret is known.
        let receiver = Receiver::start(listener, Verifier::new(contract.clone(), secret), answers, lines)?;
        let events =
            samples(contracts, contract).into_iter().map(|(name, data)| (name.to_owned(), data.to_owned())).collect();
        Ok(Self { contract: contract.clone(), webhook: text("id")?.to_owned(), client, events, receiver })
    }
}
