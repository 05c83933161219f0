//! Decides which requests from private addresses need no token. Knows addresses and the
//! header `Host`; the endpoints decide what needs this access.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, header};
use ipnet::IpNet;

use super::peer::{Sender, sender};

/// Ends of host names that do not exist in public DNS: RFC 6761, RFC 6762, ICANN's
/// `.internal`, and those of Kubernetes and Consul.
const LOCAL: [&str; 7] = [
    ".localhost",
    ".local",
    ".home.arpa",
    ".internal",
    ".svc",
    ".cluster.local",
    ".consul",
];

/// Decides which requests have access without a token.
#[derive(Clone, Debug)]
pub struct PrivateAccess {
    trusted: Arc<[IpNet]>,
    names: Arc<[String]>,
}

/// Why a request has no access without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessDenied {
    /// A peer that is no trusted proxy has sent a forwarding header.
    #[error(
        "this endpoint is for private addresses only, and the request came through a proxy \
         that --trusted-proxy does not name"
    )]
    Proxy,
    /// The client's address is public, or not known.
    #[error("this endpoint is for private addresses only")]
    Address,
    /// `Host` is a public name: a web page could point it at this machine (DNS rebinding).
    #[error(
        "this endpoint is for private addresses only and does not answer under this `Host`: \
         use the server's IP address, or allow the name with --host-name"
    )]
    HostName,
}

impl AccessDenied {
    /// The stable code of the reason, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Proxy | Self::Address => "private_only",
            Self::HostName => "host_not_allowed",
        }
    }
}

impl PrivateAccess {
    /// `trusted` are the proxies whose forwarding headers count, `names` the public host names
    /// that are allowed. The machine's own name is always allowed.
    pub fn new(trusted: &[IpNet], names: &[String]) -> Self {
        let own = gethostname::gethostname().into_string().ok();
        let names = names.iter().cloned().chain(own);
        Self {
            trusted: trusted.into(),
            names: names.map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// Returns a copy that allows this host name as well.
    #[must_use]
    pub fn also(&self, name: &str) -> Self {
        let names = self.names.iter().cloned();
        Self {
            trusted: self.trusted.clone(),
            names: names.chain([name.to_ascii_lowercase()]).collect(),
        }
    }

    /// The sender of a request.
    pub fn sender(&self, peer: SocketAddr, headers: &HeaderMap) -> Sender {
        sender(peer, headers, &self.trusted)
    }

    /// Checks that a request has access.
    ///
    /// # Errors
    /// The request has no access without a token.
    pub fn check(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<(), AccessDenied> {
        let sender = self.sender(peer, headers);
        if sender.doubtful {
            return Err(AccessDenied::Proxy);
        }
        if !sender.is_private() {
            return Err(AccessDenied::Address);
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        // A browser always sends it; a probe that speaks HTTP/1.0 may not.
        let all_local = hosts.all(|host| host.to_str().is_ok_and(|host| self.is_local(host)));
        all_local.then_some(()).ok_or(AccessDenied::HostName)
    }

    /// Whether no stranger can point this host name here by public DNS: an IP address, a
    /// single label, a local name, or a name that the operator has allowed.
    fn is_local(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        if bare.unwrap_or(&name).parse::<IpAddr>().is_ok() {
            return true;
        }
        // A single label with a dot behind it is a top-level domain.
        let relative = name.strip_suffix('.').unwrap_or(&name);
        (!name.is_empty() && !name.contains('.'))
            || LOCAL.iter().any(|end| relative.ends_with(end))
            || self.names.iter().any(|known| *known == relative)
    }
}

/// The value of `Host` without the port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, lines: &[(&'static str, &str)]) -> Result<(), AccessDenied> {
        let access = PrivateAccess::new(&[], &["Radio.Example".to_owned()]);
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        access.check(SocketAddr::new(peer.parse().unwrap(), 1), &headers)
    }

    #[test]
    fn a_name_that_public_dns_gives_away_has_no_access() {
        let own = gethostname::gethostname().into_string().unwrap();
        for host in [
            "127.0.0.1",
            "192.168.1.5:3000",
            "8.8.8.8",
            "[::1]",
            "[fd00::1]:3000",
            "localhost",
            "LocalHost:3000",
            "roomcast",
            "roomcast:3000",
            "api.localhost",
            "studio.local",
            "studio.local.",
            "redis.internal",
            "roomcast.radio.svc",
            "roomcast.radio.svc.cluster.local:3000",
            "websocket-service-dev.service.consul:3000",
            "radio.example",
            "RADIO.example.:443",
            &own,
        ] {
            assert_eq!(check("127.0.0.1", &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(check("127.0.0.1", &[]), Ok(()));
        for host in [
            "evil.example",
            "evil.example:3000",
            "127.0.0.1.nip.io",
            "localhost.evil.example",
            "evil-radio.example",
            "sub.radio.example",
            "notlocal.xlocal",
            "com.",
            ".",
            "",
            ":80",
            "1.2.3",
            "a.b]",
        ] {
            let denied = check("127.0.0.1", &[("host", host)]);
            assert_eq!(denied, Err(AccessDenied::HostName), "{host}");
        }
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(check("127.0.0.1", &both), Err(AccessDenied::HostName));
    }

    #[test]
    fn an_address_that_is_not_private_has_no_access() {
        assert_eq!(check("8.8.8.8", &[]), Err(AccessDenied::Address));
        let proxy = [("via", "1.1 x"), ("host", "evil.example")];
        assert_eq!(check("127.0.0.1", &proxy), Err(AccessDenied::Proxy));
    }
}
