//! One measured stretch on one system: publish, wait, check, count.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ring::hmac;

use crate::bench::Bench;
use crate::floor::{Intake, Packing, Work};
use crate::load::{AmqpIntake, Events};
use crate::meter::{ByPart, Meter, Used, float, float_of};
use crate::receiver::{Behaviour, Endpoint, Faults, Plan, Receipts, Targets};
use crate::result::{Measured, Percentiles, Scenario, curve};
use crate::system::{Engine, Setup, System, Webhook, secret};

/// How long nothing may arrive before what is missing counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Events that are published before anything is measured: connections are made, caches are filled.
const WARM_UP: usize = 20;

/// How events are published.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// One after the other on so many connections.
    Http(usize),
    /// So many a second.
    HttpPaced(f64),
    /// In batches, one after the other.
    HttpBatches,
    /// With pipelined confirms.
    Amqp,
}

/// A case to measure.
#[derive(Debug, Clone)]
pub struct Case {
    /// Of which scenario.
    pub scenario: Scenario,
    /// In words.
    pub name: String,
    /// How events are published.
    pub load: Load,
    /// How much is shared.
    pub packing: Packing,
    /// Events that must arrive, and whose latency is measured; `None` stands for all.
    pub healthy: Option<Vec<bool>>,
    /// Whether every delivery comes to its end during the case.
    pub settles: bool,
}

impl Case {
    /// One in which everything is delivered.
    pub fn new(scenario: Scenario, name: impl Into<String>, load: Load) -> Self {
        let packing = if matches!(load, Load::HttpPaced(_)) { Packing::Single } else { Packing::Full };
        Self { scenario, name: name.into(), load, packing, healthy: None, settles: true }
    }
}

/// A system with its webhooks, warmed up.
pub struct Round<'a> {
    bench: &'a Bench,
    /// The system.
    pub system: System,
    behaviours: Vec<Behaviour>,
    /// Attempts whose results were stored before.
    attempts: u64,
}

impl<'a> Round<'a> {
    /// Starts a system with an endpoint for each behaviour, which get all events or each its own.
    ///
    /// # Errors
    /// When it does not come up, or does not deliver the events of the warm-up.
    pub async fn start(
        bench: &'a Bench,
        engine: Engine,
        setup: &Setup,
        behaviours: Vec<Behaviour>,
        gets_all: bool,
    ) -> Result<Self> {
        let system = bench.start(engine, setup).await?;
        let url = |endpoint, behaviour| bench.receiver.url(endpoint, behaviour);
        let webhooks = behaviours.iter().enumerate().map(|(endpoint, behaviour)| Webhook {
            endpoint,
            url: url(endpoint, *behaviour),
            gets_all,
            retries: setup.first_delay.filter(|_| *behaviour == Behaviour::Fail).map(schedule),
        });
        system.subscribe(webhooks.collect()).await?;
        let mut round = Self { bench, system, behaviours, attempts: 0 };
        round.warm_up(gets_all).await?;
        Ok(round)
    }

    /// From the next plan on an endpoint behaves otherwise. Its address stays.
    pub fn behave(&mut self, endpoint: usize, behaviour: Behaviour) {
        self.behaviours[endpoint] = behaviour;
    }

    /// Measures one case.
    ///
    /// # Errors
    /// When intake refuses an event, or the results of attempts do not get stored.
    pub async fn measure(&mut self, case: &Case, events: &Events) -> Result<Measured> {
        let receiver = &self.bench.receiver;
        receiver.expect(self.plan(events.count(), events.targets(), case.healthy.clone()));
        let meter = Meter::start(&self.system, &self.bench.servers, receiver);
        let sent = self.publish(case.load, events).await?;
        receiver.complete(PATIENCE).await;
        let requests = receiver.look(crate::receiver::Tally::requests);
        if case.settles {
            self.attempts += requests;
            self.system.settled(self.attempts, PATIENCE * 2).await?;
        }
        let used = meter.stop();
        let receipts = receiver.take();
        Ok(self.figures(case, &sent, &receipts, &used))
    }

