//! The table as a definitions file, for brokers that are not Whimbrel's to declare on.

use serde_json::{Value, json};

use super::Topology;
use crate::permissions::{Role, permissions};

impl Topology {
    /// RabbitMQ's definitions format: this topology in `vhost`, and a user with least privilege per role, named
    /// `whimbrel-ROLE`. The users have no password, so nobody can log in as one until it is set.
    pub fn definitions_json(&self, vhost: &str) -> String {
        let definitions = json!({
            "vhosts": [{ "name": vhost }],
            "users": Role::ALL.map(user),
            "permissions": Role::ALL.map(|role| rights(role, vhost)),
            "exchanges": self.exchanges.iter().map(|exchange| json!({
                "name": exchange.name,
                "vhost": vhost,
                "type": exchange.kind.as_str(),
                "durable": true,
                "auto_delete": false,
                "internal": false,
                "arguments": exchange.arguments,
            })).collect::<Vec<Value>>(),
            "queues": self.queues.iter().map(|queue| json!({
                "name": queue.name,
                "vhost": vhost,
                "durable": true,
                "auto_delete": false,
                "arguments": queue.arguments,
            })).collect::<Vec<Value>>(),
            "bindings": self.bindings.iter().map(|binding| json!({
                "source": binding.exchange,
                "vhost": vhost,
                "destination": binding.queue,
                "destination_type": "queue",
                "routing_key": binding.key,
                "arguments": {},
            })).collect::<Vec<Value>>(),
        });
        format!("{definitions:#}\n")
    }
}

fn user(role: Role) -> Value {
    json!({
        "name": format!("whimbrel-{role}"),
        "password_hash": "",
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
    })
}

fn rights(role: Role, vhost: &str) -> Value {
    let rights = permissions(role);
    json!({
        "user": format!("whimbrel-{role}"),
        "vhost": vhost,
        "configure": rights.configure,
        "write": rights.write,
        "read": rights.read,
    })
}
