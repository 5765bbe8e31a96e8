//! Publishing over AMQP, as an upstream service does: plain JSON, persistent, with pipelined confirms.

use anyhow::{Result, ensure};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};

use super::events::Events;
use crate::receiver::Receiver;

/// Publishes that wait for their confirm at a time.
const WINDOW: usize = 256;
const EXCHANGE: &str = "whimbrel.events";

/// A connection to the broker.
pub struct AmqpIntake {
    channel: Channel,
    _connection: Connection,
}

impl AmqpIntake {
    /// Connects.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn open(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, _connection: connection })
    }

    /// Publishes all events; gives the time at which each was begun.
    ///
    /// # Errors
    /// When one is not confirmed.
    pub async fn flood(&self, events: &Events, receiver: &Receiver) -> Result<Vec<u64>> {
        let mut sent = Vec::with_capacity(events.count());
        let mut confirms = FuturesUnordered::new();
        for number in events.first()..events.first() + events.count() {
            if confirms.len() == WINDOW {
                let confirmed: Option<lapin::Result<Confirmation>> = confirms.next().await;
                ensure!(confirmed.transpose()?.is_some_and(|confirmed| confirmed.is_ack()), "an event was refused");
            }
            sent.push(receiver.now_us());
            confirms.push(self.begin(events, number).await?);
        }
        while let Some(confirmed) = confirms.next().await {
            ensure!(confirmed?.is_ack(), "an event was refused");
        }
        Ok(sent)
    }

    async fn begin(&self, events: &Events, number: usize) -> lapin::Result<PublisherConfirm> {
        let event_type = events.event_type(number);
        let properties = event_properties(&format!("bench-{number}"), &event_type);
        let (options, data) = (BasicPublishOptions::default(), Events::data(number));
        self.channel.basic_publish(EXCHANGE.into(), event_type.into(), options, data.as_bytes(), properties).await
    }
}

/// What an event's message carries beside the data.
pub(crate) fn event_properties(id: &str, event_type: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("default".into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id.into())
        .with_type(event_type.into())
        .with_headers(headers)
}
