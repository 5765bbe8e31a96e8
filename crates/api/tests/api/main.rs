//! The API over the embedded engine: every route, every refusal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod asyncapi;
mod audit;
mod auth;
mod batch;
mod deliveries;
mod erasure;
mod event_types;
mod events;
mod isolation;
mod keys;
mod limits;
mod ops;
mod outage;
mod parking;
mod problems;
mod replays;
mod rotation;
mod support;
mod tenants;
mod usage;
mod webhooks;
mod webhooks_options;
mod webhooks_signing_key;
mod webhooks_stats;
