//! Origins: where the web page is from that sends a request (RFC 6454), and
//! which of them are let in. Knows one header; what it decides is a door's matter.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::HeaderMap;
use http::header::{HeaderValue, ORIGIN};

/// The origin of a web page as browsers write it: small letters, and no port
/// where it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(HeaderValue);

/// The web pages whose requests are let in. What is no web page sends no origin,
/// or that of a WebSocket, and is not asked for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebOrigins {
    /// All of them.
    Any,
    /// These, and no other.
    Listed(Vec<WebOrigin>),
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebOriginError {
    /// It has another form.
    #[error(
        "neither an origin as a browser sends it, SCHEME://HOST or SCHEME://HOST:PORT \
         without anything behind it, nor `*` for any"
    )]
    Form,
    /// It is the address of a WebSocket.
    #[error("no origin of a page: that begins with http:// or https://, also for WebSockets")]
    WebSocket,
    /// It stands for several hosts.
    #[error("a pattern: give each origin by itself, or `*` for any")]
    Pattern,
}

/// What a request says of the page that sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Nothing: it is no page's, or a page's of the same origin.
    Unnamed,
    /// It is from this origin, which is let in.
    LetIn(HeaderValue),
    /// It is from another one.
    Refused,
}

impl WebOrigins {
    /// Who sends a request with these headers.
    ///
    /// What is given back holds nothing of the request's memory.
    pub fn page(&self, headers: &HeaderMap) -> Page {
        let mut sent = headers.get_all(ORIGIN).iter();
        let (Some(origin), more) = (sent.next(), sent.next()) else {
            return Page::Unnamed;
        };
        let let_in = match self {
            Self::Any => HeaderValue::from_bytes(origin.as_bytes()).ok(),
            Self::Listed(_) if more.is_none() && is_websocket(origin) => {
                HeaderValue::from_bytes(origin.as_bytes()).ok()
            }
            Self::Listed(listed) => {
                let same = |o: &&WebOrigin| o.0.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
                // No browser sends two.
                let found = listed.iter().find(same).filter(|_| more.is_none());
                found.map(|origin| origin.0.clone())
            }
        };
        let_in.map_or(Page::Refused, Page::LetIn)
    }
}

/// Whether it is the address of a WebSocket, which no page is loaded from:
/// Swift's SDK sends where it connects to (daltoniam/Starscream,
/// Sources/Framer/HTTPHandler.swift), and is no browser.
fn is_websocket(origin: &HeaderValue) -> bool {
    let origin = origin.as_bytes();
    origin.starts_with(b"ws://") || origin.starts_with(b"wss://")
}

/// Several lists are one; with `*` in it everybody is let in.
impl FromIterator<WebOrigins> for WebOrigins {
    fn from_iter<T: IntoIterator<Item = Self>>(lists: T) -> Self {
        let mut all = Vec::new();
        for list in lists {
            match list {
                Self::Any => return Self::Any,
                Self::Listed(more) => all.extend(more),
            }
        }
        Self::Listed(all)
    }
}

/// One origin, or `*`.
impl FromStr for WebOrigins {
    type Err = WebOriginError;

    fn from_str(text: &str) -> Result<Self, WebOriginError> {
        match text {
            "*" => Ok(Self::Any),
            one => Ok(Self::Listed(vec![one.parse()?])),
        }
    }
}

impl fmt::Display for WebOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any origin"),
            Self::Listed(listed) if listed.is_empty() => f.write_str("none"),
            Self::Listed(listed) => {
                let texts: Vec<_> = listed.iter().filter_map(|o| o.0.to_str().ok()).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
}

impl FromStr for WebOrigin {
    type Err = WebOriginError;

