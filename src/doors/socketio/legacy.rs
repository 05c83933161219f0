//! What clients of Engine.IO v3 say and hear in another way than those of v4: no
//! version, a query behind a namespace's name, and a refusal that is a string.
//! The engine knows none of it; it is given what it knows, of the same length.

use std::sync::Arc;

use http::{Request, Uri};

use super::front::PATH;
use super::link::Link;
use super::payload::{Framing, namespace_of, packets};
use crate::core::name::NamespaceName;

/// A request for a session that does not say which version of Engine.IO it is
/// of, as one of v3: Swift's SDK names none before 16, and Socket.IO's own server
/// takes it so (socketio/engine.io, pull request 616).
pub(super) fn versioned<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    let says = |name: &str| {
        let mut pairs = uri.query().unwrap_or_default().split('&');
        pairs.any(|pair| pair.starts_with(name))
    };
    if uri.path().starts_with(PATH) && says("transport=") && !says("EIO=") {
        // Where it can't be said behind the rest, the engine refuses it as it is.
        if let Ok(versioned) = Uri::try_from(format!("{uri}&EIO=3")) {
            *request.uri_mut() = versioned;
        }
    }
    request
}

/// The longest query that is kept: a lobby's name with each character escaped.
const QUERY_MOST: usize = 2048;

/// How many CONNECTs with a query may be under way, and how many words wait for
/// a poll: more than there are namespaces that anybody connects to at once.
const QUERIES_MOST: usize = 8;
const WORDS_MOST: usize = 8;

/// What a session has under way that only clients of Engine.IO v3 have.
#[derive(Default)]
pub(super) struct Pending {
    /// The queries of its CONNECTs, by namespace.
    queries: Vec<(String, String)>,
    /// Packets of our own, for the next poll.
    words: Vec<String>,
}

impl Pending {
    pub(super) fn asks(&mut self, namespace: &str, query: &str) {
        self.queries.retain(|(asked, _)| asked != namespace);
        let fits = namespace.len() <= NamespaceName::MOST_CHARS && query.len() <= QUERY_MOST;
        if fits && self.queries.len() < QUERIES_MOST {
            self.queries.push((namespace.to_owned(), query.to_owned()));
        }
    }

    pub(super) fn query(&mut self, namespace: &str) -> Option<String> {
        let mut queries = self.queries.iter();
        let at = queries.position(|(asked, _)| asked == namespace)?;
        Some(self.queries.swap_remove(at).1)
    }

    pub(super) fn say(&mut self, packet: &str) {
        if self.words.len() < WORDS_MOST {
            self.words.push(packet.to_owned());
        }
    }

    pub(super) fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words)
    }
}

/// Of a CONNECT whose payload goes by: what was seen so far.
#[derive(Default)]
enum Seen {
    #[default]
    Nothing,
    /// So many characters of `40`.
    Kind(usize),
    Namespace(Vec<u8>),
    Query(Vec<u8>, Vec<u8>),
    /// A comma has ended the query.
    Ended(Vec<u8>, Vec<u8>),
    /// No CONNECT with a query, or its end.
    Rest,
}

/// Takes the query out of CONNECT packets whose bytes go by in parts: the engine
/// would take it for a part of the namespace's name, and refuse it
/// (Socket.IO protocol v4, "CONNECT", has it there).
#[derive(Default)]
pub(super) struct Queries(Seen);

impl Queries {
    /// Rewrites the part of a text frame that begins at `at`, of `length` bytes.
    pub(super) fn pass(&mut self, link: &Link, length: u64, at: u64, part: &mut [u8]) {
        if at == 0 {
            self.0 = Seen::Kind(0);
        }
        for byte in part.iter_mut() {
            self.step(byte);
        }
        if at + part.len() as u64 == length
            && let Seen::Query(namespace, query) | Seen::Ended(namespace, query) =
                std::mem::take(&mut self.0)
        {
            let [namespace, query] = [&namespace, &query].map(|text| String::from_utf8_lossy(text));
            link.asks(&namespace, &query);
        }
    }

    fn step(&mut self, byte: &mut u8) {
        const KIND: &[u8] = b"40";
        match &mut self.0 {
            Seen::Kind(seen) if KIND.get(*seen) == Some(byte) => *seen += 1,
            Seen::Kind(2) if *byte == b'/' => self.0 = Seen::Namespace(vec![b'/']),
            Seen::Namespace(name) if *byte == b'?' => {
                *byte = b',';
                self.0 = Seen::Query(std::mem::take(name), Vec::new());
            }
            Seen::Namespace(name) if *byte != b',' && name.len() < QUERY_MOST => name.push(*byte),
            Seen::Query(namespace, query) => {
                if *byte == b',' {
                    self.0 = Seen::Ended(std::mem::take(namespace), std::mem::take(query));
                } else if query.len() <= QUERY_MOST {
                    query.push(*byte);
                }
                *byte = b' ';
            }
            Seen::Ended(..) => *byte = b' ',
            _ => self.0 = Seen::Rest,
        }
    }
}

