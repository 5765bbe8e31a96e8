//! Which addresses a webhook may have.
//!
//! What can be known from the text is checked here; where a name leads is checked by the sender at every
//! connection. Plain HTTP needs `egress.allow_http`, and where the contract wants HTTPS also an address
//! inside `egress.allow_networks`: a literal one is looked up here, a name may pass if any network is
//! allowed, and is refused at sending when it leads elsewhere.

use std::net::IpAddr;

use url::{Host, Url};

use crate::state::Settings;

/// Bytes of a URL at most.
pub(super) const URL_BYTES_MAX: usize = 2048;

/// Says in words why the URL will not do.
pub(super) fn check(text: &str, https_only: bool, settings: &Settings) -> Result<(), String> {
    check_text(text)?;
    let url = Url::parse(text).map_err(|error| format!("`{}` is not a URL: {error}", short(text)))?;
    let host = url.host().ok_or_else(|| format!("`{}` names no host", short(text)))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password; requests are signed instead".to_owned());
    }
    if url.fragment().is_some() {
        return Err("holds a fragment (`#…`), which is never sent".to_owned());
    }
    if url.port() == Some(0) {
        return Err("names port 0".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" => check_plain(&host, https_only, settings),
        other => Err(format!("has the scheme `{other}`; https is needed")),
    }
}

/// The parser drops or replaces some characters in silence; here they are refused, so that what is
/// stored is what was meant.
fn check_text(text: &str) -> Result<(), String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("has {} bytes; at most {URL_BYTES_MAX} are possible", text.len()));
    }
    if let Some(c) = text.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '\\') {
        return Err(format!("holds {c:?}, which a URL cannot hold"));
    }
    match text.split_once("://") {
        Some((_, rest)) if !rest.is_empty() && !rest.starts_with('/') => Ok(()),
        _ => Err(format!("`{}` is not an absolute URL such as https://example.com/hook", short(text))),
    }
}

fn check_plain(host: &Host<&str>, https_only: bool, settings: &Settings) -> Result<(), String> {
    if !settings.allow_http {
        return Err("is plain http; https is needed (egress.allow_http is off)".to_owned());
    }
    let allowed = match host {
        _ if !https_only => true,
        Host::Ipv4(address) => settings.allows(IpAddr::V4(*address)),
        Host::Ipv6(address) => settings.allows(IpAddr::V6(*address)),
        Host::Domain(_) => !settings.allow_networks.is_empty(),
    };
    let refusal = "is plain http; this contract wants https, but for addresses inside egress.allow_networks";
    if allowed { Ok(()) } else { Err(refusal.to_owned()) }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(allow_http: bool, networks: &[&str]) -> Settings {
        let allow_networks = networks.iter().map(|text| text.parse().expect("a network")).collect();
        Settings { allow_http, allow_networks, ..Settings::new(None) }
    }

    #[test]
    fn https_with_a_host_is_taken() {
        let settings = settings(false, &[]);
        for text in [
            "https://example.com",
            "https://example.com:8443/a/b?c=d&e=%20",
            "https://192.0.2.1/hook",
            "https://[2001:db8::1]/hook",
            "HTTPS://münchen.example/",
        ] {
            assert_eq!(check(text, true, &settings), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_for_posts_is_refused() {
        let settings = settings(true, &["127.0.0.0/8"]);
        for text in [
            "",
            "example.com/hook",
            "/hook",
            "https://",
            "https:///hook",
            "https:example.com",
            "https:/example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://user:pass@example.com/",
            "https://user@example.com/",
            "https://example.com/#part",
            "https://example.com:0/",
            "https://exam ple.com/",
            " https://example.com/",
            "https://example.com/\n",
            "https:\\\\example.com\\",
            &format!("https://example.com/{}", "a".repeat(2048)),
        ] {
            assert!(check(text, false, &settings).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_http_needs_the_deployments_leave() {
        assert!(check("http://example.com/", false, &settings(false, &["0.0.0.0/0"])).is_err());
        assert!(check("http://example.com/", false, &settings(true, &[])).is_ok());
    }

    #[test]
    fn plain_http_under_an_https_only_contract_needs_an_allowed_network() {
        let local = settings(true, &["127.0.0.0/8", "::1/128"]);
        for text in
            ["http://127.0.0.1:9000/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://receiver.internal/"]
        {
            assert_eq!(check(text, true, &local), Ok(()), "{text}");
        }
        assert!(check("http://192.0.2.1/", true, &local).is_err());
        assert!(check("http://receiver.internal/", true, &settings(true, &[])).is_err());
    }
}
