//! Publishing as an upstream service does: over AMQP, with confirms.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use serde_json::{Map, Value};

/// How long the broker may take, from the connection to the confirm.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(20);

/// Publishes one message over a connection of its own, so that it does not matter what became of the broker since the
/// last one. The management API can publish too, but waits for the broker's confirm without end.
pub(super) async fn publish(
    amqp_url: &str,
    exchange: &str,
    routing_key: &str,
    properties: &Value,
    body: &[u8],
) -> Result<()> {
    let properties = properties_of(properties)?;
    let published = tokio::time::timeout(PUBLISH_TIMEOUT, async {
        let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties).await?;
        let confirmation = confirm.await?;
        channel.close(200, "published".into()).await?;
        connection.close(200, "published".into()).await?;
        lapin::Result::Ok(confirmation)
    });
    let confirmation =
        published.await.with_context(|| format!("the broker confirmed nothing within {PUBLISH_TIMEOUT:?}"))??;
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => {
            bail!("no queue took the message published to {exchange:?} with key {routing_key}")
        }
        other => bail!("the message published to {exchange:?} with key {routing_key} was refused: {other:?}"),
    }
}

/// By AMQP name.
fn properties_of(named: &Value) -> Result<BasicProperties> {
    let mut properties = BasicProperties::default();
    for (name, value) in named.as_object().context("properties are an object")? {
        let text = || value.as_str().with_context(|| format!("the property {name} is no text: {value}"));
        properties = match name.as_str() {
            "content_type" => properties.with_content_type(text()?.into()),
            "message_id" => properties.with_message_id(text()?.into()),
            "type" => properties.with_type(text()?.into()),
            "delivery_mode" => {
                let mode = value.as_u64().and_then(|mode| u8::try_from(mode).ok());
                properties.with_delivery_mode(mode.with_context(|| format!("{value} is no delivery mode"))?)
            }
            "headers" => properties.with_headers(table(value.as_object().context("headers are an object")?)?),
            other => bail!("no test has needed the property {other} so far"),
        };
    }
    Ok(properties)
}

fn table(headers: &Map<String, Value>) -> Result<FieldTable> {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        ensure!(value.is_string(), "no test has needed a header like {name}: {value} so far");
        let text = value.as_str().unwrap_or_default();
        table.insert(name.as_str().into(), AMQPValue::LongString(text.into()));
    }
    Ok(table)
}
