//! A room of 100,000: what else goes on while everybody there is told.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::*;

const MEMBERS: usize = 100_000;

/// What all members of the big room have heard together.
#[derive(Default)]
struct Crowd {
    deliveries: AtomicUsize,
}

/// A member: checks that what it hears is in order.
struct Member {
    crowd: Arc<Crowd>,
    last: AtomicU64,
}

impl Outlet for Member {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let before = self.last.swap(event.offset.number, Ordering::Relaxed);
        assert!(before == 0 || before + 1 == event.offset.number);
        self.crowd.deliveries.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        unreachable!("no room is deleted here")
    }

    fn close(&self, _: CloseReason) {}
}

#[tokio::test]
async fn joins_leaves_and_other_rooms_go_on_while_a_big_room_is_told() {
    let hub = free_hub(10, &[]);
    let crowd = Arc::new(Crowd::default());
    let namespace = NamespaceName::parse("/n").unwrap();
    let enter = || {
        let outlet = Arc::new(Member {
            crowd: crowd.clone(),
            last: AtomicU64::new(0),
        });
        hub.connect(&namespace, outlet).unwrap()
    };
    let members: Vec<_> = (0..MEMBERS).map(|_| enter()).collect();
    let (joined, mut all_in) = mpsc::unbounded_channel();
    for batch in members.chunks(10_000) {
        for member in batch {
            let joined = joined.clone();
            let welcome = move |_| joined.send(()).unwrap();
            hub.join(member, &room("r"), None, None, welcome).unwrap();
        }
        for _ in batch {
            all_in.recv().await.unwrap();
        }
    }
    let mut other = connect(&hub);
    join_in(&hub, &other, "other", None).await;

    publish(&hub, 1);
    publish(&hub, 2);
    publish_in(&hub, "other", to_raw_value(&3).unwrap(), &[]).unwrap();
    let heard = other.messages(1).await;
    let told_elsewhere = crowd.deliveries.load(Ordering::Relaxed);
    let late = connect(&hub);
    let at_join = join(&hub, &late, None).await;
    let (left, gone) = oneshot::channel();
    let farewell = move || left.send(()).unwrap();
    hub.leave(&members[0], &room("r"), farewell).unwrap();

    // The other room did not wait for the big one.
    assert_eq!(heard, ["3"]);
    assert!(told_elsewhere < 2 * MEMBERS, "{told_elsewhere}");
    // The join has its place behind both events, of which it knows.
    assert_eq!((at_join.clients, at_join.offset.number), (MEMBERS + 1, 2));
    gone.await.unwrap();
    // One thread: what the other workers have left to do is done in turns.
    while crowd.deliveries.load(Ordering::Relaxed) < 2 * MEMBERS {
        tokio::task::yield_now().await;
    }
    assert_eq!(crowd.deliveries.load(Ordering::Relaxed), 2 * MEMBERS);
}
