//! The differences of Engine.IO v3 from v4, in what clients send and receive: no
//! version, a query behind a namespace's name, and a refusal that is a string.
//! The engine knows none of it.

use super::link::Link;
use super::packet::SocketPacket;
use crate::core::name::NamespaceName;

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

    /// Forgets a packet that the client receives in another way.
    pub(super) fn unsay(&mut self, packet: &str) {
        self.words.retain(|word| word != packet);
    }

    pub(super) fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words)
    }
}

/// Keeps the query of a CONNECT, and answers one to a namespace that nobody can be in:
/// the engine does that with an object, and Java's SDK 1 takes nothing but a string.
///
/// Returns false if it has answered the CONNECT: then the engine does not receive it.
pub(super) fn admits(link: &Link, connect: &SocketPacket<'_>) -> bool {
    let namespace = connect.namespace;
    // A longer name is not a namespace of ours, and is not sent back.
    let is_short = namespace.len() <= NamespaceName::MOST_CHARS;
    if namespace != "/"
        && is_short
        && let Some(why) = link.refusal(namespace)
    {
        let why = serde_json::Value::from(why);
        link.say(&format!("44{namespace},{why}"));
        return false;
    }
    if let Some(query) = connect.query {
        link.asks(namespace, query);
    }
    true
}