/// Answers the CONNECT to a namespace that nobody can be in: the engine does it
/// with an object, and Java's SDK 1 takes nothing but a string.
pub(super) fn refuses(link: &Link, packet: &str) -> bool {
    if !packet.starts_with("40/") {
        return false;
    }
    let namespace = namespace_of(packet);
    if namespace.len() > NamespaceName::MOST_CHARS {
        // None of ours; it is not repeated here.
        return false;
    }
    let Some(why) = link.refusal(namespace) else {
        return false;
    };
    let why = serde_json::Value::from(why);
    link.say(&format!("44{namespace},{why}"));
    true
}

/// Makes a pong, which changes nothing, of a packet: by its first byte.
pub(super) const PONG: u8 = b'3';

/// A polling body as the engine takes it.
pub(super) fn body(text: &str, link: &Arc<Link>) -> String {
    let mut body = String::with_capacity(text.len());
    let mut from = 0;
    for (packet, end) in packets(text, Framing::Counted) {
        body.push_str(&text[from..end - packet.len()]);
        from = end;
        if refuses(link, packet) {
            body.push(char::from(PONG));
            body.push_str(&packet[1..]);
            continue;
        }
        match packet.split_once('?') {
            Some((connect, query)) if connect.starts_with("40/") && !connect.contains(',') => {
                let asked = query.split(',').next().unwrap_or_default();
                link.asks(namespace_of(connect), asked);
                body.push_str(connect);
                body.push(',');
                // What counts is the length in UTF-16 units.
                body.extend(query.encode_utf16().map(|_| ' '));
            }
            _ => body.push_str(packet),
        }
    }
    body.push_str(&text[from..]);
    body
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::sessions::Sessions;
    use super::*;

    fn link() -> Arc<Link> {
        let reserved = ("/r".to_owned(), Some("kept free".to_owned()));
        let sessions = Sessions::new(1, vec![("/a".to_owned(), None), reserved]);
        sessions.open(Ipv4Addr::LOCALHOST.into(), false).unwrap()
    }

    #[test]
    fn a_query_is_taken_out_at_every_cut_and_nothing_else_is_changed() {
        let cases = [
            ("40/a?b=c&d=%20", "40/a,         ", Some("b=c&d=%20")),
            ("40/a?b=\u{e9},", "40/a,     ", Some("b=\u{e9}")),
            ("40/a?", "40/a,", Some("")),
            ("40/a,{\"b\":\"?\"}", "40/a,{\"b\":\"?\"}", None),
            ("40", "40", None),
            ("40?b=c", "40?b=c", None),
            ("42/a?b,[\"x\"]", "42/a?b,[\"x\"]", None),
            ("", "", None),
        ];
        for (packet, expected, query) in cases {
            for cut in 0..=packet.len() {
                let link = link();
                let mut queries = Queries::default();
                let mut bytes = packet.as_bytes().to_vec();
                let length = bytes.len() as u64;
                let (first, second) = bytes.split_at_mut(cut);
                queries.pass(&link, length, 0, first);
                if cut > 0 {
                    queries.pass(&link, length, cut as u64, second);
                } else {
                    queries.pass(&link, length, 0, second);
                }
                assert_eq!(String::from_utf8(bytes).unwrap(), expected, "cut at {cut}");
                assert_eq!(link.query("/a").as_deref(), query, "{packet} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_body_keeps_its_lengths() {
        let cases = [
            ("6:40/a?b5:40/a,", "6:40/a, 5:40/a,", Some("b"), None),
            (
                "7:40/a?\u{1d11e}1:2",
                "7:40/a,  1:2",
                Some("\u{1d11e}"),
                None,
            ),
            ("4:40/r1:2", "4:30/r1:2", None, Some(r#"44/r,"kept free""#)),
            ("6:42/a,[", "6:42/a,[", None, None),
            ("no payload", "no payload", None, None),
        ];
        for (text, expected, query, word) in cases {
            let link = link();
            assert_eq!(body(text, &link), expected);
            assert_eq!(link.query("/a").as_deref(), query, "{text}");
            assert_eq!(link.words().first().map(String::as_str), word, "{text}");
        }
    }
}