    /// Publishes; gives the time at which each event was begun, or due.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn publish(&self, load: Load, events: &Events) -> Result<Vec<u64>> {
        let (intake, receiver) = (self.system.intake(), &self.bench.receiver);
        match load {
            Load::Http(concurrency) => intake.flood(events, concurrency, receiver).await,
            Load::HttpPaced(per_second) => intake.paced(events, per_second, receiver).await,
            Load::HttpBatches => intake.batches(events, receiver).await,
            Load::Amqp => {
                let url = self.system.amqp_url().context("the embedded engine has no intake over AMQP")?;
                AmqpIntake::open(url).await?.flood(events, receiver).await
            }
        }
    }

    /// What the receiver is to expect of so many events.
    pub fn plan(&self, events: usize, targets: &Targets, awaited: Option<Vec<bool>>) -> Plan {
        let endpoint = |(number, behaviour): (usize, &Behaviour)| Endpoint {
            behaviour: *behaviour,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret(number)),
        };
        let endpoints = self.behaviours.iter().enumerate().map(endpoint).collect();
        Plan { endpoints, events, targets: targets.clone(), awaited }
    }

    /// The figures of a stretch that has ended.
    pub fn figures(&self, case: &Case, sent: &[u64], receipts: &Receipts, used: &Used) -> Measured {
        let latencies = latencies(case, sent, receipts);
        let deliveries = float(receipts.requests);
        let start = sent.iter().copied().min().unwrap_or(0);
        let end = receipts.first_us.iter().copied().max().unwrap_or(start);
        let seconds = float(end.saturating_sub(start)) / 1e6;
        let work = self.work(case, receipts.each, 1.0);
        let limits = &self.bench.limits;
        let paced = matches!(case.load, Load::HttpPaced(_));
        let mut measured = Measured {
            scenario: case.scenario,
            case: case.name.clone(),
            engine: self.system.engine,
            deliveries,
            seconds,
            per_second: if seconds > 0.0 { deliveries / seconds } else { 0.0 },
            cpu_us: self.net(used, deliveries),
            cpu_gross_us: used.cpu_us.iter().map(|(part, us)| (*part, us / deliveries.max(1.0))).collect(),
            peak_mib: used.peak_mib.clone(),
            work,
            floor_us: 0.0,
            ratio: 0.0,
            floor_ms: paced.then(|| limits.floor_ms(self.system.engine)),
            other_cores: used.others_us / 1e6 / used.seconds.max(1e-3),
            further: BTreeMap::new(),
            faults: faults(case, receipts),
            complaint: None,
            curve: curve(latencies.clone()),
            timeline: timeline(start, receipts),
            latency_ms: Percentiles::of(latencies),
            memory: if case.scenario == Scenario::Soak { used.series.clone() } else { Vec::new() },
        };
        measured.hold_against(limits);
        measured
    }

    /// What a delivery of this case needs.
    pub fn work(&self, case: &Case, fan_out: usize, attempts: f64) -> Work {
        let intake = match case.load {
            Load::Http(_) | Load::HttpPaced(_) => Intake::Http,
            Load::HttpBatches => Intake::Batch,
            Load::Amqp => Intake::Amqp,
        };
        Work { engine: self.system.engine, intake, fan_out, packing: case.packing, attempts }
    }

    /// CPU microseconds a delivery, less what an idle system takes in that time.
    fn net(&self, used: &Used, deliveries: f64) -> ByPart {
        let idle = self.bench.idle.get(&self.system.engine);
        let of_idle = |part| idle.and_then(|idle| idle.get(part)).copied().unwrap_or(0.0) * used.seconds;
        used.cpu_us.iter().map(|(part, us)| (*part, (us - of_idle(part)).max(0.0) / deliveries.max(1.0))).collect()
    }

    async fn warm_up(&mut self, gets_all: bool) -> Result<()> {
        let quick = |behaviour: &Behaviour| match behaviour {
            Behaviour::Answer => true,
            Behaviour::After(delay) => *delay < Duration::from_secs(1),
            Behaviour::Never | Behaviour::Fail | Behaviour::Gone => false,
        };
        let endpoints = self.behaviours.iter().enumerate().filter(|(_, behaviour)| quick(behaviour));
        let targets: Vec<usize> = endpoints.map(|(endpoint, _)| endpoint).cycle().take(WARM_UP).collect();
        let targets = if gets_all { Targets::All } else { Targets::One(targets) };
        let (case, events) = (Case::new(Scenario::FanOut, "warm-up", Load::Http(4)), Events::new(WARM_UP, targets));
        let warm = self.measure(&case, &events).await?;
        ensure!(warm.is_complete(), "the warm-up was not delivered well: {:?}", warm.faults);
        Ok(())
    }
}

