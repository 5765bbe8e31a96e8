#![doc = include_str!("../README.md")]

pub mod awaited;
pub mod contract;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod filter;
pub mod id;
pub mod intake;
pub mod judge;
pub mod message;
pub mod outcome;
pub mod pace;
pub mod parking;
pub mod port;
pub mod problem;
pub mod render;
pub mod replay;
pub mod schema;
pub mod sealing;
pub mod secret;
pub mod signing;
pub mod subscription;
pub mod tenant;
pub mod tier;
pub mod time;

pub use id::{AuditId, DeliveryId, EndpointId, EventId, ExecutionId, KeyId, ParkedId, ReplayId};
pub use tenant::TenantId;
pub use time::Timestamp;
