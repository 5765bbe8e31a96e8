//! `whimbrel send`: publish one event through the API.

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::shared::{ApiClient, ContractsDirArgs, ServerArgs, named, read_input, sample};

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

    #[command(flatten)]
    server: ServerArgs,

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
    let client = args.server.client()?;
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
