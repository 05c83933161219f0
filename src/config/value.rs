//! What the text of an option means: ports, networks, zones and the like; numbers
//! are in `number`.
//! Knows neither the options' names nor where a text came from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use chrono_tz::{TZ_VARIANTS, Tz};
use ipnet::IpNet;

use crate::hint::Hint;
use crate::net::origin::WebOrigins;

/// Where to listen: a port, and the address if one was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) host: Option<IpAddr>,
    pub(super) port: u16,
}

impl Listen {
    /// The address; every IPv4 address of the machine where none was given.
    pub(super) fn address(self) -> SocketAddr {
        let host = self.host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        SocketAddr::new(host, self.port)
    }
}

/// The networks that are not the internet: loopback, private and link-local.
///
/// RFC 1122, 1918, 3927, 4193 and 4291.
const PRIVATE: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// The longest text that a listener's screen is sent, in characters.
const STATION_TEXT_CHARS: usize = 200;

/// The networks that the word `private` stands for.
pub fn private_networks() -> Vec<IpNet> {
    let parse = |text: &&str| text.parse().expect("the list above holds networks");
    PRIVATE.iter().map(parse).collect()
}

/// Whether the webhook door has the style of WSAAS.
pub(super) fn is_wsaas(text: &str) -> Result<bool, String> {
    match text {
        "wsaas" => Ok(true),
        "rest" => Ok(false),
        _ => Err(format!("`{text}` is neither wsaas nor rest")),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

pub(super) fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse();
    address.map_err(|_| format!("`{text}` is not an IP address of this machine, as 127.0.0.1 is"))
}

pub(super) fn listen(text: &str) -> Result<Listen, String> {
    let wrong = || format!("`{text}` is neither a port (0 to 65535) nor ADDR:PORT");
    let (address, port) = match text.rsplit_once(':') {
        Some(("", port)) => (None, port),
        Some((address, port)) => (Some(address), port),
        None => (None, text),
    };
    // `u16` takes a plus sign, and an IPv6 address without brackets has colons.
    if !port.bytes().all(|b| b.is_ascii_digit())
        || address.is_some_and(|a| a.contains(':') && !a.starts_with('['))
    {
        return Err(wrong());
    }
    Ok(Listen {
        host: address.map(host).transpose()?,
        port: port.parse().map_err(|_| wrong())?,
    })
}

pub(super) fn listen_or_off(text: &str) -> Result<Option<Listen>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match listen(text) {
        Ok(listen) => Ok(Some(listen)),
        Err(why) => Err(format!("{why}; `off` for nowhere")),
    }
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    if text == "private" {
        return Ok(private_networks());
    }
    let network = text.parse::<IpNet>().map(|net| net.trunc());
    let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) => Ok(vec![network]),
        Err(_) => Err(format!(
            "`{text}` is neither a network, as 10.0.0.0/8 is, nor an address, nor `private`"
        )),
    }
}

pub(super) fn host_name(text: &str) -> Result<Vec<String>, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    match !text.is_empty() && text.bytes().all(allowed) {
        true => Ok(vec![text.to_ascii_lowercase()]),
        false => Err(format!(
            "`{text}` is not a host name: give it without scheme, port and path, as in radio.example"
        )),
    }
}

pub(super) fn web_origins(text: &str) -> Result<Vec<WebOrigins>, String> {
    match text.parse() {
        Ok(origins) => Ok(vec![origins]),
        Err(why) => Err(format!("`{text}` is {why}")),
    }
}

pub(super) fn timezone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(
        |_| match Hint::new(text, TZ_VARIANTS.iter().map(|zone| zone.name())) {
            near @ Hint::Nearest(_) => format!("`{text}` is not a time zone; {near}"),
            Hint::All(_) => format!("`{text}` is not a time zone, as America/Chicago is"),
        },
    )
}

pub(super) fn station_text(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the text is empty, and listeners would see nothing".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("the text holds a control character".to_owned());
    }
    if text.chars().nth(STATION_TEXT_CHARS).is_some() {
        return Err(format!(
            "the text is longer than {STATION_TEXT_CHARS} characters"
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path is empty".to_owned());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen() {
        for (text, expected) in [
            ("1234", "0.0.0.0:1234"),
            (":1234", "0.0.0.0:1234"),
            ("0", "0.0.0.0:0"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("localhost:65535", "127.0.0.1:65535"),
            ("[::1]:80", "[::1]:80"),
            ("[::]:80", "[::]:80"),
        ] {
            assert_eq!(listen(text).unwrap().address().to_string(), expected);
        }
        for text in [
            "", "x", "65536", "-1", "+80", " 80", "::1", "::1:80", "a.b:80", "1.2.3.4",
        ] {
            assert!(listen(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(listen_or_off("OFF"), Ok(None));
    }

    #[test]
    fn networks_and_addresses() {
        for (text, expected) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(networks(text).unwrap()[0].to_string(), expected);
        }
        for text in ["", "10.0.0.0/33", "ten", "10.0.0/8"] {
            assert!(networks(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(networks("private").unwrap().len(), PRIVATE.len());
    }

    #[test]
    fn host_names() {
        assert_eq!(host_name("Radio.Example"), Ok(vec!["radio.example".into()]));
        for text in ["", "https://a.example", "a.example:80", "a/b", "*.a", "é"] {
            assert!(host_name(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_slip_in_a_zone_finds_the_right_one() {
        let why = timezone("America/Chicgo").unwrap_err();
        assert!(why.contains("did you mean `America/Chicago`?"), "{why}");
        assert_eq!(timezone("Europe/Berlin"), Ok(Tz::Europe__Berlin));
    }

    #[test]
    fn yes_and_no() {
        for (text, expected) in [("1", true), ("TRUE", true), ("off", false), ("no", false)] {
            assert_eq!(boolean(text), Ok(expected));
        }
        assert!(boolean("maybe").is_err());
    }

    #[test]
    fn a_station_text_is_one_short_line() {
        assert_eq!(station_text(" Hello ").unwrap(), "Hello");
        for text in [" ", "a\nb", &"x".repeat(STATION_TEXT_CHARS + 1)] {
            assert!(station_text(text).is_err(), "{text:?} was taken");
        }
    }
}
