//! What a URL of Redis says: servers, user, password and database.
//! Knows no option: which of them goes before the URL is said elsewhere.
//!
//! What is wrong with a URL is said without it: it may hold a password.

use std::net::Ipv6Addr;

use super::RedisPassword;
use crate::config::number;

/// What stands in the URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Each a host (IPv6 without brackets) and a port.
    pub(super) servers: Vec<(String, u16)>,
    pub(super) cluster: bool,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<RedisPassword>,
    /// Whether the text is a single word, which may be meant as the name of a service in Consul.
    pub(super) is_name: bool,
    /// None where the URL does not say.
    pub(super) database: Option<u32>,
}

/// The schemes, and whether what they name is a cluster, and has TLS.
const SCHEMES: [(&str, bool, bool); 6] = [
    ("redis", false, false),
    ("rediss", false, true),
    ("redis-cluster", true, false),
    ("rediss-cluster", true, true),
    ("valkey", false, false),
    ("valkeys", false, true),
];

/// Where Redis listens if nobody says otherwise, and Valkey too.
const PORT: u16 = 6379;

const WRONG: &str = "it is no URL of Redis, as redis://USER:PASSWORD@HOST:PORT/DATABASE is one; \
                     all but the host may be left out";

/// Takes a URL, or a host with or without its port.
pub(super) fn parse(text: &str) -> Result<Address, String> {
    // Files end with a newline, which is no part of it.
    let text = text.trim();
    if is_unix_socket(text) {
        return Err(
            "Unix sockets are not supported: let Redis listen on 127.0.0.1, and name that"
                .to_owned(),
        );
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a port needs its host, as 127.0.0.1:6379".to_owned());
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
    let (_, cluster, tls) = SCHEMES
        .into_iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(scheme))
        .ok_or_else(|| format!("a URL of Redis begins with {}", schemes()))?;
    let (authority, database) = split(rest)?;
    let (who, nodes) = match authority.split_once('@') {
        Some((who, nodes)) => (who, nodes),
        None => ("", authority),
    };
    let (user, password) = entry(who)?;
    let servers: Vec<_> = nodes.split(',').map(server).collect::<Result<_, _>>()?;
    if servers.len() > 1 && !cluster {
        return Err(
            "several servers are the nodes of a cluster: write redis-cluster:// or \
             rediss-cluster:// before them"
                .to_owned(),
        );
    }
    Ok(Address {
        servers,
        cluster,
        tls,
        user,
        password,
        is_name: !text.contains(['.', ':', '/', '@']),
        database,
    })
}

/// Whether it is the path of a socket, or one of the schemes that clients have for it.
fn is_unix_socket(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let schemes = ["unix:/", "redis+unix:/", "redis+socket:/"];
    // A URL without a host is a path as well: redis:///run/redis.sock.
    let path = text.split_once("://").map_or(&*text, |(_, rest)| rest);
    let is_path = path.starts_with(['/', '.']) || path.ends_with(".sock");
    is_path || schemes.iter().any(|scheme| text.starts_with(scheme))
}

fn schemes() -> String {
    let named = SCHEMES.map(|(name, _, tls)| {
        let note = if tls { " (with TLS)" } else { "" };
        format!("{name}://{note}")
    });
    named.join(", ")
}

/// What is before the path, and the database that is the path.
fn split(rest: &str) -> Result<(&str, Option<u32>), String> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let signs = rest.matches('@').count();
    if signs > 1 || tail.contains('@') {
        return Err(
            "an @ stands once in a URL of Redis, before the first host; in the user and in \
             the password @ is written %40, / is %2F, ? is %3F, # is %23 and % is %25"
                .to_owned(),
        );
    }
    if tail.contains(['?', '#']) {
        return Err("a URL of Redis takes no query (?) and no fragment (#) here".to_owned());
    }
    let path = tail.strip_prefix('/').unwrap_or(tail);
    let database = (!path.is_empty()).then(|| number::database(path));
    match database.transpose() {
        Ok(database) => Ok((authority, database)),
        Err(why) => Err(format!("the database behind the host: {why}")),
    }
}

/// User and password, as they stand before the hosts.
fn entry(who: &str) -> Result<(Option<String>, Option<RedisPassword>), String> {
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let (user, password) = (decoded(user)?, decoded(password)?);
    let password = Some(password).filter(|text| !text.is_empty());
    let password = password.map(|text| RedisPassword::parse(&text));
    Ok((
        Some(user).filter(|user| !user.is_empty()),
        password.transpose()?,
    ))
}

/// The text with each %XX replaced by the byte that it stands for.
fn decoded(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let coded = part.split_at_checked(2).and_then(|(hex, plain)| {
            // `from_str_radix` takes a plus sign.
            let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            let byte = u8::from_str_radix(hex, 16).ok()?;
            is_hex.then_some((byte, plain))
        });
        let (byte, plain) = coded.ok_or(
            "behind a % in the user or the password stand two hexadecimal digits; a % \
             itself is written %25",
        )?;
        bytes.push(byte);
        bytes.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "the user or the password is not UTF-8".to_owned())
}

/// A host and its port.
fn server(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(WRONG)?;
            host.parse::<Ipv6Addr>().map_err(|_| WRONG)?;
            (host, port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            if port.matches(':').count() > 1 {
                return Err(format!(
                    "{WRONG}; an IPv6 address stands in brackets, as [::1]"
                ));
            }
            (host, port)
        }
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if host.is_empty() || !host.bytes().all(in_name) {
        return Err(WRONG.to_owned());
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => PORT,
        // `u16` takes a plus sign.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or("a port is a number from 1 to 65535")?,
        _ => return Err(WRONG.to_owned()),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests;
