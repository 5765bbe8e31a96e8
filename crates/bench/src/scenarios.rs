//! What is measured.

use anyhow::Result;

use crate::bench::Bench;
use crate::result::{Measured, Scenario};
use crate::system::Engine;

mod fanout;
mod isolation;
mod latency;
mod release;
mod scale;
mod soak;
mod storm;
mod stretch;

/// Runs one scenario on one engine; gives its cases in a fixed order.
///
/// # Errors
/// When a process fails or intake refuses an event.
pub async fn run(bench: &Bench, scenario: Scenario, engine: Engine) -> Result<Vec<Measured>> {
    match scenario {
        Scenario::FanOut => fanout::one(bench, engine).await,
        Scenario::Wide => fanout::ten(bench, engine).await,
        Scenario::Latency => latency::run(bench, engine).await,
        Scenario::Isolation => isolation::run(bench, engine).await,
        Scenario::Storm => storm::run(bench, engine).await,
        Scenario::Soak => soak::run(bench, engine).await,
        Scenario::Scale => scale::run(bench, engine).await,
        Scenario::Release => release::run(bench, engine).await,
    }
}
