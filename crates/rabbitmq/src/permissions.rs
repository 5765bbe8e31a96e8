//! What each user may do: no more than its role needs (rule 24).

use std::fmt;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A service that publishes events.
    Upstream,
    /// The HTTP API.
    Api,
    /// Ingest.
    Ingest,
    /// A sender.
    Sender,
    /// The tracker.
    Tracker,
    /// Brings parked and unroutable messages back.
    Redrive,
    /// Declares the topology.
    Topology,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] =
        [Self::Upstream, Self::Api, Self::Ingest, Self::Sender, Self::Tracker, Self::Redrive, Self::Topology];

    /// The word in names of users and connections.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Api => "api",
            Self::Ingest => "ingest",
            Self::Sender => "sender",
            Self::Tracker => "tracker",
            Self::Redrive => "redrive",
            Self::Topology => "topology",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// RabbitMQ's three rights, each a regular expression over names of exchanges and queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// May declare and delete.
    pub configure: &'static str,
    /// May publish to, and bind.
    pub write: &'static str,
    /// May consume, and bind to.
    pub read: &'static str,
}

const NOTHING: &str = "^$";

/// The rights of a role. Api, ingest and sender hear notices through queues of their own, which they declare
/// and bind themselves.
pub const fn permissions(role: Role) -> Permissions {
    let (configure, write, read) = match role {
        Role::Upstream => (NOTHING, r"^whimbrel\.events$", NOTHING),
        Role::Api => (OWN_NOTICES, r"^whimbrel\.((events|notices)$|notices\.)", r"^whimbrel\.notices(\.|$)"),
        Role::Ingest => (
            OWN_NOTICES,
            r"^whimbrel\.((jobs|notices|parking)$|notices\.)",
            r"^whimbrel\.(events\.v[0-9]+$|notices(\.|$))",
        ),
        Role::Sender => (
            OWN_NOTICES,
            r"^whimbrel\.((jobs|delay|outcomes|parking)$|notices\.)",
            r"^whimbrel\.(jobs\.|notices(\.|$))",
        ),
        Role::Tracker => {
            (NOTHING, r"^whimbrel\.(jobs|delay|events|notices|parking)$", r"^whimbrel\.outcomes\.v[0-9]+$")
        }
        // Parking is written, too: what was looked at too often is put down anew.
        Role::Redrive => {
            (NOTHING, r"^whimbrel\.(events|jobs|outcomes|parking)$", r"^whimbrel\.(parking|unroutable)\.v[0-9]+$")
        }
        Role::Topology => (r"^whimbrel\.", r"^whimbrel\.", r"^whimbrel\."),
    };
    Permissions { configure, write, read }
}

const OWN_NOTICES: &str = r"^whimbrel\.notices\.";
