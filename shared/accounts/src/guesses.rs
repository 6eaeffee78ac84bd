//! How often somebody may try a password.

use std::collections::HashMap;
use std::net::IpAddr;

use aws_sdk_dynamodb::types::AttributeValue;

/// How many passwords may be tried for one account from one network in an [`HOUR`].
const TRIES: u64 = 10;

/// Seconds after which a network's tries are forgotten.
const HOUR: u64 = 3_600;

/// The most networks that a row remembers, so that it cannot grow without end; the oldest goes first.
const MAX_NETWORKS: usize = 50;

/// The tries of an account's password, as its row remembers them (`password_tries`): for each network how many, and since
/// when. Counting by network keeps a stranger from shutting the owner out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guesses(HashMap<String, Tries>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tries {
    count: u64,
    /// Epoch seconds.
    since: u64,
}

impl Guesses {
    /// Reads the attribute. What is not ours counts as no try.
    #[must_use]
    pub fn from_attribute(attribute: Option<&AttributeValue>) -> Self {
        let networks = attribute.and_then(|map| map.as_m().ok());
        Self(
            networks
                .into_iter()
                .flatten()
                .filter_map(|(network, tries)| Some((network.clone(), Tries::read(tries)?)))
                .collect(),
        )
    }

    /// The attribute.
    #[must_use]
    pub fn to_attribute(&self) -> AttributeValue {
        let tries =
            |tries: &Tries| AttributeValue::L(vec![number(tries.count), number(tries.since)]);
        AttributeValue::M(
            self.0
                .iter()
                .map(|(network, own)| (network.clone(), tries(own)))
                .collect(),
        )
    }

    /// Counts a try from `network` at `now`, and says whether it is one too many. Those too many are not counted, so that the
    /// hour ends whatever happens.
    pub fn try_from_network(&mut self, network: &str, now: u64) -> Verdict {
        self.0
            .retain(|_, tries| tries.since.saturating_add(HOUR) > now);
        if let Some(tries) = self.0.get_mut(network) {
            if tries.count >= TRIES {
                return Verdict::TooMany;
            }
            tries.count += 1;
            return Verdict::Allowed;
        }
        if self.0.len() >= MAX_NETWORKS {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, tries)| tries.since)
                .map(|(network, _)| network.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(
            network.to_owned(),
            Tries {
                count: 1,
                since: now,
            },
        );
        Verdict::Allowed
    }
}

/// Whether a password may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// There were too many from this network.
    TooMany,
}

impl Tries {
    fn read(attribute: &AttributeValue) -> Option<Self> {
        let mut numbers = attribute
            .as_l()
            .ok()?
            .iter()
            .map(|value| value.as_n().ok()?.parse().ok());
        Some(Self {
            count: numbers.next()??,
            since: numbers.next()??,
        })
    }
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The network that a client's address belongs to: a /24 of IPv4 or a /64 of IPv6, the least that one client has to itself.
#[must_use]
pub fn network(address: &str) -> String {
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_in_an_hour_are_allowed_from_each_network() {
        let mut guesses = Guesses::default();

        for n in 0..10 {
            assert_eq!(guesses.try_from_network("a", 1_000 + n), Verdict::Allowed);
        }
        assert_eq!(guesses.try_from_network("a", 1_010), Verdict::TooMany);
        assert_eq!(guesses.try_from_network("b", 1_010), Verdict::Allowed);
        assert_eq!(
            guesses.try_from_network("a", 1_000 + HOUR),
            Verdict::Allowed
        );
    }

    #[test]
    fn many_networks_do_not_make_the_row_grow() {
        let mut guesses = Guesses::default();

        for n in 0..1_000 {
            guesses.try_from_network(&n.to_string(), 1_000 + n);
        }

        assert_eq!(guesses.0.len(), MAX_NETWORKS);
        assert!(guesses.0.contains_key("999"));
    }

    #[test]
    fn an_attribute_is_read_as_it_was_written() {
        let mut guesses = Guesses::default();
        guesses.try_from_network("a", 1_000);

        assert_eq!(
            Guesses::from_attribute(Some(&guesses.to_attribute())),
            guesses
        );
        assert_eq!(
            Guesses::from_attribute(Some(&AttributeValue::S("?".to_owned()))),
            Guesses::default()
        );
    }

    #[test]
    fn neighbours_share_a_network() {
        assert_eq!(network("203.0.113.7"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.7"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("?"), "unknown");
    }
}
