//! What the figures were measured on, and with which versions.

use std::fs;

use anyhow::{Context, Result};
use reqwest::Method;
use serde::Serialize;
use whimbrel_testkit::postgres::psql;

use crate::servers::Servers;

/// The machine and its software.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// The kernel's release.
    pub kernel: String,
    /// Whimbrel's version.
    pub whimbrel: String,
    /// PostgreSQL's version, where it was used.
    pub postgres: Option<String>,
    /// RabbitMQ's version and that of Erlang, where they were used.
    pub rabbitmq: Option<String>,
    /// When, in UTC, to the minute.
    pub measured_at: String,
}

impl Machine {
    /// This one; asks the servers for their versions.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn of_this(servers: &Servers) -> Result<Self> {
        let (postgres, rabbitmq) = match servers {
            Servers::Private { postgres, broker, .. } => {
                let version = psql(&postgres.url("postgres"), "SHOW server_version").await?;
                let overview = broker.management().call(Method::GET, &["overview"], None).await?;
                let of = |field: &str| overview[field].as_str().unwrap_or("?").to_owned();
                (Some(version), Some(format!("{} on Erlang {}", of("rabbitmq_version"), of("erlang_version"))))
            }
            Servers::Shared | Servers::None => (None, None),
        };
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory_gib(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            whimbrel: String::new(),
            postgres,
            rabbitmq,
            measured_at: minute()?,
        })
    }
}

/// The value of the first line `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_gib() -> f64 {
    let total = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib: f64 = total.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    (kib / 1024.0 / 1024.0).round()
}

fn minute() -> Result<String> {
    let seconds = i64::try_from(whimbrel_testkit::wait::unix_now().as_secs())?;
    let now = time::UtcDateTime::from_unix_timestamp(seconds)?;
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]");
    now.format(&format).context("a time of this century has a text")
}
