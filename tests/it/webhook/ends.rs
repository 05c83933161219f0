//! However a connection ends: the backend is told once, and behind all else.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::http::Method;
use futures_util::{StreamExt, stream};
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::backend::Called;
use super::{Client, Pair, answered, pass};
use crate::client::SOON;

/// How many connections end in each way.
const EACH: usize = 250;

/// How many connect at once: what the backlog of a listener takes.
const AT_ONCE: usize = 50;

/// Two thousand connections in a build without optimisation.
const LONG: Duration = SOON.saturating_mul(6);

/// The biggest message: four pages of 32 KiB.
const MESSAGE_MOST: usize = 4 * 32 * 1024;

/// How often the server asks whether somebody is there, unless it is told.
const PERIOD: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    CloseFrame,
    Fin,
    Reset,
    Garbage,
    TooBig,
    Rest,
    Silence,
    Shutdown,
}

const ENDS: [End; 8] = [
    End::CloseFrame,
    End::Fin,
    End::Reset,
    End::Garbage,
    End::TooBig,
    End::Rest,
    End::Silence,
    End::Shutdown,
];

impl End {
    /// Whether the message has to be there before the end begins.
    fn is_sudden(self) -> bool {
        // A reset takes what was not read yet with it.
        !matches!(
            self,
            End::CloseFrame | End::Fin | End::Garbage | End::TooBig
        )
    }
}

/// A connection that is open, and how it will end.
struct Line {
    client: Client,
    how: End,
    /// What it is known by to the backend.
    name: String,
}

impl Line {
    async fn open(pair: &Pair, number: usize) -> Self {
        let how = ENDS[number % ENDS.len()];
        let name = format!("{how:?}-{number}");
        let headers = [("authorization", &*name)];
        let client = Client::connect_with(pair.ws, &headers).await.unwrap();
        let mut line = Self { client, how, name };
        if how.is_sudden() {
            line.client.send(Message::text(&line.name)).await;
        }
        line
    }

    /// Ends it; sends its message right before that if it has not yet.
    async fn end(mut self) {
        let client = &mut self.client;
        if !self.how.is_sudden() {
            client.send(Message::text(&self.name)).await;
        }
        match self.how {
            End::CloseFrame => client.0.close(None).await.unwrap(),
            End::Fin => client.0.get_mut().shutdown().await.unwrap(),
            End::Reset => {
                let socket = SockRef::from(client.0.get_ref());
                return socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            End::Garbage => {
                let reserved = [0xf1, 0x80, 0, 0, 0, 0];
                client.0.get_mut().write_all(&reserved).await.unwrap();
            }
            End::TooBig => {
                let much = Message::text("x".repeat(MESSAGE_MOST + 1));
                client.send(much).await;
                return assert_eq!(client.closed().await, 1009);
            }
            End::Rest => return assert_eq!(client.closed().await, 1000),
            End::Silence | End::Shutdown => unreachable!("these end otherwise"),
        }
        while let Some(Ok(_)) = client.0.next().await {}
    }

    /// Waits for the next ping, and until the server has the answer to it.
    async fn answer_a_ping(&mut self) {
        assert!(matches!(self.client.next().await, Message::Ping(_)));
        // Behind the answer, which goes out first.
        self.client.send(Message::Ping("mine".into())).await;
        let answer = self.client.next().await;
        assert_eq!(answer, Message::Pong("mine".into()));
    }
}

/// Waits until so many calls have come for each of the ways to end.
async fn called(pair: &Pair, kinds: usize) -> Vec<Called> {
    let wanted = |calls: &[Called]| calls.len() >= kinds * EACH;
    let calls = pair.backend.within(LONG, wanted).await;
    assert_eq!(calls.len(), kinds * EACH);
    calls
}

/// Of how many that end so the backend was told that they are gone.
fn told_of(pair: &Pair, how: End) -> usize {
    let calls = pair.backend.calls().into_iter();
    let gone = calls.filter(|call| call.method == Method::DELETE);
    let of = format!("{how:?}-");
    gone.filter(|call| call.header("authorization").starts_with(&of))
        .count()
}

#[tokio::test]
async fn the_backend_is_told_once_of_each_end_and_behind_all_else() {
    let pair = Pair::start(&[]).await;
    let lines = stream::iter(0..ENDS.len() * EACH).map(|number| Line::open(&pair, number));
    let lines: Vec<_> = lines.buffer_unordered(AT_ONCE).collect().await;
    // All have come, and one half has said its word.
    let calls = called(&pair, ENDS.len() + ENDS.len() / 2).await;
    let ids: HashMap<String, String> = calls
        .iter()
        .map(|call| (call.header("authorization").to_owned(), call.id.clone()))
        .collect();

    let (mut ending, mut silent, mut staying) = (JoinSet::new(), Vec::new(), Vec::new());
    for line in lines {
        match line.how {
            End::Silence => silent.push(line),
            End::Shutdown => staying.push(line),
            End::Rest => {
                let path = format!("/{}", ids[&line.name]);
                ending.spawn(line.end());
                let closed = pair.rest("DELETE", &path, "").await;
                assert_eq!(answered(&closed), (200, "OK".into()));
            }
            _ => drop(ending.spawn(line.end())),
        }
    }
    while let Some(ended) = ending.join_next().await {
        ended.unwrap();
    }
    // All have said it, and all but two kinds are gone.
    called(&pair, 3 * ENDS.len() - 2).await;

    // Dead within two periods, and nobody else.
    for period in 1..=2 {
        assert_eq!(told_of(&pair, End::Silence), 0, "{period}");
        pass(PERIOD).await;
        for line in &mut staying {
            line.answer_a_ping().await;
        }
    }
    called(&pair, 3 * ENDS.len() - 1).await;
    assert_eq!(told_of(&pair, End::Silence), EACH);

    let told = async {
        for line in &mut staying {
            assert_eq!(line.client.closed().await, 1001);
            while let Some(Ok(_)) = line.client.0.next().await {}
        }
    };
    let (stopped, ()) = tokio::join!(pair.server.stop(), told);
    assert_eq!(stopped.cut, 0);
    drop(silent);
    each_is_whole(&pair.backend.calls(), &ids);
}

/// Each connection was opened, has said one thing, and was closed; each call is one
/// of its own.
fn each_is_whole(calls: &[Called], ids: &HashMap<String, String>) {
    let mut of: HashMap<&str, Vec<&Called>> = HashMap::new();
    let mut known = HashSet::new();
    for call in calls {
        of.entry(&call.id).or_default().push(call);
        assert!(known.insert(call.header("webhook-id")), "twice: {call:?}");
    }
    assert_eq!(
        (of.len(), ids.len()),
        (ENDS.len() * EACH, ENDS.len() * EACH)
    );
    for calls in of.values() {
        let methods: Vec<_> = calls.iter().map(|call| call.method.as_str()).collect();
        let name = calls[0].header("authorization");
        assert_eq!(methods, ["POST", "PUT", "DELETE"], "{name}");
        assert_eq!(calls[1].text(), name);
        assert!(calls[2].text().contains("CONNECTION_CLOSE"), "{calls:?}");
    }
}
