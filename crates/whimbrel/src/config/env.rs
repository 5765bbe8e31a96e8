//! `WHIMBREL_…` variables. Unknown ones only warn: Kubernetes injects `WHIMBREL_PORT` and the like
//! (rule 32).

use std::collections::HashMap;

use config::Environment;

/// Every key that a variable may set. A test holds it against the struct.
pub(super) const KEYS: [&str; 31] = [
    "listen",
    "ops_listen",
    "data_dir",
    "database_url",
    "amqp_url",
    "admin_key",
    "contracts_dir",
    "default_contract",
    "retention",
    "retry_scale",
    "database.connections",
    "amqp.tenant_from_user_id",
    "amqp.trusted_users",
    "amqp.redrive_url",
    "egress.allow_http",
    "egress.allow_networks",
    "egress.proxy",
    "secrets.keys",
    "ingest.tenant_budget",
    "sender.live_slots",
    "sender.slow_slots",
    "sender.bulk_slots",
    "sender.endpoint_in_flight",
    "sender.grace",
    "sender.traceparent",
    "tracker.sweep_grace",
    "tracker.window",
    "tracker.upkeep_interval",
    "log.level",
    "log.format",
    "config",
];

/// Variables that other commands read.
const OTHERS: [&str; 4] = ["WHIMBREL_URL", "WHIMBREL_KEY", "WHIMBREL_CONFIG", "WHIMBREL_MANAGEMENT_URL"];

/// The known variables as a source of configuration.
pub(super) fn source(vars: impl Iterator<Item = (String, String)>) -> Environment {
    let (known, unknown): (HashMap<_, _>, HashMap<_, _>) = vars
        .filter(|(name, _)| name.starts_with("WHIMBREL_") && !OTHERS.contains(&name.as_str()))
        .partition(|(name, _)| is_known(name));
    for name in unknown.keys() {
        // Telemetry is not up yet: its settings are being read here.
        eprintln!("whimbrel: the variable {name} is not one of Whimbrel's and is ignored");
    }
    Environment::with_prefix("WHIMBREL").prefix_separator("_").separator("__").source(Some(known))
}

fn is_known(name: &str) -> bool {
    let key = name.trim_start_matches("WHIMBREL_").to_lowercase().replace("__", ".");
    KEYS.contains(&key.as_str())
}
