//! The table, declared over AMQP. What is there already with the same arguments stays as it is.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, ExchangeKind};

use super::{Argument, Arguments, Kind, Topology};
use crate::address::Address;
use crate::connection::open;
use crate::fault::Fault;

/// Why a topology could not be declared.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeclareError {
    /// The broker cannot be reached, or does not let us in.
    #[error("{0}")]
    Connect(String),
    /// It refused one declaration; what came before stands.
    #[error("cannot declare {what} at {address}: {reason}")]
    Refused {
        /// `queue whimbrel.jobs.live.v1`, ….
        what: String,
        /// Where.
        address: String,
        /// The broker's words.
        reason: String,
    },
}

/// How often it is tried: a broker that starts, or is short of time, fails where it works a moment later, with an
/// internal error say. What stands already is not made again.
const TRIES: u32 = 5;

/// Declares all of it at `url` (`amqp://user:password@host:port/vhost`).
pub async fn declare(url: &str, topology: &Topology) -> Result<(), DeclareError> {
    let address = Address::parse(url).map_err(|error| DeclareError::Connect(error.to_string()))?;
    let mut tries = 1;
    loop {
        match try_declare(&address, topology).await {
            Ok(()) => return Ok(()),
            Err((error, Fault::Passing(reason))) if tries < TRIES => {
                tracing::warn!(%error, reason, "the topology is declared again in a moment");
            }
            Err((error, _)) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(500) * tries).await;
        tries += 1;
    }
}

async fn try_declare(address: &Address, topology: &Topology) -> Result<(), (DeclareError, Fault)> {
    let connect = |fault: Fault| (DeclareError::Connect(fault.sentence().to_owned()), fault);
    let connection = open(address, "topology").await.map_err(connect)?;
    let channel = connection.create_channel().await.map_err(|error| connect(Fault::of(&error, address)))?;
    let declared = declare_on(&channel, topology).await;
    // The connection has done its work either way, and a failed declaration has closed the channel.
    let _ = connection.close(200, "declared".into()).await;
    declared.map_err(|(what, error)| {
        let reason = error.to_string();
        (DeclareError::Refused { what, address: address.to_string(), reason }, Fault::of(&error, address))
    })
}

async fn declare_on(channel: &Channel, topology: &Topology) -> Result<(), (String, lapin::Error)> {
    // Last ones first: an alternate exchange has to exist before the exchanges that name it.
    for exchange in topology.exchanges.iter().rev() {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let arguments = table(&exchange.arguments);
        let declared = channel.exchange_declare(exchange.name.into(), exchange.kind.into(), options, arguments);
        declared.await.map_err(|error| (format!("exchange {}", exchange.name), error))?;
    }
    for queue in &topology.queues {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(queue.name.as_str().into(), options, table(&queue.arguments));
        declared.await.map_err(|error| (format!("queue {}", queue.name), error))?;
    }
    for binding in &topology.bindings {
        let (queue, exchange, key) = (binding.queue.as_str(), binding.exchange, binding.key.as_str());
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default());
        bound.await.map_err(|error| (format!("the binding of {queue} to {exchange}"), error))?;
    }
    Ok(())
}

impl From<Kind> for ExchangeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Topic => Self::Topic,
            Kind::Fanout => Self::Fanout,
        }
    }
}

fn table(arguments: &Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(LongString::from(text.as_str())),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    table
}
