//! A room's worker lets others have the core, whatever it is busy with.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// After how much work a worker yields at the latest: a turn of 256 sockets, and
/// one more backlog.
const TURN_MOST: usize = 2 * BACKLOG_MOST;

/// How many turns' work is queued in each shard.
const TURNS: usize = 4;

struct Counter(Arc<AtomicUsize>);

impl Outlet for Counter {
    fn deliver(&self, _: &Arc<Event>) -> Result<(), CloseReason> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        unreachable!("no room is deleted here")
    }

    fn close(&self, _: CloseReason) {}
}

/// Work of a room's worker: queues it, and tells how much is counted for it.
type Work = fn(&Arc<Hub>, &[Arc<Client>], &Arc<AtomicUsize>) -> usize;

fn join_all(
    hub: &Arc<Hub>,
    clients: &[Arc<Client>],
    since: Option<Offset>,
    done: &Arc<AtomicUsize>,
) {
    for client in clients {
        let done = done.clone();
        let welcome = move |_| {
            done.fetch_add(1, Ordering::Relaxed);
        };
        hub.join(client, &room("r"), None, since, welcome).unwrap();
    }
}

fn joins(hub: &Arc<Hub>, clients: &[Arc<Client>], done: &Arc<AtomicUsize>) -> usize {
    join_all(hub, clients, None, done);
    clients.len()
}

fn joins_with_backlog(hub: &Arc<Hub>, clients: &[Arc<Client>], done: &Arc<AtomicUsize>) -> usize {
    let start = Offset {
        number: 0,
        ..publish(hub, 1)
    };
    for number in 2..=BACKLOG_MOST as u64 {
        publish(hub, number);
    }
    let clients = &clients[..clients.len() / 16];
    join_all(hub, clients, Some(start), done);
    clients.len() * (1 + BACKLOG_MOST)
}

fn joins_again(hub: &Arc<Hub>, clients: &[Arc<Client>], done: &Arc<AtomicUsize>) -> usize {
    joins(hub, clients, done) + joins(hub, clients, done)
}

fn joins_and_leaves(hub: &Arc<Hub>, clients: &[Arc<Client>], done: &Arc<AtomicUsize>) -> usize {
    let joined = joins(hub, clients, done);
    for client in clients {
        let done = done.clone();
        let farewell = move || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        hub.leave(client, &room("r"), farewell).unwrap();
    }
    joined + clients.len()
}

fn events(hub: &Arc<Hub>, clients: &[Arc<Client>], done: &Arc<AtomicUsize>) -> usize {
    let joined = joins(hub, clients, done);
    publish(hub, 1);
    joined + clients.len()
}

#[tokio::test]
async fn a_worker_yields_whatever_it_does() {
    let cases: [(&str, Work); 5] = [
        ("joins", joins),
        ("joins with a backlog", joins_with_backlog),
        ("joins of members", joins_again),
        ("leaves", joins_and_leaves),
        ("events", events),
    ];
    // A big room has a worker for each core, and each has its turn.
    let shards = std::thread::available_parallelism().unwrap().get();
    for (what, work) in cases {
        let hub = free_hub(BACKLOG_MOST, &[]);
        let done = Arc::new(AtomicUsize::new(0));
        let namespace = NamespaceName::parse("/n").unwrap();
        let connect = |_| {
            let outlet = Arc::new(Counter(done.clone()));
            hub.connect(&namespace, outlet).unwrap()
        };
        let clients: Vec<_> = (0..shards * TURNS * TURN_MOST).map(connect).collect();
        let queued = work(&hub, &clients, &done);
        let mut before = 0;
        while before < queued {
            // One thread: this runs again as soon as the workers yield.
            tokio::task::yield_now().await;
            let now = done.load(Ordering::Relaxed);
            let turn = now - before;
            assert!(turn <= shards * TURN_MOST, "{what}: {turn} of {queued}");
            before = now;
        }
        assert_eq!(before, queued, "{what}");
    }
}