/// This delay, and one that no case waits for.
fn schedule(first: Duration) -> [String; 2] {
    [format!("{}s", first.as_secs()), "2h".into()]
}

/// Publish to first receipt of each healthy delivery.
fn latencies(case: &Case, sent: &[u64], receipts: &Receipts) -> Vec<u64> {
    let healthy = |event: usize| case.healthy.as_ref().is_none_or(|healthy| healthy[event]);
    let of_event = |(event, sent): (usize, &u64)| -> Vec<u64> {
        let slots = &receipts.first_us[event * receipts.each..(event + 1) * receipts.each];
        slots.iter().filter(|first| **first > 0).map(|first| first.saturating_sub(*sent)).collect()
    };
    sent.iter().enumerate().filter(|(event, _)| healthy(*event)).flat_map(of_event).collect()
}

/// Those of single requests, and what is missing or repeated.
fn faults(case: &Case, receipts: &Receipts) -> Faults {
    let awaited = |slot: usize| case.healthy.as_ref().is_none_or(|healthy| healthy[slot / receipts.each]);
    let missing = receipts.counts.iter().enumerate().filter(|(slot, count)| **count == 0 && awaited(*slot)).count();
    let repeated: u64 = receipts.counts.iter().map(|count| u64::from(count.saturating_sub(1))).sum();
    Faults { missing: missing as u64, repeated, ..receipts.faults }
}

/// Deliveries a second, in up to sixty stretches.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most sixty stretches")]
fn timeline(start: u64, receipts: &Receipts) -> Vec<(f64, f64)> {
    let arrivals: Vec<u64> =
        receipts.first_us.iter().filter(|first| **first > 0).map(|us| us - start.min(*us)).collect();
    let length = float(arrivals.iter().copied().max().unwrap_or(0)) / 1e6;
    let stretch = (length / 60.0).max(0.1);
    let mut counts = vec![0_usize; (length / stretch) as usize + 1];
    for arrival in arrivals {
        counts[(float(arrival) / 1e6 / stretch) as usize] += 1;
    }
    counts.iter().enumerate().map(|(place, count)| (float_of(place) * stretch, float_of(*count) / stretch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts() -> Receipts {
        Receipts {
            each: 2,
            counts: vec![1, 1, 2, 0],
            first_us: vec![150, 160, 900, 0],
            requests: 4,
            faults: Faults { unsigned: 1, ..Faults::default() },
        }
    }

    #[test]
    fn what_is_missing_or_repeated_is_a_fault() {
        let mut case = Case::new(Scenario::Wide, "case", Load::Http(1));
        assert_eq!(faults(&case, &receipts()), Faults { missing: 1, repeated: 1, unsigned: 1, strange: 0 });
        case.healthy = Some(vec![true, false]);
        assert_eq!(faults(&case, &receipts()), Faults { missing: 0, repeated: 1, unsigned: 1, strange: 0 });
    }

    #[test]
    fn latency_is_from_publish_to_first_receipt_of_the_healthy() {
        let mut case = Case::new(Scenario::Wide, "case", Load::Http(1));
        assert_eq!(latencies(&case, &[100, 200], &receipts()), [50, 60, 700]);
        case.healthy = Some(vec![true, false]);
        assert_eq!(latencies(&case, &[100, 200], &receipts()), [50, 60]);
    }

    #[test]
    fn a_timeline_counts_everything_once() {
        let line = timeline(100, &receipts());
        assert!((line.iter().map(|(_, rate)| rate * 0.1).sum::<f64>() - 3.0).abs() < 1e-9, "{line:?}");
    }
}
