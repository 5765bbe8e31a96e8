//! What an upstream service does: publish, over HTTP or AMQP, as fast as it can or at a rate.

mod amqp;
mod connection;
mod events;
mod http;
mod signer;

pub use amqp::AmqpIntake;
pub(crate) use amqp::event_properties;
pub use connection::Connection;
pub use events::{Events, subscription};
pub use http::HttpIntake;
pub use signer::{Signer, sign};
