//! Parked and unroutable messages: taken one by one and given back, brought back, or thrown away.
//!
//! A broker shows a message only by handing it out. Those of one walk stay unacked until its end, so others do not see
//! them meanwhile, and then go back to where they were. A broker counts that as a delivery, and RabbitMQ 4 drops from a
//! quorum queue what was delivered 20 times; so what was looked at [`LOOKS_MAX`] times is put down anew, at the end.

mod dead_letter;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ErrorKind};
use tokio::time::timeout;
use tracing::info;
use whimbrel_core::parking::{Parked, labels};
use whimbrel_core::port::{Look, ParkedFate, Parking, ParkingError, QueueError, Source, WALK_MAX, Walk};

use crate::address::Address;
use crate::connection::open;
use crate::envelope::{address, redeliveries, short, table};
use crate::fault::Fault;
use crate::queue::Options;
use crate::topology::{PARKING, queue_of, unroutable_queue};

/// How long the broker may take for one answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Deliveries after which a message is put down anew; well below RabbitMQ 4's limit of 20.
const LOOKS_MAX: u32 = 10;

/// Parking on a broker, over a connection of its own for each walk. Its user needs the rights of
/// [`Role::Redrive`](crate::permissions::Role::Redrive).
pub struct RabbitParking {
    address: Address,
    /// Whom events are published as; `None` leaves it open (rule 33).
    user: Option<String>,
    connected: AtomicBool,
}

impl RabbitParking {
    /// Connects at the first walk. `Fatal` for an unreadable URL.
    pub fn new(options: &Options) -> Result<Self, QueueError> {
        let address = Address::parse(&options.url)?;
        let user = options.name_user.then(|| address.user().to_owned());
        Ok(Self { address, user, connected: AtomicBool::new(false) })
    }
}

#[async_trait]
impl Parking for RabbitParking {
    async fn walk(&self, look: Look<'_>) -> Result<Walk, ParkingError> {
        let connection = open(&self.address, "parking").await.map_err(|fault| ParkingError::Queue(error(&fault)))?;
        if !self.connected.swap(true, Ordering::Relaxed) {
            info!(address = %self.address, user = self.address.user(), "connected to the broker for parking");
        }
        let mut walk = Walk::default();
        let walked = self.through(&connection, look, &mut walk).await;
        // Gives back what is still unacked, in case the walk failed.
        let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "done".into())).await;
        walked.map(|()| walk)
    }
}

impl RabbitParking {
    async fn through(&self, connection: &Connection, look: Look<'_>, walk: &mut Walk) -> Result<(), ParkingError> {
        let parking = queue_of(Source::Parking).expect("parking has a queue");
        for queue in [parking, unroutable_queue()] {
            let channel = self.ask(connection.create_channel()).await?;
            self.ask(channel.confirm_select(ConfirmSelectOptions::default())).await?;
            let shelf = Shelf { parking: self, channel, queue };
            let walked = shelf.walk(look, walk).await;
            // Before the connection: lapin takes a channel that closes within a closing connection for an error.
            let _ = timeout(CLOSE_TIMEOUT, shelf.channel.close(200, "done".into())).await;
            if walked? {
                walk.more = true;
                break;
            }
        }
        Ok(())
    }

    async fn ask<T>(&self, question: impl Future<Output = lapin::Result<T>>) -> Result<T, ParkingError> {
        let Ok(answer) = timeout(ASK_TIMEOUT, question).await else {
            let sentence = format!("{} did not answer within {ASK_TIMEOUT:?}", self.address);
            return Err(QueueError::Away(sentence).into());
        };
        answer.map_err(|error| self.refused(&error))
    }

    fn refused(&self, lapin: &lapin::Error) -> ParkingError {
        let fault = Fault::of(lapin, &self.address);
        match lapin.kind() {
            ErrorKind::ProtocolError(protocol) if protocol.get_id() == 403 => {
                ParkingError::Denied(fault.sentence().to_owned())
            }
            _ => ParkingError::Queue(error(&fault)),
        }
    }
}

fn error(fault: &Fault) -> QueueError {
    match fault {
        Fault::Passing(sentence) => QueueError::Away(sentence.clone()),
        Fault::Lasting(sentence) => QueueError::Fatal(sentence.clone()),
    }
}

