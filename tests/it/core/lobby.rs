//! Lobbies: who comes and goes, what one peer sends to another, and in which
//! order both are heard.

use std::sync::atomic::{AtomicBool, Ordering};

use roomcast::core::broker::{Broker, BrokerStatus, Done};
use roomcast::core::event::{Kind, Order, Publication};
use roomcast::core::hub::Notice;

use super::*;

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it is told, behind what a test does with it.
struct Spy {
    log: Log,
    on: Box<dyn Fn(&Event) + Send + Sync>,
}

impl Outlet for Spy {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        (self.on)(event);
        let said = &event.publication;
        let told = format!("{:?} {}", said.kind, said.sender);
        self.log.lock().unwrap().push(told);
        Ok(())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        unreachable!("no room is deleted here")
    }

    fn close(&self, _: CloseReason) {}
}

struct Peer {
    client: Arc<Client>,
    log: Log,
}

impl Peer {
    fn connect(hub: &Hub, on: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let log = Log::default();
        let spy = Spy {
            log: log.clone(),
            on: Box::new(on),
        };
        let namespace = NamespaceName::parse("/n").unwrap();
        let client = hub.connect(&namespace, Arc::new(spy)).unwrap();
        Self { client, log }
    }

    /// Comes to the lobby; behind the answer all that was before is heard.
    async fn come(hub: &Hub, name: &str) -> Self {
        let peer = Self::connect(hub, |_| ());
        peer.enter(hub, name).await;
        peer
    }

    async fn enter(&self, hub: &Hub, name: &str) -> Vec<String> {
        let (tell, joined) = oneshot::channel();
        let name = Nickname::parse(name).unwrap();
        let welcome = move |joined| drop(tell.send(joined));
        hub.join(&self.client, &room("r"), Some(name), None, welcome)
            .unwrap();
        let joined: Joined = joined.await.unwrap().unwrap();
        joined.peers.iter().map(ToString::to_string).collect()
    }

    fn heard(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn lobby(broker: impl Broker) -> Arc<Hub> {
    let mut namespace = namespace("/n", 0, &[]);
    namespace.protocol = Protocol::Lobby;
    Hub::new(vec![namespace], broker)
}

fn send(hub: &Arc<Hub>, from: &Arc<Client>, to: Option<&str>) -> Result<(), String> {
    let notice = Notice {
        kind: to.map_or(Kind::Message, |_| Kind::Signal),
        to: to.map(|to| Nickname::parse(to).unwrap()),
        message: to_raw_value(&1).unwrap(),
    };
    let (tell, told) = std::sync::mpsc::channel();
    let done = Box::new(move |sent: Result<Offset, Error>| {
        let _ = tell.send(sent.map(drop).map_err(|error| error.code().to_owned()));
    });
    hub.notify(from, room("r"), notice, done);
    told.recv().unwrap_or(Ok(()))
}

#[tokio::test]
async fn a_name_that_is_taken_over_is_its_new_owners() {
    let hub = lobby(Memory);
    let anna = Peer::come(&hub, "anna").await;
    let before = Peer::come(&hub, "ben").await;
    let after = Peer::connect(&hub, |_| ());
    assert_eq!(after.enter(&hub, "ben").await, ["anna"]);
    hub.disconnect(&before.client);
    assert_eq!(send(&hub, &anna.client, Some("ben")), Ok(()));
    Peer::come(&hub, "cleo").await;
    assert_eq!(after.heard(), ["Signal anna", "Joined cleo"]);
    let expected = ["Joined ben", "Left ben", "Joined ben", "Joined cleo"];
    assert_eq!(anna.heard(), expected);
}

/// Delivers when it is told to, as its contract allows.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<Vec<(Publication, Done)>>>);

impl Broker for Late {
    fn publish(&self, _: &Arc<Hub>, publication: Publication, done: Done) {
        self.0.lock().unwrap().push((publication, done));
    }

    fn status(&self) -> BrokerStatus {
        Memory.status()
    }
}

#[tokio::test]
async fn nothing_of_a_peer_comes_behind_its_left() {
    let late = Late::default();
    let hub = lobby(late.clone());
    let ben = Peer::come(&hub, "ben").await;
    let anna = Peer::come(&hub, "anna").await;
    let mut refused = Vec::new();
    for to in [Some("ben"), None] {
        let notice = Notice {
            kind: to.map_or(Kind::Message, |_| Kind::Signal),
            to: to.map(|to| Nickname::parse(to).unwrap()),
            message: to_raw_value(&1).unwrap(),
        };
        hub.notify(&anna.client, room("r"), notice, Box::new(|_| ()));
    }
    hub.leave(&anna.client, &room("r"), || ()).unwrap();
    for (publication, _) in std::mem::take(&mut *late.0.lock().unwrap()) {
        refused.push(hub.deliver(publication, Order::Here).unwrap_err().code());
    }
    Peer::come(&hub, "cleo").await;
    assert_eq!(refused, ["no_such_peer", "not_in_room"]);
    assert_eq!(ben.heard(), ["Joined anna", "Left anna", "Joined cleo"]);
}

/// A signal is under way when its peer leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_comes_behind_the_answer_to_leave() {
    let hub = lobby(Memory);
    let (begin, begun) = std::sync::mpsc::channel();
    let left = Arc::new(AtomicBool::new(false));
    let on = {
        let left = left.clone();
        move |event: &Event| {
            if event.publication.kind == Kind::Signal {
                begin.send(()).unwrap();
                // Time enough for an answer that does not wait.
                let mut turns = 0..20_000;
                while !left.load(Ordering::SeqCst) && turns.next().is_some() {
                    std::thread::yield_now();
                }
            }
        }
    };
    let anna = Peer::come(&hub, "anna").await;
    let ben = Peer::connect(&hub, on);
    ben.enter(&hub, "ben").await;
    // Behind it nothing is queued that a signal has to wait for.
    Peer::come(&hub, "cleo").await;
    let sends = {
        let (hub, anna) = (hub.clone(), anna.client.clone());
        tokio::task::spawn_blocking(move || send(&hub, &anna, Some("ben")))
    };
    let log = ben.log.clone();
    let leaves = tokio::task::spawn_blocking(move || {
        begun.recv().unwrap();
        hub.leave(&ben.client, &room("r"), move || {
            log.lock().unwrap().push("answer to LEAVE".into());
            left.store(true, Ordering::SeqCst);
        })
    });
    assert_eq!(sends.await.unwrap(), Ok(()));
    leaves.await.unwrap().unwrap();
    let heard = loop {
        let heard = ben.log.lock().unwrap().clone();
        if heard.iter().any(|told| told == "answer to LEAVE") {
            break heard;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(heard, ["Joined cleo", "Signal anna", "answer to LEAVE"]);
}
