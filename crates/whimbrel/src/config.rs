//! The configuration: defaults, then a file, then `WHIMBREL_…` variables. One struct per section.

mod changes;
mod env;
mod show;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use config::{File, FileFormat};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// Everything that can be set. `whimbrel.example.toml` shows each with its default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// `WHIMBREL_LISTEN`: API and dashboard. Default `127.0.0.1:8080`.
    pub(crate) listen: SocketAddr,
    /// `WHIMBREL_OPS_LISTEN`: health and metrics. Default `127.0.0.1:9090`.
    pub(crate) ops_listen: SocketAddr,
    /// `WHIMBREL_DATA_DIR`: the embedded engine's folder. Default `./whimbrel-data`.
    pub(crate) data_dir: PathBuf,
    /// `WHIMBREL_DATABASE_URL`: PostgreSQL; together with `amqp_url` chooses the distributed engine.
    pub(crate) database_url: Option<SecretString>,
    /// `WHIMBREL_AMQP_URL`: RabbitMQ.
    pub(crate) amqp_url: Option<SecretString>,
    /// `WHIMBREL_ADMIN_KEY`: else one is made at the first start and printed once.
    pub(crate) admin_key: Option<SecretString>,
    /// `WHIMBREL_CONTRACTS_DIR`: TOML files that add contracts to the four built-in ones, or replace them.
    pub(crate) contracts_dir: Option<PathBuf>,
    /// `WHIMBREL_DEFAULT_CONTRACT`: of the tenant `default`. Default `standard`.
    pub(crate) default_contract: String,
    /// `WHIMBREL_RETENTION`: how long the log is kept. Default `30d`.
    #[serde(with = "humantime_serde")]
    pub(crate) retention: Duration,
    /// `WHIMBREL_RETRY_SCALE`: multiplies every retry delay; for demos and tests only. Default 1.
    pub(crate) retry_scale: f64,
    /// How PostgreSQL is used.
    pub(crate) database: Database,
    /// Who may publish for whom.
    pub(crate) amqp: Amqp,
    /// Where connections may go.
    pub(crate) egress: Egress,
    /// Keys for secrets at rest.
    pub(crate) secrets: Secrets,
    /// How events are fanned out.
    pub(crate) ingest: Ingest,
    /// How much a sender does at once.
    pub(crate) sender: Sender,
    /// What the tracker does by the clock.
    pub(crate) tracker: Tracker,
    /// Log lines.
    pub(crate) log: Log,
}

/// How PostgreSQL is used, per process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Database {
    /// `WHIMBREL_DATABASE__CONNECTIONS`: to PostgreSQL, at most. Default 8.
    pub(crate) connections: u32,
}

/// Who may publish events for whom over AMQP (rule 33).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Amqp {
    /// `WHIMBREL_AMQP__TENANT_FROM_USER_ID`: an upstream service publishes for the tenant only that its broker user
    /// is named for. Default false: whoever may publish is trusted for all tenants.
    pub(crate) tenant_from_user_id: bool,
    /// `WHIMBREL_AMQP__TRUSTED_USERS`: broker users that may publish for all tenants all the same: those of the API
    /// and the tracker. Default none.
    #[serde(deserialize_with = "texts")]
    pub(crate) trusted_users: Vec<String>,
    /// `WHIMBREL_AMQP__REDRIVE_URL`: the broker as the user that may bring parked messages back. The API and the
    /// tracker use it, and `amqp_url` when it is not set.
    pub(crate) redrive_url: Option<SecretString>,
}

/// Where connections may go.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Egress {
    /// `WHIMBREL_EGRESS__ALLOW_HTTP`: plain HTTP, where the contract allows it. Default false.
    pub(crate) allow_http: bool,
    /// `WHIMBREL_EGRESS__ALLOW_NETWORKS`: private networks that may be reached, as CIDRs. Default none.
    #[serde(deserialize_with = "networks")]
    pub(crate) allow_networks: Vec<IpNet>,
    /// `WHIMBREL_EGRESS__PROXY`: an HTTP proxy that all deliveries go through, `http://user:password@host:port`. It
    /// then resolves the names, so it must refuse private addresses itself. Default none.
    pub(crate) proxy: Option<SecretString>,
}

/// Keys for secrets at rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Secrets {
    /// `WHIMBREL_SECRETS__KEYS`: `ID:KEY` entries with 32 bytes as base64 or hex; the first seals, all
    /// open. The embedded engine makes one in its folder when none is set; the distributed one refuses.
    pub(crate) keys: Option<SecretString>,
}

/// How events are fanned out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ingest {
    /// `WHIMBREL_INGEST__TENANT_BUDGET`: first attempts a second that a tenant may have in the live lane, per ingest
    /// process, while other tenants publish, too; what is over goes to the bulk lane. Default 1000.
    pub(crate) tenant_budget: u32,
}

