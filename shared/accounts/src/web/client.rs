//! Which network a request comes from.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::settings::{Environment, InvalidSetting};
use crate::web::request::Request;

/// The network of a client, as the limits count: a /24 of IPv4 or a /56 of IPv6, which is what one customer of a provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(String);

impl Network {
    fn of(address: Option<IpAddr>) -> Self {
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return Self("unknown".to_owned());
        };
        let length = if address.is_ipv4() { 24 } else { 56 };
        let network = IpNet::new(address, length).map(|network| network.trunc());
        Self(network.map_or_else(|_| "unknown".to_owned(), |network| network.to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How clients are told apart, and which of them are trusted.
pub struct Clients {
    trusted_networks: Vec<IpNet>,
    trusted_proxies: usize,
}

impl Clients {
    /// Reads `TRUSTED_NETWORKS` and `TRUSTED_PROXIES`.
    pub fn from_env(environment: &Environment) -> Result<Self, InvalidSetting> {
        const NETWORKS: &str = "networks, comma-separated: 203.0.113.0/24,2001:db8::/48";
        const PROXIES: &str = "how many proxies stand before the API, from 0 to 10";
        let networks = environment.optional("TRUSTED_NETWORKS", NETWORKS, |value| {
            let networks = value
                .split(',')
                .map(|network| parse_network(network.trim()));
            networks.collect::<Option<Vec<_>>>()
        })?;
        let proxies = environment.number("TRUSTED_PROXIES", PROXIES, 0..=10, 0)?;
        Ok(Self {
            trusted_networks: networks.unwrap_or_default(),
            trusted_proxies: usize::try_from(proxies).unwrap_or(0),
        })
    }

    /// The client's address: `sourceIp`, which API Gateway saw itself, or what the trusted proxy nearest to the client saw.
    pub fn address(&self, request: &Request) -> Option<IpAddr> {
        let source_ip = request.source_ip.as_deref()?.parse().ok();
        if self.trusted_proxies == 0 {
            return source_ip;
        }
        // API Gateway appends the address that it saw; each proxy before it has appended one too.
        let forwarded = request.forwarded_for();
        let mut from_the_right = forwarded.rsplit(',').map(str::trim);
        from_the_right
            .nth(self.trusted_proxies)
            .and_then(|address| address.parse().ok())
            .or(source_ip)
    }

    pub fn network(&self, request: &Request) -> Network {
        Network::of(self.address(request))
    }

    /// Whether the request comes from a team's own backend, by the event's own `sourceIp`.
    pub fn is_trusted(&self, request: &Request) -> bool {
        let address = request.source_ip.as_deref().map(str::parse::<IpAddr>);
        let Some(Ok(address)) = address else {
            return false;
        };
        let address = address.to_canonical();
        self.trusted_networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// A network in CIDR notation, or one address.
fn parse_network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        Network::of(address.parse().ok()).0
    }

    #[test]
    fn neighbours_share_a_network() {
        assert_eq!(network("203.0.113.7"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.7"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:1:2ff:3:4:5:6"), "2001:db8:1:200::/56");
        assert_eq!(network("?"), "unknown");
    }

    fn client(proxies: &str, source_ip: &str, forwarded_for: &str) -> Option<String> {
        let clients = Clients::from_env(&[("TRUSTED_PROXIES", proxies)].into()).unwrap();
        let mut request = Request {
            source_ip: Some(source_ip.to_owned()),
            ..Request::default()
        };
        let forwarded_for = forwarded_for.parse().unwrap();
        request.headers.insert("x-forwarded-for", forwarded_for);
        clients.address(&request).map(|address| address.to_string())
    }

    #[test]
    fn a_header_counts_only_behind_trusted_proxies() {
        let chain = "6.6.6.6, 198.51.100.1, 192.0.2.1, 203.0.113.7";

        for (proxies, expected) in [
            ("0", "203.0.113.7"),
            ("1", "192.0.2.1"),
            ("2", "198.51.100.1"),
            // Too few entries.
            ("4", "203.0.113.7"),
        ] {
            let client = client(proxies, "203.0.113.7", chain);
            assert_eq!(client.as_deref(), Some(expected), "{proxies}");
        }
        let client = client("1", "203.0.113.7", "6.6.6.6, unknown, 203.0.113.7");
        assert_eq!(client.as_deref(), Some("203.0.113.7"));
    }

    #[test]
    fn trusted_networks_are_compared_with_the_source_address() {
        let trusted = [("TRUSTED_NETWORKS", "10.0.0.0/8, 2001:db8::/32,192.0.2.1")];
        let clients = Clients::from_env(&trusted.into()).unwrap();
        let is_trusted = |source_ip: &str| {
            clients.is_trusted(&Request {
                source_ip: Some(source_ip.to_owned()),
                ..Request::default()
            })
        };

        for trusted in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.1"] {
            assert!(is_trusted(trusted), "{trusted}");
        }
        for other in ["11.1.2.3", "192.0.2.2", "", "10.0.0.0/8"] {
            assert!(!is_trusted(other), "{other}");
        }
        assert!(Clients::from_env(&[("TRUSTED_NETWORKS", "10.0.0.0/33")].into()).is_err());
    }
}
