//! The table as a definitions file, for brokers that are not Whimbrel's to declare on.

use serde::Serialize;

use super::{Arguments, Topology};
use crate::permissions::{Role, permissions};

impl Topology {
    /// RabbitMQ's definitions format: this topology in `vhost`, and a user with least privilege per role, named
    /// `whimbrel-ROLE`. The users have no password, so nobody can log in as one until it is set.
    pub fn definitions_json(&self, vhost: &str) -> String {
        let definitions = Definitions {
            vhosts: [Vhost { name: vhost }],
            users: Role::ALL.map(user),
            permissions: Role::ALL.map(|role| rights(role, vhost)),
            exchanges: self.exchanges(vhost),
            queues: self.queues(vhost),
            bindings: self.bindings(vhost),
        };
        let mut text = serde_json::to_string_pretty(&definitions).expect("texts, numbers and flags only");
        text.push('\n');
        text
    }

    fn exchanges<'a>(&'a self, vhost: &'a str) -> Vec<Exchange<'a>> {
        let exchange = |exchange: &'a super::Exchange| Exchange {
            name: exchange.name,
            vhost,
            kind: exchange.kind.as_str(),
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: &exchange.arguments,
        };
        self.exchanges.iter().map(exchange).collect()
    }

    fn queues<'a>(&'a self, vhost: &'a str) -> Vec<Queue<'a>> {
        let queue = |queue: &'a super::Queue| Queue {
            name: &queue.name,
            vhost,
            durable: true,
            auto_delete: false,
            arguments: &queue.arguments,
        };
        self.queues.iter().map(queue).collect()
    }

    fn bindings<'a>(&'a self, vhost: &'a str) -> Vec<Binding<'a>> {
        let binding = |binding: &'a super::Binding| Binding {
            source: binding.exchange,
            vhost,
            destination: &binding.queue,
            destination_type: "queue",
            routing_key: &binding.key,
            arguments: Arguments::new(),
        };
        self.bindings.iter().map(binding).collect()
    }
}

fn user(role: Role) -> User {
    User { name: name(role), password_hash: "", hashing_algorithm: "rabbit_password_hashing_sha256", tags: [] }
}

fn rights(role: Role, vhost: &str) -> Rights<'_> {
    let rights = permissions(role);
    Rights { user: name(role), vhost, configure: rights.configure, write: rights.write, read: rights.read }
}

fn name(role: Role) -> String {
    format!("whimbrel-{role}")
}

// Structs, whose fields keep this order in the file whatever features serde_json is built with.

#[derive(Serialize)]
struct Definitions<'a> {
    vhosts: [Vhost<'a>; 1],
    users: [User; Role::ALL.len()],
    permissions: [Rights<'a>; Role::ALL.len()],
    exchanges: Vec<Exchange<'a>>,
    queues: Vec<Queue<'a>>,
    bindings: Vec<Binding<'a>>,
}

#[derive(Serialize)]
struct Vhost<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct User {
    name: String,
    password_hash: &'static str,
    hashing_algorithm: &'static str,
    tags: [&'static str; 0],
}

#[derive(Serialize)]
struct Rights<'a> {
    user: String,
    vhost: &'a str,
    configure: &'a str,
    write: &'a str,
    read: &'a str,
}

#[derive(Serialize)]
struct Exchange<'a> {
    name: &'a str,
    vhost: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: &'a Arguments,
}

#[derive(Serialize)]
struct Queue<'a> {
    name: &'a str,
    vhost: &'a str,
    durable: bool,
    auto_delete: bool,
    arguments: &'a Arguments,
}

#[derive(Serialize)]
struct Binding<'a> {
    source: &'a str,
    vhost: &'a str,
    destination: &'a str,
    destination_type: &'a str,
    routing_key: &'a str,
    arguments: Arguments,
}
