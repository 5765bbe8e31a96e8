//! What tests of Whimbrel stand on: real servers of their own, a receiver that misbehaves on request, a
//! proxy that breaks connections, the `whimbrel` binary as a child process, and the conformance suites.
//!
//! Nothing here imitates PostgreSQL or RabbitMQ: [`postgres::database`] and [`rabbitmq::vhost`] give a test its
//! own corner of a real server (the shared one of `deploy/dev/with-services`, or a private one when there is
//! none), and [`postgres::Postgres`] and [`rabbitmq::Broker`] are private servers that a test may kill.
//! Every child process dies with the process that started it, however that one ends.
//!
//! It deliberately speaks neither SQL nor AMQP itself: the engines' crates do.

pub mod conformance;
pub mod http;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod receiver;
pub mod servers;
pub mod wait;

mod child;
