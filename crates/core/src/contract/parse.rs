//! From a file's text to a contract.

use serde::Deserialize;

use super::body::RawBody;
use super::catalogue::RawCatalogue;
use super::check::{ContractError, Invalid, ensure, line};
use super::headers::{HeaderSource, RawHeaders};
use super::limits::RawLimits;
use super::post::RawPost;
use super::retry::RawRetry;
use super::rotation::{OldSignature, RawRotation};
use super::secret_form::RawSecret;
use super::signature::{KeyDerivation, Piece, RawSignature};
use super::suspension::RawSuspension;
use super::{Contract, ContractName, Encoding};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContract {
    title: String,
    description: String,
    body: RawBody,
    headers: RawHeaders,
    signature: RawSignature,
    rotation: RawRotation,
    secret: RawSecret,
    delivery: RawPost,
    retry: RawRetry,
    #[serde(default)]
    suspension: RawSuspension,
    limits: RawLimits,
    catalogue: RawCatalogue,
}

impl Contract {
    /// Reads a contract from TOML. `file_name` is `NAME.toml` and gives the contract its name; every
    /// problem is reported with file and field.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, ContractError> {
        let raw = read(file_name, text)?;
        raw.check(file_name).map_err(|invalid| invalid.in_file(file_name))
    }
}

fn read(file: &str, text: &str) -> Result<RawContract, ContractError> {
    let fault = |field: String, error: &toml::de::Error| Invalid::at(field, first_line(error.message())).in_file(file);
    let line_of = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}", before.split('\n').count())
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| fault(line_of(&error), &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| match error.path().to_string() {
        path if path == "." => fault(line_of(error.inner()), error.inner()),
        path => fault(path, error.inner()),
    })
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

impl RawContract {
    fn check(self, file_name: &str) -> Result<Contract, Invalid> {
        let stem =
            file_name.strip_suffix(".toml").ok_or_else(|| Invalid::at("name", "the file must be named NAME.toml"))?;
        let contract = Contract {
            name: ContractName::try_new(stem).map_err(|error| Invalid::at("name", error.to_string()))?,
            title: line("title", self.title)?,
            description: line("description", self.description)?,
            body: self.body.check()?,
            headers: self.headers.check()?,
            signature: self.signature.check()?,
            rotation: self.rotation.check()?,
            secret: self.secret.check()?,
            post: self.delivery.check()?,
            retry: self.retry.check()?,
            suspension: self.suspension.check()?,
            limits: self.limits.check()?,
            catalogue: self.catalogue.check()?,
        };
        check_names(&contract)?;
        check_receiver_can_verify(&contract)?;
        check_key(&contract)?;
        Ok(contract)
    }
}

/// No header is sent twice.
fn check_names(contract: &Contract) -> Result<(), Invalid> {
    let fields = contract.headers.fields().iter().enumerate();
    let mut named: Vec<(String, &str)> =
        fields.map(|(place, field)| (format!("headers.fields[{place}].name"), field.name.as_str())).collect();
    named.push(("signature.header".to_owned(), contract.signature.header()));
    if let OldSignature::Header(name) = contract.rotation.old() {
        named.push(("rotation.old_signature.header".to_owned(), name));
    }
    let mut seen = vec!["user-agent".to_owned(), "content-type".to_owned()];
    for (at, name) in named {
        let lower = name.to_ascii_lowercase();
        ensure(!seen.contains(&lower), &at, format!("`{name}` is sent already"))?;
        seen.push(lower);
    }
    Ok(())
}

/// What is signed besides the body must reach the receiver, and a second signature needs its place.
fn check_receiver_can_verify(contract: &Contract) -> Result<(), Invalid> {
    let (signature, headers) = (&contract.signature, &contract.headers);
    if signature.content().contains(&Piece::Id) {
        let sent = headers.carrying(&HeaderSource::EventId).is_some();
        ensure(sent, "signature.content", "signs {id}, so headers.fields must carry `event_id`")?;
    }
    if signature.covers_timestamp() {
        let sent = signature.lead().is_some() || headers.carrying(&HeaderSource::AttemptTimestampUnix).is_some();
        let problem = "signs {timestamp}, so signature.lead or a header with `attempt_timestamp_unix` must carry it";
        ensure(sent, "signature.content", problem)?;
    }
    let room = !signature.separator().is_empty() || *contract.rotation.old() != OldSignature::SameHeader;
    ensure(room, "rotation.old_signature", "`same_header` needs signature.separator")
}

/// Keys that are decoded need secrets that can be.
fn check_key(contract: &Contract) -> Result<(), Invalid> {
    let (secret, derivation) = (&contract.secret, contract.signature.key());
    let decodable = secret.encoding() == Encoding::Base64 && !secret.prefix().is_empty() && secret.is_always_encoded();
    let problem = "`base64_after_prefix` needs secret.encoding `base64`, a secret.prefix and no secret.own.text";
    ensure(derivation == KeyDerivation::Utf8 || decodable, "signature.key", problem)
}
