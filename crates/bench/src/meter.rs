//! What a stretch of time cost: CPU and memory by part, and what else the machine did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::process::{self, Cpu};
use crate::receiver::Receiver;
use crate::result::Part;
use crate::servers::Servers;
use crate::system::System;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Figures by part.
pub type ByPart = BTreeMap<Part, f64>;

/// Runs from [`Meter::start`] to [`Meter::stop`].
pub struct Meter<'a> {
    receiver: &'a Receiver,
    processes: Vec<(Part, i32)>,
    before: Snapshot,
    memory: Arc<Mutex<Memory>>,
    watch: JoinHandle<()>,
}

/// What it found.
#[derive(Debug, Clone)]
pub struct Used {
    /// How long.
    pub seconds: f64,
    /// CPU microseconds.
    pub cpu_us: ByPart,
    /// CPU microseconds of processes that are none of ours.
    pub others_us: f64,
    /// Highest resident size in MiB; of several processes of one part, their sum.
    pub peak_mib: ByPart,
    /// Resident size in MiB, looked at every second.
    pub series: Vec<(f64, ByPart)>,
}

/// Running totals; times in microseconds.
struct Snapshot {
    at: u64,
    cpu: BTreeMap<Part, Cpu>,
    receiver: u64,
    machine: u64,
}

#[derive(Default)]
struct Memory {
    postgres_peak: f64,
    series: Vec<(f64, ByPart)>,
}

impl<'a> Meter<'a> {
    /// Starts with fresh peaks.
    pub fn start(system: &System, servers: &Servers, receiver: &'a Receiver) -> Self {
        let mut processes = system.pids();
        if let (Some(_), Some((postgres, rabbitmq))) = (system.amqp_url(), servers.pids()) {
            processes.extend([(Part::Postgres, postgres), (Part::Rabbitmq, rabbitmq)]);
        }
        for (_, id) in &processes {
            process::reset_peak(*id);
        }
        let memory = Arc::new(Mutex::new(Memory::default()));
        let watch = tokio::spawn(watch(processes.clone(), memory.clone()));
        let before = Snapshot::take(&processes, receiver);
        Self { receiver, processes, before, memory, watch }
    }

    /// Reads everything once more.
    pub fn stop(self) -> Used {
        let after = Snapshot::take(&self.processes, self.receiver);
        self.watch.abort();
        let cpu_us = after.since(&self.before);
        let ours: f64 = cpu_us.values().sum();
        let all = float(after.machine.saturating_sub(self.before.machine));
        let memory = std::mem::take(&mut *self.memory.lock().unwrap_or_else(PoisonError::into_inner));
        Used {
            seconds: float(after.at - self.before.at) / 1e6,
            others_us: (all - ours).max(0.0),
            peak_mib: peaks(&self.processes, memory.postgres_peak),
            series: memory.series,
            cpu_us,
        }
    }
}

impl Snapshot {
    fn take(processes: &[(Part, i32)], receiver: &Receiver) -> Self {
        let mut cpu = BTreeMap::from([(Part::Load, process::own_cpu())]);
        for (part, id) in processes {
            let sum: &mut Cpu = cpu.entry(*part).or_default();
            *sum = sum.and(process::tree_cpu(*id));
        }
        Self { at: receiver.now_us(), cpu, receiver: receiver.cpu_us(), machine: process::machine_cpu_us() }
    }

    /// CPU microseconds by part. The receiver is a thread of this process, and the rest of it is the load.
    fn since(&self, before: &Self) -> ByPart {
        let of = |part: &Part| before.cpu.get(part).copied().unwrap_or_default();
        let mut us: BTreeMap<Part, u64> = self.cpu.iter().map(|(part, cpu)| (*part, cpu.since(of(part)))).collect();
        let receiver = self.receiver.saturating_sub(before.receiver);
        us.entry(Part::Load).and_modify(|load| *load = load.saturating_sub(receiver));
        us.insert(Part::Receiver, receiver);
        us.into_iter().map(|(part, us)| (part, float(us))).collect()
    }
}

/// Looks at memory every second until it is aborted.
async fn watch(processes: Vec<(Part, i32)>, memory: Arc<Mutex<Memory>>) {
    let begun = tokio::time::Instant::now();
    loop {
        let mut now = ByPart::new();
        for (part, id) in &processes {
            *now.entry(*part).or_default() += resident_mib(*part, *id);
        }
        {
            let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.postgres_peak = memory.postgres_peak.max(now.get(&Part::Postgres).copied().unwrap_or(0.0));
            memory.series.push((begun.elapsed().as_secs_f64(), now));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn resident_mib(part: Part, id: i32) -> f64 {
    let kib = if part == Part::Postgres { process::tree_resident_kib(id) } else { process::resident_kib(id) };
    float(kib) / 1024.0
}

/// The kernel keeps each process's peak; PostgreSQL is many, whose sum only looking gives.
fn peaks(processes: &[(Part, i32)], postgres: f64) -> ByPart {
    let mut peaks = ByPart::new();
    for (part, id) in processes {
        let peak = if *part == Part::Postgres { postgres } else { float(process::peak_kib(*id)) / 1024.0 };
        *peaks.entry(*part).or_default() += peak;
    }
    peaks
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "microseconds and counts of one run are far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// The same for a length.
pub fn float_of(count: usize) -> f64 {
    float(count as u64)
}
