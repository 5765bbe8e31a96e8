//! Before the log can leave, it must be whole: events that wait for ingest and outcomes that wait for the tracker
//! are part of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::port::{Clock, Queue, Source};
use whimbrel_core::tier::Tiers;
use whimbrel_ingest::Ingest;
use whimbrel_tracker::Tracker;

use crate::config::Config;
use crate::engine::Engine;
use crate::wiring;

/// Between looks at the queues.
const LOOK: Duration = Duration::from_millis(250);
/// How long nothing may move.
const PATIENCE: Duration = Duration::from_mins(1);
/// What was unacked when a role stopped is back in its queue by then.
const LOOKS: u32 = 3;
/// Announcements counted at a look.
const LOOK_AT: u32 = 1_000;

/// What the two roles need beside the engine.
pub(super) struct Rules {
    pub(super) config: Config,
    pub(super) contracts: Arc<ContractSet>,
    pub(super) tiers: Arc<Tiers>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Rules {
    fn ingest(&self, engine: &Engine) -> Ingest {
        Ingest {
            store: engine.store.clone(),
            queue: engine.queue.clone(),
            contracts: self.contracts.clone().into(),
            clock: self.clock.clone(),
            retention: self.config.retention,
            sweep_grace: self.config.tracker.sweep_grace,
            publishers: wiring::publishers(&self.config),
            tenant_budget: self.config.ingest.tenant_budget,
        }
    }

    fn tracker(&self, engine: &Engine) -> Tracker {
        Tracker {
            store: engine.store.clone(),
            queue: engine.queue.clone(),
            contracts: self.contracts.clone().into(),
            tiers: self.tiers.clone(),
            clock: self.clock.clone(),
            sweep_grace: self.config.tracker.sweep_grace,
        }
    }
}

/// Fans out every event that waits, settles every outcome, announces every change. No attempt is made: nothing is sent.
pub(super) async fn drain(engine: &Engine, rules: &Rules) -> anyhow::Result<()> {
    let mut looks = 0;
    loop {
        if waiting(engine).await? > 0 {
            looks = 0;
            work(engine, rules).await?;
        } else {
            looks += 1;
            if looks == LOOKS {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Messages that stay behind because nobody but people can take them.
pub(super) async fn parked(queue: &dyn Queue) -> anyhow::Result<u64> {
    depth(queue, &[Source::Parking]).await
}

/// Announcements are not part of an export either: the events that they lead to are.
async fn waiting(engine: &Engine) -> anyhow::Result<u64> {
    let unannounced = engine.store.unannounced(LOOK_AT).await?.len();
    Ok(depth(&*engine.queue, &[Source::Events, Source::Outcomes]).await? + unannounced as u64)
}

async fn depth(queue: &dyn Queue, sources: &[Source]) -> anyhow::Result<u64> {
    let names: Vec<String> = sources.iter().map(Source::to_string).collect();
    let rows = queue.depths().await?;
    Ok(rows.iter().filter(|row| names.contains(&row.name)).map(|row| row.ready).sum())
}

/// Runs ingest and the tracker until their queues look empty.
async fn work(engine: &Engine, rules: &Rules) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let ingest = rules.ingest(engine);
    let tracker = rules.tracker(engine);
    let duties = async {
        let parking = engine.parking.clone();
        whimbrel_tracker::run_duty(tracker.clone(), parking, wiring::duties(&rules.config), stop.clone()).await;
        Ok(())
    };
    let ingest = async { Ok(whimbrel_ingest::run(ingest, stop.clone()).await?) };
    let settling = async { Ok(whimbrel_tracker::run(tracker.clone(), stop.clone()).await?) };
    let empty = async {
        let seen = until_empty(engine).await;
        stop.cancel();
        seen
    };
    tokio::try_join!(ingest, settling, duties, empty).map(drop)
}

async fn until_empty(engine: &Engine) -> anyhow::Result<()> {
    let mut least = u64::MAX;
    let mut moved = Instant::now();
    loop {
        match waiting(engine).await? {
            0 => return Ok(()),
            fewer if fewer < least => (least, moved) = (fewer, Instant::now()),
            left if moved.elapsed() > PATIENCE => bail!(
                "{left} events, outcomes and announcements stay where they are: start the source again and look at its log"
            ),
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}
