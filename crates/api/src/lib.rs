#![doc = include_str!("../README.md")]
#![expect(unused_qualifications, reason = "what utoipa makes of `params(…)`")]

mod around;
mod audit;
mod auth;
mod deliveries;
mod events;
mod extract;
mod key;
mod known;
mod last_use;
mod limit;
mod openapi;
mod ops;
mod outlet;
mod packer;
mod page;
mod parking;
mod problem;
mod replays;
mod request_id;
mod router;
mod state;
mod tenants;
mod text;
mod trace;
mod usage;
mod webhooks;

pub use key::{generate as generate_key, hash as key_hash};
pub use openapi::openapi;
pub use ops::{OpsState, ops_router};
pub use outlet::Outlet;
pub use parking::{ParkedDetail, ParkedView};
pub use problem::{FieldError, PROBLEM_JSON, Problem, ProblemBody};
pub use router::router;
pub use state::{ApiState, Memory, Settings};
