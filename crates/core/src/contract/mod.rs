//! Contracts: everything that a receiver can observe, as data.
//!
//! A contract is one TOML file. Whimbrel brings four of them (`proto/contracts/`), a deployment can add
//! its own, and nothing in the code asks which one it has: what differs between providers is a field here.

mod body;
mod catalogue;
mod check;
mod encoding;
mod headers;
mod in_force;
mod limits;
mod name;
mod parse;
mod post;
mod retry;
mod rotation;
mod secret_form;
mod set;
mod signature;
mod suspension;

#[cfg(test)]
mod invariant_tests;
#[cfg(test)]
mod table_tests;

use std::time::Duration;

pub use body::{BodyForm, BodyFormat, BodyShape, EnvelopeField, FieldSource};
pub use catalogue::{Catalogue, CatalogueType};
pub use check::ContractError;
pub use encoding::Encoding;
pub use headers::{HeaderField, HeaderSource, Headers};
pub use in_force::Contracts;
pub use limits::Limits;
pub use name::{ContractName, ContractNameError};
pub use retry::Retry;
pub use rotation::{OldSignature, Rotation};
pub use secret_form::{OwnSecret, SecretForm};
pub use set::ContractSet;
pub use signature::{Affix, KeyDerivation, Piece, Signature};
pub use suspension::{FailingFor, Suspension};

/// The event that the API's test route sends, under every contract and outside every catalogue.
pub const TEST_EVENT: &str = "webhook.test";

/// What the receivers of a tenant see and how deliveries to them behave. Made by [`Contract::parse`] only,
/// so a contract that exists keeps its invariants.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    name: ContractName,
    title: String,
    description: String,
    body: BodyForm,
    headers: Headers,
    signature: Signature,
    rotation: Rotation,
    secret: SecretForm,
    post: post::Post,
    retry: Retry,
    suspension: Suspension,
    limits: Limits,
    catalogue: Catalogue,
}

impl Contract {
    /// Its name: the stem of its file.
    pub fn name(&self) -> &ContractName {
        &self.name
    }

    /// A name for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What it is, in a sentence or two.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How a body is made of an event.
    pub fn body(&self) -> &BodyForm {
        &self.body
    }

    /// The headers besides the signature's.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The name of every header of its own that a request can carry: its fields, the signature, and the old signature's,
    /// even outside a rotation.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        let old = match self.rotation.old() {
            OldSignature::SameHeader => None,
            OldSignature::Header(name) => Some(name.as_str()),
        };
        self.headers.fields().iter().map(|field| field.name.as_str()).chain([self.signature.header()]).chain(old)
    }

    /// How a request is signed.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What happens while two secrets are in force.
    pub fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// What secrets look like.
    pub fn secret(&self) -> &SecretForm {
        &self.secret
    }

    /// One deadline from connecting to the status line.
    pub fn timeout(&self) -> Duration {
        self.post.timeout()
    }

    /// Whether plain HTTP is refused.
    pub fn https_only(&self) -> bool {
        self.post.https_only()
    }

    /// How many bytes of a response are kept for the log.
    pub fn response_capture_bytes(&self) -> usize {
        self.post.response_capture_bytes()
    }

    /// The delays between attempts.
    pub fn retry(&self) -> &Retry {
        &self.retry
    }

    /// Whether delays are lengthened at random.
    pub fn has_jitter(&self) -> bool {
        self.retry.jitter() > 0.0
    }

    /// When an endpoint is suspended or slowed.
    pub fn suspension(&self) -> &Suspension {
        &self.suspension
    }

    /// What a tenant may have and send.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The event types it names.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The same contract with every retry delay multiplied, for demos and tests. `factor` must be a
    /// positive number; the configuration refuses others.
    pub fn scaled(self, factor: f64) -> Self {
        Self { retry: self.retry.scaled(factor), ..self }
    }
}
