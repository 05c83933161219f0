//! The sender of a request: the peer, or the client that a trusted proxy names.
//! Knows HTTP's forwarding headers, not what an address may do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Stands for the address of a client that a trusted proxy does not name. It counts as
/// public, and is never a trusted proxy's.
pub const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// RFC 7239.
const FORWARDED: &str = "forwarded";

/// Most proxies; read before [`FORWARDED`].
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Whole names of forwarding headers.
const FORWARDING: [&str; 9] = [
    "via",
    "cdn-loop",
    "client-ip",
    "clientip",
    "x-real-ip",
    "x-coming-from",
    "x-host",
    "x-rewrite-url",
    "surrogate-capability",
];

/// Beginnings of the names of forwarding headers: `X-Forwarded-For`, `Forwarded-For`,
/// `X-Original-Forwarded-For`, `CF-Connecting-IP`, `Akamai-Origin-Hop`, ...
const FORWARDING_BEGINS: [&str; 20] = [
    "akamai-",
    "ali-cdn-",
    "cf-",
    "fastly-",
    "fly-",
    "forwarded",
    "incap-",
    "proxy-",
    "true-client",
    "x-akamai-",
    "x-amz-cf-",
    "x-appengine-",
    "x-arr-",
    "x-azure-",
    "x-envoy-external-",
    "x-forward",
    "x-nf-",
    "x-original-",
    "x-proxy",
    "x-vercel-",
];

/// Parts of the names of forwarding headers: `X-Cluster-Client-IP`, `X-ProxyUser-Ip`, `X-Remote-Addr`, ...
const FORWARDING_HOLDS: [&str; 9] = [
    "forwarded-for",
    "client-ip",
    "clientip",
    "real-ip",
    "user-ip",
    "remote-ip",
    "remote-addr",
    "connecting-ip",
    "originating-ip",
];

/// Headers of a trusted proxy that say nothing about the client's address.
const HARMLESS: [&str; 11] = [
    "via",
    "x-forwarded-client-cert",
    "x-forwarded-host",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
];

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The rightmost address that is not a trusted proxy's; [`UNKNOWN`] where a
    /// trusted proxy names none, or one that can't be read.
    pub address: IpAddr,
    /// Whether a forwarding header came from a peer that is no trusted proxy.
    pub doubtful: bool,
    private: bool,
}

impl Sender {
    /// Whether the request comes from this machine or a private network: every address on
    /// its way is known and private.
    pub fn is_private(&self) -> bool {
        self.private
    }
}

/// Determines the sender of a request.
///
/// A forwarding header of a peer that is not trusted makes the request public: it may
/// be a proxy that speaks for the whole Internet. `X-Forwarded-For` or `Forwarded` counts
/// from trusted proxies only, read from the right. Where both are there and name different
/// clients, one of them is the client's own, and the client is unknown.
pub fn sender(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Sender {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.ip().to_canonical();
    if !is_trusted(&peer) {
        let doubtful = headers.keys().any(|name| is_forwarding(name.as_str()));
        return Sender {
            address: peer,
            doubtful,
            private: !doubtful && is_private(peer),
        };
    }
    let forwarded_for: Vec<_> = values(headers, X_FORWARDED_FOR).map(address_of).collect();
    let forwarded: Vec<_> = values(headers, FORWARDED).map(address_in_element).collect();
    let passes = |address: &Option<IpAddr>| {
        address.is_some_and(|address| is_trusted(&address) || is_private(address))
    };
    let client_in = |chain: &[Option<IpAddr>]| {
        let mut from_the_right = chain.iter().rev();
        let client = from_the_right
            .find(|address| !address.is_some_and(|address| is_trusted(&address)))
            // All are trusted proxies: the first of them is the client.
            .or(chain.first());
        client.map(|client| client.unwrap_or(UNKNOWN))
    };
    let client = match (client_in(&forwarded_for), client_in(&forwarded)) {
        (Some(one), Some(other)) if one != other => UNKNOWN,
        (one, other) => one.or(other).unwrap_or(UNKNOWN),
    };
    Sender {
        address: client,
        doubtful: false,
        private: client != UNKNOWN
            && forwarded_for.iter().chain(&forwarded).all(passes)
            && others(headers).all(|address| passes(&address)),
    }
}

/// The addresses in the other forwarding headers; `None` for a value that is no address.
fn others(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let names = headers.keys().filter(|name| {
        let name = name.as_str();
        is_forwarding(name)
            && ![FORWARDED, X_FORWARDED_FOR].contains(&name)
            && !HARMLESS.contains(&name)
    });
    names.flat_map(|name| values(headers, name.as_str()).map(address_of))
}

fn is_forwarding(name: &str) -> bool {
    FORWARDING.contains(&name)
        || FORWARDING_BEGINS
            .iter()
            .any(|begin| name.starts_with(begin))
        || FORWARDING_HOLDS.iter().any(|part| name.contains(part))
}

/// The comma-separated values of all headers of a name. Commas inside quotes separate too:
/// such a part is not a valid address, so the request does not count as private.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let all = headers.get_all(name).iter();
    all.flat_map(|value| value.to_str().unwrap_or("?").split(','))
}

/// The address that `for=` names in an element of `Forwarded` (RFC 7239, section 4).
fn address_in_element(element: &str) -> Option<IpAddr> {
    let mut named = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    match (named.next(), named.next()) {
        (Some(value), None) => address_of(value),
        _ => None,
    }
}

/// An address, which may be quoted and have a port: `192.0.2.1`, `192.0.2.1:80`,
/// `2001:db8::1`, `[2001:db8::1]`, `"[2001:db8::1]:80"`.
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let text = quoted.unwrap_or(text);
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// Whether an address is this machine's or of a private network.
///
/// RFC 1918, RFC 3927 and RFC 4193 ranges, and loopback.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
