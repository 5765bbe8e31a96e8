//! `whimbrel send`: publish one event through the API.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;

use super::shared::{ApiClient, ContractsDirArgs, named, read_input, sample};
use crate::keys::ADMIN_KEY_FILE;

/// The variables that may hold an API key, in this order.
const KEY_VARIABLES: [&str; 2] = ["WHIMBREL_KEY", "WHIMBREL_ADMIN_KEY"];

/// Publishes one event and prints its id.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The event's type, such as `order.created`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,

    /// The event's data: JSON, `@FILE`, or `-` for standard input. It goes out byte for byte.
    #[arg(long, value_name = "JSON", required_unless_present = "example")]
    data: Option<String>,

    /// Send the sample that the tenant's contract has for this type.
    #[arg(long, conflicts_with = "data")]
    example: bool,

    /// The contract whose sample to send; asked of the server when left out.
    #[arg(long, requires = "example", value_name = "NAME")]
    contract: Option<String>,

    #[command(flatten)]
    contracts_dir: ContractsDirArgs,

    /// Where the server's API is.
    #[arg(long, env = "WHIMBREL_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,

    /// An API key. Left out: WHIMBREL_KEY, WHIMBREL_ADMIN_KEY, or the key that a server on this machine
    /// keeps in its data directory.
    #[arg(long, value_name = "KEY")]
    key: Option<SecretString>,

    /// The data directory of a server on this machine.
    #[arg(long, env = "WHIMBREL_DATA_DIR", default_value = "./whimbrel-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// The tenant to act for, with an admin key; `default` when left out.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// Makes a repeat of this command known as one: it gets the same id and is delivered once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Serialize)]
struct Publication<'a> {
    r#type: &'a str,
    data: &'a RawValue,
}

/// Publishes and prints the id.
pub(crate) async fn run(args: SendArgs) -> anyhow::Result<ExitCode> {
    let client = ApiClient::new(&args.url, args.find_key()?.expose_secret())?;
    let client = args.tenant.as_deref().map_or(client.clone(), |tenant| client.for_tenant(tenant));
    let data = args.data(&client).await?;
    let body = publication(&args.event_type, &data)?;
    let answer = client.post_keyed("/v1/events", body, args.idempotency_key.as_deref()).await?;
    let id = answer["id"].as_str().ok_or_else(|| anyhow!("the server took the event but named no id"))?;
    println!("{id}");
    Ok(ExitCode::SUCCESS)
}

/// The request's body, with the data as it was given.
pub(crate) fn publication(event_type: &str, data: &str) -> anyhow::Result<String> {
    let data: &RawValue = serde_json::from_str(data).context("the data is not JSON")?;
    Ok(serde_json::to_string(&Publication { r#type: event_type, data })?)
}

impl SendArgs {
    fn find_key(&self) -> anyhow::Result<SecretString> {
        let given =
            self.key.clone().or_else(|| KEY_VARIABLES.iter().find_map(|name| std::env::var(name).ok()).map(Into::into));
        if let Some(key) = given {
            return Ok(key);
        }
        let file = self.data_dir.join(ADMIN_KEY_FILE);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!("no API key: give one with --key or {}, since {} cannot be read", KEY_VARIABLES[0], file.display())
        })?;
        Ok(text.trim().into())
    }

    async fn data(&self, client: &ApiClient) -> anyhow::Result<String> {
        let Some(argument) = &self.data else { return self.sample(client).await };
        String::from_utf8(read_input(argument).context("--data")?).context("the data is not UTF-8")
    }

    async fn sample(&self, client: &ApiClient) -> anyhow::Result<String> {
        let contracts = self.contracts_dir.load()?;
        let name = match &self.contract {
            Some(name) => name.clone(),
            None => self.tenants_contract(client).await?,
        };
        let contract = named(&contracts, &name)?;
        match sample(&contracts, &contract, &self.event_type) {
            Some(data) => Ok(data.to_owned()),
            None => bail!(
                "the contract `{name}` has no sample for `{}`; `whimbrel contracts show {name}` lists its types",
                self.event_type
            ),
        }
    }

    async fn tenants_contract(&self, client: &ApiClient) -> anyhow::Result<String> {
        let tenant = self.tenant.as_deref().unwrap_or("default");
        let answer = client.get(&format!("/v1/tenants/{tenant}")).await;
        let answer = answer.context("the tenant's contract could not be asked for; name it with --contract")?;
        answer["contract"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("the server names no contract for the tenant `{tenant}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_keeps_its_bytes() {
        let data = "{\"b\" : 1.0, \"a\":1e2,\"é\":\"\\u00e9\"}";
        let body = publication("order.created", data).expect("a body");
        assert_eq!(body, format!("{{\"type\":\"order.created\",\"data\":{data}}}"));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        let error = publication("order.created", "{oops}").expect_err("not JSON");
        assert!(format!("{error:#}").starts_with("the data is not JSON: key must be a string at line 1"), "{error:#}");
    }
}
