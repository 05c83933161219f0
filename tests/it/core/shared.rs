//! Rooms that are on other nodes as well: what becomes of clients that come and go
//! while those are still being told, and of what comes meanwhile.

use chrono::Utc;
use roomcast::core::event::{Kind, Order, Publication};
use roomcast::core::room::Loaded;
use roomcast::core::terms::Terms;
use roomcast::core::token::Token;

use super::scribe::{Node, Said};
use super::*;

fn spec() -> Namespace {
    namespace("/n", 0, &[])
}

/// What a client does on its way, and what comes of it.
#[tokio::test]
async fn all_that_is_asked_on_the_way_is_done_in_its_order() {
    // what is asked -> answers and whether it is in, if it is let in and if not
    type Case = (
        &'static str,
        &'static [&'static str],
        bool,
        &'static [&'static str],
    );
    let cases: [Case; 5] = [
        ("J", &["in"], true, &["alone"]),
        ("JJ", &["in", "in"], true, &["alone", "alone"]),
        ("JL", &["in", "out"], false, &["alone", "out"]),
        (
            "JLJ",
            &["in", "out", "in"],
            true,
            &["alone", "alone", "out"],
        ),
        (
            "JLJL",
            &["in", "out", "in", "out"],
            false,
            &["alone", "alone", "out", "out"],
        ),
    ];
    for (asked, let_in, is_in, refused) in cases {
        for error in [None, Some(Error::Alone)] {
            let mut node = Node::new(spec());
            let client = connect(&node.hub).client;
            let key = client.key();
            for verb in asked.chars() {
                match verb {
                    'J' => node.joins(&client),
                    _ => node.leaves(&client),
                }
            }
            assert_eq!(node.others.said(), [Said::Enters(key)], "{asked}");
            let (expected, is_in, told) = match &error {
                None if is_in => (let_in, true, vec![]),
                None => (let_in, false, vec![Said::Exits(key)]),
                Some(_) => (refused, false, vec![]),
            };
            node.entered(&client, error);
            node.answered(expected).await;
            node.are_in(&[&client], &[is_in]);
            assert_eq!(node.others.said(), told, "{asked}");
        }
    }
}

/// A member asks again, and the other nodes can't say how many there are.
#[tokio::test]
async fn a_member_that_is_refused_stays_one_until_it_leaves() {
    for leaves in [false, true] {
        let mut node = Node::new(spec());
        let client = connect(&node.hub).client;
        let key = client.key();
        node.joins(&client);
        node.entered(&client, None);
        node.answered(&["in"]).await;
        node.joins(&client);
        if leaves {
            node.leaves(&client);
        }
        node.entered(&client, Some(Error::Alone));
        node.others.said();
        node.answered(&["alone"]).await;
        node.are_in(&[&client], &[!leaves]);
        if !leaves {
            node.leaves(&client);
            assert_eq!(node.others.said(), [Said::Exits(key)]);
        }
        node.answered(&["out"]).await;
        node.are_in(&[&client], &[false]);
    }
}

/// Both are on their way with one name: the second one's connection is the newer.
#[tokio::test]
async fn whose_name_is_taken_over_has_left_for_the_other_nodes() {
    let mut lobby = spec();
    lobby.protocol = Protocol::Lobby;
    let mut node = Node::new(lobby);
    let (first, second) = (connect(&node.hub).client, connect(&node.hub).client);
    for client in [&first, &second] {
        node.joins_as(client, Some("ben"));
    }
    node.others.said();
    for client in [&first, &second] {
        node.entered(client, None);
    }
    node.answered(&["in", "in"]).await;
    assert_eq!(node.others.said(), [Said::Exits(first.key())]);
    let present = node.hub.present(&scribe::id());
    assert_eq!(present.len(), 1);
    assert_eq!(present[0].key, second.key());
}

#[tokio::test]
async fn what_no_room_is_for_does_not_reach_the_other_nodes() {
    let mut fixed = spec();
    fixed.rooms = Rooms::Fixed(vec![room("known")]);
    let node = Node::new(fixed);
    let refused = publish_in(&node.hub, "r", to_raw_value(&1).unwrap(), &[]);
    assert_eq!(refused.unwrap_err().code(), "unknown_room");
    assert_eq!(node.others.said(), []);
}

/// What comes meanwhile is in what a room is loaded with, also where that has a token.
#[tokio::test]
async fn what_comes_before_a_room_is_loaded_is_not_refused() {
    let mut created = spec();
    created.rooms = Rooms::Created;
    created.publishers = vec![Publisher::Http];
    let mut node = Node::new(created);
    let mut listener = connect(&node.hub);
    node.joins(&listener.client);
    let at = |number: u64| format!("abcdefghijkl-{number}").parse::<Offset>().unwrap();
    let token = Token::random().hash();
    let deliver = |number: u64| {
        let publication = Publication {
            namespace: scribe::id().namespace,
            room: scribe::id().room,
            kind: Kind::Message,
            sender: Nickname::http(),
            to: To::Everybody,
            message: to_raw_value(&number).unwrap(),
            origin: None,
            retain: Vec::new(),
            token: Some(token),
            id: None,
            same: None,
        };
        node.hub
            .deliver(publication, Order::Given(at(number), Utc::now()))
    };
    assert_eq!(deliver(1).unwrap(), at(1));
    let loaded = Loaded {
        at: at(1),
        contents: None,
        terms: Some(Terms {
            token_hash: token,
            retain: false,
            history: 0,
        }),
        elsewhere: Vec::new(),
        is_complete: true,
    };
    node.hub.load(&scribe::id(), loaded);
    node.entered(&listener.client, None);
    assert_eq!(deliver(2).unwrap(), at(2));
    assert_eq!(listener.messages(1).await, ["2"]);
    node.answered(&["in"]).await;
}
