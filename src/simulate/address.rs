//! Where a simulation plays to: what was typed, checked, with a name or an
//! address of a machine. Looks nothing up.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A machine and a port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    host: String,
    port: u16,
}

/// What was typed is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is HOST:PORT, or the PORT of this machine, such as 192.168.1.5:1234")]
pub struct NoAddress;

impl Address {
    /// As the functions that connect take it.
    pub(super) fn into_pair(self) -> (String, u16) {
        (self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
        let port = port.parse().ok().filter(|port| *port != 0);
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .filter(|inner| inner.parse::<Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| is_name(host)),
        };
        Ok(Self {
            host: host.ok_or(NoAddress)?.to_owned(),
            port: port.ok_or(NoAddress)?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// Whether it can be the name of a machine, or an IPv4 address. Compose files
/// use names with underscores.
fn is_name(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !host.is_empty() && host.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address_and_what_is_none() {
        for (text, read) in [
            ("1234", Some("127.0.0.1:1234")),
            ("127.0.0.1:1234", Some("127.0.0.1:1234")),
            ("localhost:99", Some("localhost:99")),
            (
                "zetta_port.studio-1.lan:1",
                Some("zetta_port.studio-1.lan:1"),
            ),
            ("[::1]:1234", Some("[::1]:1234")),
            ("", None),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:0", None),
            ("localhost:65536", None),
            (":1234", None),
            ("::1:1234", None),
            ("[localhost]:1234", None),
            ("http://localhost:1234", None),
            ("a b:1234", None),
        ] {
            let parsed = text.parse::<Address>().map(|address| address.to_string());
            assert_eq!(parsed.ok().as_deref(), read, "{text}");
        }
    }
}