/// How much a sender does at once, per process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sender {
    /// `WHIMBREL_SENDER__LIVE_SLOTS`: first attempts under way. Default 224.
    pub(crate) live_slots: usize,
    /// `WHIMBREL_SENDER__SLOW_SLOTS`: retries under way. Default 160.
    pub(crate) slow_slots: usize,
    /// `WHIMBREL_SENDER__BULK_SLOTS`: replays and releases under way. Default 96.
    pub(crate) bulk_slots: usize,
    /// `WHIMBREL_SENDER__ENDPOINT_IN_FLIGHT`: POSTs under way to one endpoint. Default 128.
    pub(crate) endpoint_in_flight: usize,
    /// `WHIMBREL_SENDER__GRACE`: how long POSTs may go on after the stop signal. Default `25s`.
    #[serde(with = "humantime_serde")]
    pub(crate) grace: Duration,
    /// `WHIMBREL_SENDER__TRACEPARENT`: receivers get the header `traceparent`, which names the attempt in the
    /// publisher's trace. Default false.
    pub(crate) traceparent: bool,
}

/// What the tracker does by the clock.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tracker {
    /// `WHIMBREL_TRACKER__SWEEP_GRACE`: how long after it is due a delivery without an outcome is published again.
    /// Ingest needs the same value. Default `10m`.
    #[serde(with = "humantime_serde")]
    pub(crate) sweep_grace: Duration,
    /// `WHIMBREL_TRACKER__WINDOW`: deliveries of one replay or release under way at once. Default 128.
    pub(crate) window: u32,
    /// `WHIMBREL_TRACKER__UPKEEP_INTERVAL`: between rounds of retention, partitions and usage counts. Default `1h`.
    #[serde(with = "humantime_serde")]
    pub(crate) upkeep_interval: Duration,
}

/// Log lines, on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `WHIMBREL_LOG__LEVEL`: `info`, or per crate `info,whimbrel_sender=debug`. Default `info`.
    pub(crate) level: String,
    /// `WHIMBREL_LOG__FORMAT`: `text` or `json`. Default `text`.
    pub(crate) format: LogFormat,
}

/// See [`Log::format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            data_dir: "./whimbrel-data".into(),
            database_url: None,
            amqp_url: None,
            admin_key: None,
            contracts_dir: None,
            default_contract: "standard".into(),
            retention: Duration::from_hours(30 * 24),
            retry_scale: 1.0,
            database: Database::default(),
            amqp: Amqp::default(),
            egress: Egress::default(),
            secrets: Secrets::default(),
            ingest: Ingest::default(),
            sender: Sender::default(),
            tracker: Tracker::default(),
            log: Log::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { connections: whimbrel_postgres::Options::default().connections_max }
    }
}

impl Default for Sender {
    fn default() -> Self {
        let [live_slots, slow_slots, bulk_slots] = whimbrel_sender::SenderConfig::default().slots;
        let whimbrel_sender::SenderConfig { endpoint_in_flight_max, grace, traceparent, .. } =
            whimbrel_sender::SenderConfig::default();
        Self { live_slots, slow_slots, bulk_slots, endpoint_in_flight: endpoint_in_flight_max, grace, traceparent }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { tenant_budget: 1_000 }
    }
}

impl Default for Tracker {
    fn default() -> Self {
        let whimbrel_tracker::DutyConfig { sweep_base, window, upkeep_interval, .. } =
            whimbrel_tracker::DutyConfig::default();
        Self { sweep_grace: sweep_base, window, upkeep_interval }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

impl Config {
    /// Reads the file, when one is named, and the environment.
    ///
    /// # Errors
    /// With the file or variable at fault and what it should hold.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = config::Config::builder();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        let config: Self = builder.add_source(env::source(std::env::vars())).build()?.try_deserialize()?;
        config.check()?;
        Ok(config)
    }

    /// The sizes of the store on PostgreSQL.
    pub(crate) fn postgres(&self) -> whimbrel_postgres::Options {
        whimbrel_postgres::Options {
            connections_max: self.database.connections,
            ..whimbrel_postgres::Options::default()
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.retry_scale.is_finite() && self.retry_scale > 0.0,
            "retry_scale must be a number above 0, not {}",
            self.retry_scale
        );
        ensure!(
            (2..=1_000).contains(&self.database.connections),
            "database.connections must lie between 2 and 1000, not {}",
            self.database.connections
        );
        let slots =
            [self.sender.live_slots, self.sender.slow_slots, self.sender.bulk_slots, self.sender.endpoint_in_flight];
        ensure!(
            slots.iter().all(|slots| (1..=100_000).contains(slots)),
            "the sender's slots must lie between 1 and 100000"
        );
        ensure!(self.ingest.tenant_budget > 0, "ingest.tenant_budget must be at least 1");
        ensure!(
            self.tracker.sweep_grace >= Duration::from_secs(1),
            "tracker.sweep_grace must be at least 1s, not {}",
            humantime::format_duration(self.tracker.sweep_grace)
        );
        ensure!(
            (1..=10_000).contains(&self.tracker.window),
            "tracker.window must lie between 1 and 10000, not {}",
            self.tracker.window
        );
        ensure!(
            self.tracker.upkeep_interval >= Duration::from_secs(1),
            "tracker.upkeep_interval must be at least 1s, not {}",
            humantime::format_duration(self.tracker.upkeep_interval)
        );
        Ok(())
    }
}

/// A list, or the same as one text with commas, as a variable holds it.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::List(entries) => entries,
        Form::Text(text) => {
            text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
        }
    })
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let parse = |entry: String| {
        entry.parse().map_err(|_| {
            serde::de::Error::custom(format!("`{entry}` in egress.allow_networks is not a network such as 10.0.0.0/8"))
        })
    };
    texts(deserializer)?.into_iter().map(parse).collect()
}