/// One queue during a walk.
struct Shelf<'p> {
    parking: &'p RabbitParking,
    channel: Channel,
    queue: String,
}

impl Shelf<'_> {
    /// True when the walk ends here.
    async fn walk(&self, look: Look<'_>, walk: &mut Walk) -> Result<bool, ParkingError> {
        let mut kept = None;
        let mut left = None;
        let stopped = loop {
            // What comes back to parking meanwhile is left to the next walk.
            if left == Some(0) {
                break false;
            }
            if walk.seen == WALK_MAX {
                break true;
            }
            let Some(BasicGetMessage { delivery, message_count }) = self.take().await? else { break false };
            left = Some(left.map_or(message_count, |left: u32| left - 1));
            let parked = dead_letter::parked(&delivery);
            let fate = look(&parked);
            walk.seen += u64::from(fate != ParkedFate::Stop);
            if !self.settle(&delivery, &parked, fate, walk).await? {
                kept = Some(delivery.delivery_tag);
            }
            if fate == ParkedFate::Stop {
                break true;
            }
        };
        if let Some(last) = kept {
            let all = BasicNackOptions { multiple: true, requeue: true };
            self.parking.ask(self.channel.basic_nack(last, all)).await?;
        }
        Ok(stopped)
    }

    async fn take(&self) -> Result<Option<BasicGetMessage>, ParkingError> {
        self.parking.ask(self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default())).await
    }

    /// True when the message is gone from here.
    async fn settle(
        &self,
        delivery: &Delivery,
        parked: &Parked,
        fate: ParkedFate,
        walk: &mut Walk,
    ) -> Result<bool, ParkingError> {
        match fate {
            ParkedFate::Discard => walk.discarded += 1,
            ParkedFate::Redrive if self.bring_back(parked).await? => walk.redriven += 1,
            ParkedFate::Keep | ParkedFate::Stop | ParkedFate::Redrive => {
                walk.stuck += u64::from(fate == ParkedFate::Redrive);
                if redeliveries(delivery) < LOOKS_MAX {
                    return Ok(false);
                }
                self.put_down_anew(parked).await?;
            }
        }
        self.parking.ask(self.channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default())).await?;
        Ok(true)
    }

    /// False when nothing says where to.
    async fn bring_back(&self, parked: &Parked) -> Result<bool, ParkingError> {
        let Some(route) = parked.route_back() else { return Ok(false) };
        let (exchange, key) = address(&route);
        let origin = &parked.origin;
        let mut properties = properties(parked, &origin.message_id).with_headers(table(parked.headers_back()));
        if !origin.kind.is_empty() {
            properties = properties.with_type(short(&origin.kind));
        }
        if let Some(secs) = origin.timestamp {
            properties = properties.with_timestamp(secs);
        }
        if let (Some(user), Some(Source::Events)) = (&self.parking.user, parked.source) {
            properties = properties.with_user_id(short(user));
        }
        self.publish(exchange, key.as_str(), properties, &parked.payload).await?;
        Ok(true)
    }

    /// With all that is known of it, at the end of parking.
    async fn put_down_anew(&self, parked: &Parked) -> Result<(), ParkingError> {
        let headers = table(labels(parked.source, &parked.reason, parked.parked_at, &parked.origin));
        let properties = properties(parked, &parked.id.to_string()).with_headers(headers);
        self.publish(PARKING, "", properties, &parked.payload).await
    }

    async fn publish(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        payload: &[u8],
    ) -> Result<(), ParkingError> {
        let options = BasicPublishOptions::default();
        let confirmed = async {
            self.channel.basic_publish(exchange.into(), key.into(), options, payload, properties).await?.await
        };
        if self.parking.ask(confirmed).await?.is_nack() {
            let sentence = format!("{} has no room for what is brought back", self.parking.address);
            return Err(QueueError::Full(sentence).into());
        }
        Ok(())
    }
}

fn properties(parked: &Parked, message_id: &str) -> BasicProperties {
    let properties = BasicProperties::default().with_content_type(short(&parked.content_type)).with_delivery_mode(2);
    if message_id.is_empty() { properties } else { properties.with_message_id(short(message_id)) }
}
