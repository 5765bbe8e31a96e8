//! The effective configuration as TOML, secrets masked.

use std::fmt;

use secrecy::SecretString;

use super::{Config, LogFormat};

const MASKED: &str = "********";

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<String> = self.egress.allow_networks.iter().map(|network| format!("\"{network}\"")).collect();
        writeln!(f, "listen = \"{}\"", self.listen)?;
        writeln!(f, "ops_listen = \"{}\"", self.ops_listen)?;
        writeln!(f, "data_dir = {:?}", self.data_dir.display().to_string())?;
        secret(f, "database_url", self.database_url.as_ref())?;
        secret(f, "amqp_url", self.amqp_url.as_ref())?;
        secret(f, "admin_key", self.admin_key.as_ref())?;
        if let Some(dir) = &self.contracts_dir {
            writeln!(f, "contracts_dir = {:?}", dir.display().to_string())?;
        }
        writeln!(f, "default_contract = {:?}", self.default_contract)?;
        writeln!(f, "retention = \"{}\"", humantime::format_duration(self.retention))?;
        writeln!(f, "retry_scale = {:?}", self.retry_scale)?;
        writeln!(f, "\n[database]\nconnections = {}", self.database.connections)?;
        writeln!(f, "\n[amqp]\ntenant_from_user_id = {}", self.amqp.tenant_from_user_id)?;
        writeln!(f, "trusted_users = {:?}", self.amqp.trusted_users)?;
        secret(f, "redrive_url", self.amqp.redrive_url.as_ref())?;
        writeln!(f, "\n[egress]\nallow_http = {}\nallow_networks = [{}]", self.egress.allow_http, networks.join(", "))?;
        secret(f, "proxy", self.egress.proxy.as_ref())?;
        writeln!(f, "\n[secrets]")?;
        secret(f, "keys", self.secrets.keys.as_ref())?;
        writeln!(f, "\n[ingest]\ntenant_budget = {}", self.ingest.tenant_budget)?;
        writeln!(f, "\n[sender]\nlive_slots = {}\nslow_slots = {}", self.sender.live_slots, self.sender.slow_slots)?;
        writeln!(
            f,
            "bulk_slots = {}\nendpoint_in_flight = {}",
            self.sender.bulk_slots, self.sender.endpoint_in_flight
        )?;
        writeln!(f, "grace = \"{}\"", humantime::format_duration(self.sender.grace))?;
        writeln!(f, "traceparent = {}", self.sender.traceparent)?;
        writeln!(f, "\n[tracker]\nsweep_grace = \"{}\"", humantime::format_duration(self.tracker.sweep_grace))?;
        writeln!(f, "window = {}", self.tracker.window)?;
        writeln!(f, "upkeep_interval = \"{}\"", humantime::format_duration(self.tracker.upkeep_interval))?;
        let format = match self.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        writeln!(f, "\n[log]\nlevel = {:?}\nformat = \"{format}\"", self.log.level)
    }
}

fn secret(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&SecretString>) -> fmt::Result {
    match value {
        Some(_) => writeln!(f, "{key} = \"{MASKED}\""),
        None => writeln!(f, "# {key} is not set"),
    }
}
