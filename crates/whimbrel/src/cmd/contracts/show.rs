//! `whimbrel contracts show`: a contract on a page.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use whimbrel_core::contract::{Contract, ContractSet};
use whimbrel_core::port::{Clock, SystemClock};
use whimbrel_core::render::render;
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::signing::{Signed, Signer};
use whimbrel_core::{EventId, Timestamp};

use super::describe;
use crate::cmd::shared::{Paint, brief, bytes, samples};

/// The "random" bytes of the worked example: its secret must not look like one to keep.
const EXAMPLE_BYTE: u8 = 7;
/// The attempt of the worked example is made this long after its event.
const EXAMPLE_LATENCY_SECS: i64 = 2;

/// Everything about a contract.
pub(super) fn page(contracts: &ContractSet, contract: &Arc<Contract>, paint: Paint) -> anyhow::Result<String> {
    let mut page = format!("{}\n{}\n\n", paint.strong(contract.title()), contract.description());
    for (label, words) in facts(contract) {
        writeln!(page, "{} {words}", paint.faint(&format!("{label:<13}")))?;
    }
    for field in contract.headers().fields() {
        writeln!(
            page,
            "{} {}: {}",
            paint.faint(&format!("{:<13}", "header")),
            field.name,
            describe::header(&field.value)
        )?;
    }
    if !contract.catalogue().types.is_empty() {
        writeln!(page, "\n{}", paint.strong("Event types"))?;
    }
    for entry in &contract.catalogue().types {
        writeln!(page, "  {:<30} {}", entry.name.to_string(), paint.faint(&entry.description))?;
    }
    writeln!(page, "\n{}", paint.strong("A request"))?;
    page.push_str(&example(contracts, contract)?);
    Ok(page)
}

fn facts(contract: &Contract) -> Vec<(&'static str, String)> {
    let https = if contract.https_only() { "required" } else { "optional" };
    let open = if contract.catalogue().closed {
        "closed: other types are refused"
    } else {
        "open: other types can be published too"
    };
    vec![
        ("name", contract.name().to_string()),
        ("body", describe::body(contract)),
        ("content type", contract.headers().content_type().to_owned()),
        ("user agent", contract.headers().user_agent().to_owned()),
        ("signature", format!("{}: {}", contract.signature().header(), describe::signed(contract))),
        ("secret", describe::secret(contract.secret())),
        ("rotation", describe::rotation(contract)),
        ("success", "any 2xx status line within the timeout; redirects are never followed".to_owned()),
        ("timeout", brief(contract.timeout())),
        (
            "attempts",
            format!(
                "{} in all; delays before retries: {}",
                contract.retry().delays().len() + 1,
                describe::delays(contract.retry())
            ),
        ),
        ("suspension", describe::suspension(contract.suspension())),
        ("throttled by", throttling(contract)),
        ("limits", describe::limits(contract.limits())),
        ("log keeps", format!("the first {} of a response", bytes(contract.response_capture_bytes()))),
        ("https", https.to_owned()),
        ("catalogue", open.to_owned()),
    ]
}

fn throttling(contract: &Contract) -> String {
    let statuses: Vec<String> = contract.suspension().throttle_statuses.iter().map(u16::to_string).collect();
    if statuses.is_empty() { "no status".to_owned() } else { format!("status {}", statuses.join(", ")) }
}

/// A request as a receiver gets it, under a made-up secret.
fn example(contracts: &ContractSet, contract: &Arc<Contract>) -> anyhow::Result<String> {
    let (event_type, data) =
        samples(contracts, contract).into_iter().next().unwrap_or(("example.created", r#"{"id":"example_1"}"#));
    let secret = Secret::generate(contract, &mut |random| random.fill(EXAMPLE_BYTE));
    let event_at = Timestamp::from_secs(SystemClock.now().as_secs());
    let event_id = EventId::generate(event_at, [EXAMPLE_BYTE; 10]).to_string();
    let rendered = render(contract, &event_id, event_type, event_at, &Bytes::copy_from_slice(data.as_bytes()))
        .with_context(|| format!("the sample of `{event_type}`"))?;
    let attempt_at = Timestamp::from_secs(event_at.as_secs() + EXAMPLE_LATENCY_SECS);
    let signer = Signer::new(contract, &SecretPair::new(secret.clone()))?;
    let message = Signed { event_id: &event_id, event_type, event_at, attempt_at, body: &rendered.body };
    let mut text = format!("secret: {}\n\nPOST /webhooks HTTP/1.1\n", secret.expose());
    for (name, value) in signer.headers(&message) {
        writeln!(text, "{name}: {value}")?;
    }
    writeln!(text, "\n{}", String::from_utf8_lossy(&rendered.body))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_ends_with_a_request_that_is_signed() {
        let contracts = ContractSet::built_in();
        for contract in &contracts {
            let page = page(&contracts, contract, Paint::off()).expect("a page");
            let signature = format!("\n{}: ", contract.signature().header());
            assert!(page.contains(&signature), "{page}");
            assert!(page.contains("POST /webhooks HTTP/1.1"), "{page}");
        }
    }
}
