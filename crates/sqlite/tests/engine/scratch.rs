use std::time::{Duration, Instant};
use bytes::Bytes;
use whimbrel_core::contract::ContractName;
use whimbrel_core::delivery::*;
use whimbrel_core::endpoint::*;
use whimbrel_core::event::*;
use whimbrel_core::outcome::*;
use whimbrel_core::port::*;
use whimbrel_core::secret::*;
use whimbrel_core::tenant::*;
use whimbrel_core::*;
use whimbrel_core::subscription::*;
use crate::common::{self, message};
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10_000.0
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flow() -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in("/tmp")?;
    let engine = common::open_at(dir.path(), Default::default()).await?;
    let (store, queue) = (engine.store(), engine.queue());
    let c = SystemClock;
    let contract = ContractName::try_new("standard")?;
    let tenant = TenantId::try_new("acme")?;
    store.create_tenant(&Tenant { id: tenant.clone(), name: None, contract: contract.clone(), created_at: c.now() }).await?;
    let e = Endpoint { id: EndpointId::generate(c.now(), c.random10()), tenant: tenant.clone(), contract: contract.clone(), url: "u".into(), events: vec!["*".parse()?], description: None, secrets: SecretPair::new(Secret::new("s")), status: EndpointStatus::Active, health: Health::default(), version: 1, activated_at: None, created_at: c.now() };
    store.create_endpoint(&e, None).await?;
    const N: usize = 128; const ROUNDS: usize = 80;
    let body = Bytes::from(vec![b'x'; 1024]);
    let (mut t_pub, mut t_acc, mut t_job, mut t_out, mut t_set) = (Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut cpus = [0.0; 5];
    let mut ce = queue.consume(Source::Events, 1000).await?;
    let mut cj = queue.consume(Source::Jobs(Lane::Live), 1000).await?;
    let mut co = queue.consume(Source::Outcomes, 1000).await?;
    let p = queue.publisher();
    let start = Instant::now(); let cpu0 = cpu();
    for _ in 0..ROUNDS {
        let (t, u) = (Instant::now(), cpu());
        p.publish((0..N).map(|_| message(Route::Events("a.b".into()), body.clone())).collect()).await?;
        let r = common::take(&mut *ce, N).await?;
        t_pub += t.elapsed(); cpus[0] += cpu() - u; let (t, u) = (Instant::now(), cpu());
        let batch: Vec<Fanout> = r.iter().map(|_| { let id = EventId::generate(c.now(), c.random10());
            Fanout { deliveries: vec![Delivery::new(id, e.id, DeliveryState::Pending)], sweep_at: c.now() + Duration::from_secs(300), event: Event { id, tenant: tenant.clone(), event_type: EventType::try_new("a.b").unwrap(), occurred_at: c.now(), body: body.clone(), data_range: 0..1024, trace: TraceContext { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(), tracestate: String::new() }, only_endpoint: None } } }).collect();
        let acc = store.accept(&batch).await?;
        t_acc += t.elapsed(); cpus[1] += cpu() - u; let (t, u) = (Instant::now(), cpu());
        let pending: Vec<Delivery> = acc.into_iter().flat_map(|a| a.pending).collect();
        p.publish((0..N / 16).map(|_| message(Route::Jobs(Lane::Live), Bytes::from(vec![1; 16 * 1200]))).collect()).await?;
        ce.acker().ack_through(r.last().unwrap().tag).await?;
        let r = common::take(&mut *cj, N / 16).await?;
        t_job += t.elapsed(); cpus[2] += cpu() - u; let (t, u) = (Instant::now(), cpu());
        p.publish((0..N / 64).map(|_| message(Route::Outcomes, Bytes::from(vec![1; 64 * 150]))).collect()).await?;
        cj.acker().ack_through(r.last().unwrap().tag).await?;
        let r = common::take(&mut *co, N / 64).await?;
        t_out += t.elapsed(); cpus[3] += cpu() - u; let (t, u) = (Instant::now(), cpu());
        let outs: Vec<Outcome> = pending.iter().map(|d| Outcome { delivery: d.id, event: d.event, endpoint: d.endpoint, round: 1, attempt: 1, contract: contract.clone(), trace: TraceContext::default(), fate: Fate::Attempted(Attempted { execution: ExecutionId::generate(c.now(), c.random10()), started_at: c.now(), duration: Duration::from_millis(3), reply: Reply::Response { status: 200, body: Bytes::from_static(b"ok"), retry_after: None } }) }).collect();
        let now = c.now();
        store.settle(&outs, &|facts: &Facts| Decision { deliveries: facts.deliveries.values().map(|d| DeliveryChange { delivery: Delivery { state: DeliveryState::Succeeded { at: now }, ..*d }, attempts_added: 1, last: Some((Some(200), None)), sweep_at: None }).collect(), ..Default::default() }).await?;
        co.acker().ack_through(r.last().unwrap().tag).await?;
        t_set += t.elapsed(); cpus[4] += cpu() - u;
    }
    let n = (N * ROUNDS) as f64;
    let us = |d: Duration| d.as_secs_f64() * 1e6 / n;
    println!("wall us/delivery: publish {:.1} accept {:.1} jobs {:.1} outcomes {:.1} settle {:.1}", us(t_pub), us(t_acc), us(t_job), us(t_out), us(t_set));
    println!("cpu us/delivery: {:?} total {:.1}; {:.0}/s; commits {}", cpus.map(|c| c / n), (cpu() - cpu0) / n, n / start.elapsed().as_secs_f64(), engine.tally().commits());
    Ok(())
}
