//! RabbitMQ for tests: [`vhost`] for most, a private [`Broker`] for those that kill or starve it.

mod broker;
mod management;
mod upstream;
mod vhost;

pub use broker::Broker;
pub use management::Management;
pub use vhost::{Message, Vhost, vhost};
