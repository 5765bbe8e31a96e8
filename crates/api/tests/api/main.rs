//! The API over the embedded engine: every route, every refusal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod auth;
mod batch;
mod deliveries;
mod events;
mod isolation;
mod ops;
mod outage;
mod problems;
mod rotation;
mod support;
mod tenants;
mod webhooks;
