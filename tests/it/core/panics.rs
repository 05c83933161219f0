//! A panic in a sink closes its client, and affects no other client.

use roomcast::core::event::Kind;
use roomcast::core::hub::Notice;

use super::*;

/// The call in which a sink panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    Prepare,
    Deliver,
    DeliverAndClose,
    HasRoom,
    Lost,
}

struct Faulty(Bug, mpsc::UnboundedSender<Told>);

impl Faulty {
    fn panics_in(&self, bugs: &[Bug]) {
        assert!(!bugs.contains(&self.0), "a bug in {:?}", self.0);
    }
}

impl Outlet for Faulty {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        self.panics_in(&[Bug::Deliver, Bug::DeliverAndClose]);
        Recorder(self.1.clone()).deliver(event)
    }

    fn has_room(&self) -> bool {
        self.panics_in(&[Bug::HasRoom]);
        true
    }

    fn prepare(&self) {
        self.panics_in(&[Bug::Prepare]);
    }

    fn lost(&self, room: &RoomName) -> Result<(), CloseReason> {
        self.panics_in(&[Bug::Lost]);
        Recorder(self.1.clone()).lost(room)
    }

    fn close(&self, reason: CloseReason) {
        let _ = self.1.send(Told::Closed(reason));
        self.panics_in(&[Bug::DeliverAndClose]);
    }
}

fn connect_faulty(hub: &Hub, bug: Bug) -> Listener {
    let (tx, told) = mpsc::unbounded_channel();
    let namespace = NamespaceName::parse("/n").unwrap();
    let client = hub.connect(&namespace, Arc::new(Faulty(bug, tx))).unwrap();
    Listener { client, told }
}

#[tokio::test]
async fn a_panic_in_a_sink_closes_its_client_and_the_others_go_on() {
    for bug in [Bug::Deliver, Bug::DeliverAndClose, Bug::Prepare] {
        let hub = hub(0, &[]);
        let mut before = connect(&hub);
        join(&hub, &before, None).await;
        let mut faulty = connect_faulty(&hub, bug);
        join(&hub, &faulty, None).await;
        let mut behind = connect(&hub);
        join(&hub, &behind, None).await;
        for number in 1..=3 {
            try_publish(&hub, number, &[]).unwrap();
            for listener in [&mut before, &mut behind] {
                let message = listener.messages(1).await;
                assert_eq!(message, [number.to_string()], "{bug:?}");
            }
        }
        let expected = match bug {
            Bug::Prepare => Told::Event("1".to_owned()),
            _ => Told::Closed(CloseReason::Failed),
        };
        assert_eq!(faulty.told.recv().await, Some(expected), "{bug:?}");
        // Its transport disconnects it: it is in no room any more.
        hub.disconnect(&faulty.client);
        let joined = join(&hub, &connect(&hub), None).await;
        assert_eq!(joined.clients, 3, "{bug:?}");
    }
}

#[tokio::test]
async fn an_answer_that_panics_holds_nobody_up() {
    let hub = hub(0, &[]);
    let mut member = connect(&hub);
    join(&hub, &member, None).await;
    let faulty = connect(&hub);
    let answer = |_| panic!("a bug in the answer to JOIN");
    hub.join(&faulty.client, &room("r"), None, None, answer)
        .unwrap();
    let farewell = || panic!("a bug in the answer to LEAVE");
    hub.leave(&faulty.client, &room("r"), farewell).unwrap();
    try_publish(&hub, 1, &[]).unwrap();
    assert_eq!(member.messages(1).await, ["1"]);
}

#[tokio::test]
async fn a_peer_whose_sink_panics_is_closed_and_its_sender_is_answered() {
    for bug in [Bug::Deliver, Bug::HasRoom] {
        let mut lobby = namespace("/n", 0, &[]);
        lobby.protocol = Protocol::Lobby;
        let hub = Hub::new(vec![lobby], Memory);
        let name = |name: &str| Nickname::parse(name).unwrap();
        let mut faulty = connect_faulty(&hub, bug);
        let mut sender = connect(&hub);
        for (listener, who) in [(&faulty, "faulty"), (&sender, "sender")] {
            let (tell, told) = oneshot::channel();
            let welcome = move |joined: Result<Joined, _>| drop(tell.send(joined));
            let who = Some(name(who));
            hub.join(&listener.client, &room("r"), who, None, welcome)
                .unwrap();
            told.await.unwrap().unwrap();
        }
        let send = |to: &str| {
            let (tell, told) = oneshot::channel();
            let notice = Notice {
                kind: Kind::Signal,
                to: Some(name(to)),
                message: to_raw_value("offer").unwrap(),
            };
            let done = Box::new(move |done| drop(tell.send(done)));
            hub.notify(&sender.client, room("r"), notice, done);
            told
        };
        let sent = send("faulty").await.unwrap();
        match bug {
            Bug::Deliver => {
                let closed = Told::Closed(CloseReason::Failed);
                assert_eq!(faulty.told.recv().await, Some(closed));
            }
            _ => assert_eq!(sent.unwrap_err().code(), "busy"),
        }
        // The client can leave, and the other peer is told.
        hub.disconnect(&faulty.client);
        send("sender").await.unwrap().unwrap();
        sender.messages(2).await;
    }
}

#[tokio::test]
async fn a_room_is_deleted_although_a_sink_panics() {
    let (hub, token) = created::created_hub();
    let mut faulty = connect_faulty(&hub, Bug::Lost);
    let mut member = connect(&hub);
    for listener in [&faulty, &member] {
        join(&hub, listener, None).await;
    }
    created::delete(&hub, Some(token.reveal())).unwrap();
    assert_eq!(member.told.recv().await, Some(Told::Lost(room("r"))));
    let closed = Told::Closed(CloseReason::Failed);
    assert_eq!(faulty.told.recv().await, Some(closed));
}
