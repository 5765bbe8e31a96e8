//! Which addresses Whimbrel may connect to. The check is made on the resolved address, when the
//! connection is made, so a name that resolves differently a moment later does not help an attacker.

mod ranges;
mod resolver;

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};
use whimbrel_core::outcome::ErrorKind;

use crate::failure::Failure;

pub(crate) use resolver::GuardedResolver;

/// The deployment's rules.
#[derive(Clone, Default)]
pub struct EgressPolicy {
    /// Whether plain HTTP is possible at all.
    pub allow_http: bool,
    /// Networks that are allowed although they are private or special.
    pub allow_networks: Vec<IpNet>,
    /// An HTTP proxy that every request goes through. It resolves the receivers' names, so it must refuse private
    /// addresses itself: only literal ones are checked here then.
    pub proxy: Option<Url>,
}

impl std::fmt::Debug for EgressPolicy {
    /// Without the proxy's password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EgressPolicy")
            .field("allow_http", &self.allow_http)
            .field("allow_networks", &self.allow_networks)
            .field("proxy", &self.proxy.as_ref().and_then(Url::host_str))
            .finish()
    }
}

/// How a request must be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// To public addresses and to allowed networks.
    Anywhere,
    /// To allowed networks only: plain HTTP under a contract that wants HTTPS.
    AllowedNetworks,
}

impl EgressPolicy {
    /// Whether a connection to this address may be made.
    pub(crate) fn allows(&self, address: IpAddr, reach: Reach) -> bool {
        let address = address.to_canonical();
        let listed = self.allow_networks.iter().any(|network| network.contains(&address));
        listed || (reach == Reach::Anywhere && !ranges::is_special(address))
    }

    /// Checks what can be told from the URL alone: its scheme, and a literal address.
    pub(crate) fn check(&self, url: &Url, https_only: bool) -> Result<Reach, Failure> {
        let reach = match url.scheme() {
            "http" if !self.allow_http => {
                return Err(Failure::new(ErrorKind::InsecureUrl, "plain http is not allowed; use https"));
            }
            "http" if https_only => Reach::AllowedNetworks,
            "https" | "http" => Reach::Anywhere,
            other => {
                return Err(Failure::new(
                    ErrorKind::BadUrl,
                    format!("`{other}` is not a scheme that webhooks can use"),
                ));
            }
        };
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(Failure::new(ErrorKind::BadUrl, "the url has no host")),
        };
        match literal {
            Some(address) if !self.allows(address, reach) => Err(self.refusal(address, reach)),
            _ => Ok(reach),
        }
    }

    /// Why [`Self::allows`] said no.
    pub(crate) fn refusal(&self, address: IpAddr, reach: Reach) -> Failure {
        if self.allows(address, Reach::Anywhere) && reach == Reach::AllowedNetworks {
            let message = format!("plain http to {address} is not allowed under a contract that wants https");
            return Failure::new(ErrorKind::InsecureUrl, message);
        }
        let message = format!("{address} lies in a private or special network that is not allowed");
        Failure::new(ErrorKind::BlockedAddress, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &EgressPolicy, url: &str, https_only: bool) -> Result<Reach, ErrorKind> {
        policy.check(&Url::parse(url).expect("a url"), https_only).map_err(|failure| failure.kind)
    }

    #[test]
    fn private_addresses_are_refused_in_every_notation() {
        let policy = EgressPolicy { allow_http: true, ..EgressPolicy::default() };
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
            "[fd00::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
            "255.255.255.255",
            "224.0.0.1",
            "[ff02::1]",
        ] {
            let url = format!("http://{host}/");
            assert_eq!(check(&policy, &url, false), Err(ErrorKind::BlockedAddress), "{url}");
        }
        assert_eq!(check(&policy, "http://93.184.216.34/", false), Ok(Reach::Anywhere));
        assert_eq!(check(&policy, "https://[2606:2800:220:1::]/", true), Ok(Reach::Anywhere));
    }

    #[test]
    fn https_only_contracts_get_plain_http_only_inside_allowed_networks() {
        let networks = vec!["127.0.0.0/8".parse().expect("a network")];
        let open = EgressPolicy { allow_http: true, allow_networks: networks.clone(), proxy: None };
        let closed = EgressPolicy { allow_http: false, allow_networks: networks, proxy: None };
        assert_eq!(check(&open, "http://127.0.0.1:9/", true), Ok(Reach::AllowedNetworks));
        assert_eq!(check(&open, "http://93.184.216.34/", true), Err(ErrorKind::InsecureUrl));
        assert_eq!(check(&open, "http://93.184.216.34/", false), Ok(Reach::Anywhere));
        assert_eq!(check(&closed, "http://127.0.0.1:9/", false), Err(ErrorKind::InsecureUrl));
        assert_eq!(check(&closed, "https://127.0.0.1:9/", true), Ok(Reach::Anywhere));
        assert_eq!(check(&open, "ftp://127.0.0.1/", false), Err(ErrorKind::BadUrl));
    }
}
