//! What a client is sent that joins, comes back or joins again: nothing lost,
//! nothing twice.

use super::*;

#[tokio::test]
async fn since_recovers_exactly_what_was_missed() {
    let hub = hub(10, &["last"]);
    let offsets: Vec<_> = (1..=20).map(|number| publish(&hub, number)).collect();
    let other: Offset = "aaaaaaaaaaaa-3".parse().unwrap();
    let beyond = Offset {
        number: 21,
        ..offsets[0]
    };
    // since -> recovered, backlog
    let cases = [
        (None, false, numbers(20..=20)),
        (Some(offsets[19]), true, vec![]),
        (Some(offsets[18]), true, numbers(20..=20)),
        (Some(offsets[9]), true, numbers(11..=20)),
        (Some(offsets[8]), false, numbers(11..=20)),
        (Some(other), false, numbers(11..=20)),
        (Some(beyond), false, numbers(11..=20)),
    ];
    for (since, recovered, backlog) in cases {
        let mut listener = connect(&hub);
        let joined = join(&hub, &listener, since).await;
        assert_eq!(joined.offset, offsets[19], "{since:?}");
        assert_eq!(joined.recovered, recovered, "{since:?}");
        let told = listener.messages(backlog.len()).await;
        assert_eq!(told, backlog, "{since:?}");
        assert!(listener.told.try_recv().is_err(), "{since:?}: more came");
        hub.disconnect(&listener.client);
    }
}

#[tokio::test]
async fn a_member_that_joins_again_has_missed_what_it_was_not_sent() {
    /// What a client joins with first, of the offsets there are.
    type First = fn(&[Offset]) -> Option<Offset>;
    // joins first with -> backlog, and what joining again says to each offset
    let cases: [(First, &[&str], [bool; 5]); 3] = [
        (|_| None, &["4"], [false, false, false, true, true]),
        (
            |offsets| Some(offsets[1]),
            &["3", "4"],
            [false, true, true, true, true],
        ),
        (
            |_| "aaaaaaaaaaaa-3".parse().ok(),
            &["1", "2", "3", "4"],
            [false, false, false, true, true],
        ),
    ];
    for (first, backlog, again) in cases {
        let hub = hub(10, &["last"]);
        let mut offsets: Vec<_> = (1..=4).map(|number| publish(&hub, number)).collect();
        let first = first(&offsets);
        let mut listener = connect(&hub);
        join(&hub, &listener, first).await;
        assert_eq!(listener.messages(backlog.len()).await, backlog, "{first:?}");
        offsets.push(publish(&hub, 5));
        listener.messages(1).await;
        for (since, recovered) in offsets.iter().zip(again) {
            let joined = join(&hub, &listener, Some(*since)).await;
            assert_eq!(joined.recovered, recovered, "{first:?}, {since}");
            assert_eq!(joined.offset, offsets[4]);
        }
        assert!(!join(&hub, &listener, None).await.recovered);
        assert!(listener.told.try_recv().is_err(), "nothing is sent again");
    }
}

#[tokio::test]
async fn a_backlog_leaves_room_in_the_queue() {
    let most = BACKLOG_MOST as u64;
    let hub = hub(1000, &[]);
    let first = publish(&hub, 1);
    for number in 2..=most + 2 {
        publish(&hub, number);
    }
    let mut listener = connect(&hub);
    let joined = join(&hub, &listener, Some(first)).await;
    assert!(!joined.recovered);
    assert_eq!(listener.messages(BACKLOG_MOST).await, numbers(3..=most + 2));
}

#[tokio::test]
async fn retained_events_come_in_order_and_once() {
    let hub = hub(0, &["song", "current"]);
    publish_kept(&hub, 1, &["song", "current"]);
    for (number, keys, backlog) in [
        (2, &["current"][..], vec!["1", "2"]),
        (3, &["current"][..], vec!["1", "3"]),
        (4, &["song", "current"][..], vec!["4"]),
    ] {
        publish_kept(&hub, number, keys);
        let mut listener = connect(&hub);
        join(&hub, &listener, None).await;
        assert_eq!(listener.messages(backlog.len()).await, backlog);
        assert!(listener.told.try_recv().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joins_amid_events_lose_and_double_nothing() {
    const EVENTS: u64 = 3_000;
    let hub = hub(BACKLOG_MOST, &[]);
    let start = publish(&hub, 0);
    let publisher = tokio::spawn({
        let hub = hub.clone();
        async move {
            for number in 1..=EVENTS {
                while let Err(error) = try_publish(&hub, number, &[]) {
                    assert_eq!(error.code(), "busy");
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let mut joiners = Vec::new();
    for _ in 0..600 {
        let hub = hub.clone();
        joiners.push(tokio::spawn(async move {
            let mut listener = connect(&hub);
            let joined = join(&hub, &listener, Some(start)).await;
            let mut seen = Vec::new();
            while seen.last() != Some(&EVENTS) && joined.offset.number <= EVENTS {
                seen.push(listener.messages(1).await[0].parse().unwrap());
            }
            if joined.recovered && !seen.is_empty() {
                assert_eq!(seen, (1..=EVENTS).collect::<Vec<_>>());
            }
            assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            hub.disconnect(&listener.client);
        }));
        tokio::task::yield_now().await;
    }
    publisher.await.unwrap();
    for joiner in joiners {
        joiner.await.unwrap();
    }
    hub.stop().await;
    hub.drained().await;
    assert_eq!(hub.client_count(), 0);
}
