//! Who sent a request: the peer, or whom a trusted proxy says it speaks for.
//! Knows HTTP's forwarding headers; what an address may do is the door's matter.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// The headers by which a proxy says for whom it speaks.
const FORWARDING: [&str; 9] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
];

/// The address that a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The rightmost address that is not a trusted proxy's.
    pub address: IpAddr,
    /// Whether a forwarding header came from somebody who is not trusted.
    pub doubtful: bool,
}

impl Sender {
    /// Whether the request comes from this machine or a private network.
    ///
    /// Never, when somebody who is not trusted sent a forwarding header: it may
    /// be a proxy that speaks for the whole Internet.
    pub fn is_private(&self) -> bool {
        !self.doubtful && is_private(self.address)
    }
}

/// Works out who sent a request.
///
/// `X-Forwarded-For` counts from trusted proxies only, read from the right.
pub fn sender(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Sender {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.ip().to_canonical();
    if !is_trusted(&peer) {
        let doubtful = FORWARDING.iter().any(|name| headers.contains_key(*name));
        return Sender {
            address: peer,
            doubtful,
        };
    }
    let named: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .collect();
    for named in named.into_iter().rev() {
        match named.trim().parse::<IpAddr>() {
            Ok(address) if is_trusted(&address.to_canonical()) => {}
            Ok(address) => {
                return Sender {
                    address: address.to_canonical(),
                    doubtful: false,
                };
            }
            Err(_) => {
                return Sender {
                    address: peer,
                    doubtful: true,
                };
            }
        }
    }
    Sender {
        address: peer,
        doubtful: false,
    }
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
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        // peer, X-Forwarded-For -> address, private
        let cases = [
            ("127.0.0.1", None, "127.0.0.1", true),
            ("192.168.3.4", None, "192.168.3.4", true),
            ("8.8.8.8", None, "8.8.8.8", false),
            ("::ffff:127.0.0.1", None, "127.0.0.1", true),
            ("127.0.0.1", Some("10.9.9.9"), "127.0.0.1", false),
            ("10.0.0.1", Some("8.8.8.8"), "8.8.8.8", false),
            ("10.0.0.1", Some("127.0.0.1, 8.8.8.8"), "8.8.8.8", false),
            ("10.0.0.1", Some("8.8.8.8, 10.0.0.2"), "8.8.8.8", false),
            ("10.0.0.1", Some("192.168.1.1"), "192.168.1.1", true),
            ("10.0.0.1", Some("nonsense"), "10.0.0.1", false),
            ("10.0.0.1", None, "10.0.0.1", true),
        ];
        for (peer, forwarded, address, private) in cases {
            let mut headers = HeaderMap::new();
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let sender = sender(peer, &headers, &trusted);
            assert_eq!(
                (sender.address, sender.is_private()),
                (address.parse().unwrap(), private),
                "{peer} {forwarded:?}"
            );
        }
    }
}