    fn from_str(text: &str) -> Result<Self, WebOriginError> {
        if text.contains('*') {
            return Err(WebOriginError::Pattern);
        }
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(WebOriginError::Form)?;
        if matches!(scheme, "ws" | "wss") {
            return Err(WebOriginError::WebSocket);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let host = host_name(host).filter(|_| is_scheme(scheme));
        let host = host.ok_or(WebOriginError::Form)?;
        let port = port.map(port_number).transpose()?;
        let written = match (port, scheme) {
            (None, _) | (Some(80), "http") | (Some(443), "https") => format!("{scheme}://{host}"),
            (Some(port), _) => format!("{scheme}://{host}:{port}"),
        };
        let written = HeaderValue::from_str(&written);
        written.map(Self).map_err(|_| WebOriginError::Form)
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    let other = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(other)
}

/// A name or an address, as it stands in an origin.
fn host_name(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('[') {
        let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    // Names of other letters are sent in their ASCII form.
    let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!text.is_empty() && text.bytes().all(usual)).then(|| text.to_owned())
}

fn port_number(text: &str) -> Result<u16, WebOriginError> {
    // `u16` takes a plus sign.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port > 0);
    port.ok_or(WebOriginError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> WebOrigins {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, expected) in [
            ("*", "any origin"),
            ("https://radio.example", "https://radio.example"),
            ("HTTPS://Radio.Example:443", "https://radio.example"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://127.0.0.1:08080", "http://127.0.0.1:8080"),
            ("http://[::1]", "http://[::1]"),
            ("http://[0:0::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcd", "chrome-extension://abcd"),
        ] {
            assert_eq!(list(&[text]).to_string(), expected);
        }
        for (text, error) in [
            ("", WebOriginError::Form),
            ("null", WebOriginError::Form),
            ("radio.example", WebOriginError::Form),
            ("//radio.example", WebOriginError::Form),
            ("://radio.example", WebOriginError::Form),
            ("1http://radio.example", WebOriginError::Form),
            ("https://", WebOriginError::Form),
            ("https://:80", WebOriginError::Form),
            ("https://radio.example/", WebOriginError::Form),
            ("https://radio.example/app", WebOriginError::Form),
            ("https://radio.example?a", WebOriginError::Form),
            ("https://me@radio.example", WebOriginError::Form),
            ("https://radio.example:", WebOriginError::Form),
            ("https://radio.example:0", WebOriginError::Form),
            ("https://radio.example:+80", WebOriginError::Form),
            ("https://radio.example:65536", WebOriginError::Form),
            ("https://radio example", WebOriginError::Form),
            ("https://rädio.example", WebOriginError::Form),
            ("http://[::1", WebOriginError::Form),
            ("http://::1", WebOriginError::Form),
            ("http://::1:80", WebOriginError::Form),
            ("wss://radio.example", WebOriginError::WebSocket),
            ("https://*.radio.example", WebOriginError::Pattern),
            ("*.radio.example", WebOriginError::Pattern),
        ] {
            assert_eq!(text.parse::<WebOrigins>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn who_is_let_in() {
        let any = list(&["https://a.example", "*"]);
        assert_eq!(any, WebOrigins::Any);
        let two = list(&["https://a.example", "http://b.example:8080"]);
        let none = WebOrigins::Listed(Vec::new());
        // origins sent -> who is let in of: any, two, none
        let a = "https://a.example";
        for (sent, expected) in [
            (&[a][..], [Some(a), Some(a), None]),
            (
                &["HTTPS://A.example"],
                [Some("HTTPS://A.example"), Some(a), None],
            ),
            (
                &["http://a.example"],
                [Some("http://a.example"), None, None],
            ),
            (
                &["https://a.example:8080"],
                [Some("https://a.example:8080"), None, None],
            ),
            (
                &["https://a.example.c.example"],
                [Some("https://a.example.c.example"), None, None],
            ),
            (&["null"], [Some("null"), None, None]),
            (&["wss://c.example"], [Some("wss://c.example"); 3]),
            (
                &["wss://c.example", a],
                [Some("wss://c.example"), None, None],
            ),
            (&["wss.example://c"], [Some("wss.example://c"), None, None]),
            (&[""], [Some(""), None, None]),
            (&[a, "https://c.example"], [Some(a), None, None]),
        ] {
            let mut headers = HeaderMap::new();
            for origin in sent {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            for (list, expected) in [&any, &two, &none].into_iter().zip(expected) {
                let expected = expected.map_or(Page::Refused, |origin| {
                    Page::LetIn(HeaderValue::from_static(origin))
                });
                assert_eq!(list.page(&headers), expected, "{list}: {sent:?}");
            }
        }
        assert_eq!(none.page(&HeaderMap::new()), Page::Unnamed);
    }
}
