//! A crowd in one room: nothing lost, nothing twice, order kept, checked by what
//! is heard. Some come and go, some stop reading for a while, some for good.

pub mod alone;
pub mod line;
mod listener;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use alone::alone;
use futures_util::future::join_all;
use line::{Next, PATIENCE, Way};
use listener::{Heard, Listener, Published, Return};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::net::tls;
use crate::program::{Program, Stream};

/// What those that never read are sent at the end: more than waits for anybody.
const FLOOD: u64 = 700;

/// How much is published before the readers are waited for.
const BURST: u64 = 50;

/// How many sessions are opened at once.
const AT_ONCE: usize = 200;

/// What one of the crowd does: of 100, one never reads, five pause, ten come
/// and go, and the others hear everything.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Never,
    Pauses,
    Comes,
    Stays,
}

fn role(client: usize) -> Role {
    match client % 100 {
        99 => Role::Never,
        10..=14 => Role::Pauses,
        15..=24 => Role::Comes,
        _ => Role::Stays,
    }
}

struct Scene {
    way: Way,
    published: Published,
    /// The last number that all are to hear.
    last: u64,
    /// What was published so far.
    number: watch::Receiver<u64>,
    /// One permit for each client that has joined, or has heard a burst, or has
    /// left the room for good.
    joined: Semaphore,
    heard: Semaphore,
    left: Semaphore,
    opening: Semaphore,
    too_slow: AtomicUsize,
    /// The shortest time for which somebody read nothing, in milliseconds.
    paused: AtomicU64,
    returned: [AtomicUsize; 2],
    deliveries: AtomicUsize,
}

impl Scene {
    async fn join(&self, small: bool) -> Listener<'_> {
        let opening = self.opening.acquire().await.unwrap();
        let listener = Listener::join(&self.way, small, &self.published).await;
        drop(opening);
        self.joined.add_permits(1);
        listener
    }

    async fn wait(&self, number: u64) {
        let mut published = self.number.clone();
        published.wait_for(|at| *at >= number).await.unwrap();
    }

    async fn come_back(&self, listener: &mut Listener<'_>, by: Return) {
        let recovered = listener.come_back(by, &self.way).await;
        self.returned[usize::from(recovered)].fetch_add(1, Ordering::Relaxed);
    }

    async fn run(&self, client: usize) {
        let role = role(client);
        let mut listener = self.join(matches!(role, Role::Never | Role::Pauses)).await;
        match role {
            Role::Never => return self.never_reads(listener, client).await,
            Role::Pauses => self.pauses(&mut listener).await,
            Role::Comes => self.comes_and_goes(&mut listener, client).await,
            Role::Stays => {
                for burst in 1..=self.last / BURST {
                    assert_eq!(listener.hear(burst * BURST).await, Heard::All);
                    self.heard.add_permits(1);
                }
            }
        }
        assert_eq!(listener.last, self.last);
        listener.leave().await;
        assert_eq!(listener.last, self.last, "more than was published");
        self.deliveries.fetch_add(listener.heard, Ordering::Relaxed);
        self.left.add_permits(1);
        assert_eq!(listener.end().await, Next::Close(1001, "stopping".into()));
    }

    /// Is there until so much was published, without reading anything.
    async fn idle(&self, listener: &mut Listener<'_>, until: u64) {
        for burst in 1..=until / BURST {
            self.wait(burst * BURST).await;
            listener.pong().await;
        }
    }

    /// Stops reading until a good deal more was published, and goes on.
    async fn pauses(&self, listener: &mut Listener<'_>) {
        assert_eq!(listener.hear(BURST).await, Heard::All);
        let stopped = Instant::now();
        self.idle(listener, self.last - BURST).await;
        let paused = stopped.elapsed().as_millis() as u64;
        self.paused.fetch_min(paused, Ordering::Relaxed);
        let heard = listener.hear(self.last).await;
        if heard != Heard::All {
            // On a slow machine the pause may be as long as a stalled peer is
            // waited for: then it is cut.
            let too_slow = Heard::Closed(4000, "too_slow".into());
            assert!(heard == too_slow || heard == Heard::Cut, "{heard:?}");
            self.too_slow.fetch_add(1, Ordering::Relaxed);
            self.come_back(listener, Return::Open).await;
            assert_eq!(listener.hear(self.last).await, Heard::All);
        }
    }

    /// Hears a part, leaves in one of three ways, and comes back.
    async fn comes_and_goes(&self, listener: &mut Listener<'_>, client: usize) {
        let ways = [Return::Join, Return::Connect, Return::Open];
        let mut ways = ways.into_iter().cycle().skip(client % 3);
        while listener.last < self.last {
            let until = listener.last + 20 + client as u64 % 31;
            let heard = listener.hear(until.min(self.last)).await;
            assert_eq!(heard, Heard::All);
            let by = ways.next().expect("a cycle");
            if let Return::Join = by {
                listener.leave().await;
            }
            self.come_back(listener, by).await;
        }
    }

    /// Is told that it is too slow, if it looks at last, behind whole events.
    async fn never_reads(&self, mut listener: Listener<'_>, client: usize) {
        self.idle(&mut listener, self.last).await;
        self.wait(self.last + FLOOD + 1).await;
        if (client / 100).is_multiple_of(2) {
            let heard = listener.hear(u64::MAX).await;
            let too_slow = Heard::Closed(4000, "too_slow".into());
            assert!(heard == too_slow || heard == Heard::Cut, "{heard:?}");
            self.left.add_permits(1);
        } else {
            self.left.add_permits(1);
            self.wait(u64::MAX).await;
        }
    }
}

/// Publishes, as a backend does that keeps its connection.
async fn publish(backend: &mut Box<dyn Stream>, message: &str) {
    let length = message.len();
    let request = format!(
        "POST /bus-message/crowd HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{message}"
    );
    backend.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"OK") || !answer.windows(4).any(|at| at == b"\r\n\r\n") {
        assert!(backend.read_buf(&mut answer).await.unwrap() > 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

pub async fn permits(of: &Semaphore, many: usize, what: &str) {
    let some = timeout(PATIENCE, of.acquire_many(many as u32)).await;
    some.unwrap_or_else(|_| panic!("{what}: {} of {many}", of.available_permits()))
        .unwrap()
        .forget();
}

/// What one scenario is about.
struct Case {
    clients: usize,
    events: u64,
    options: &'static [&'static str],
    polls: bool,
}

async fn crowd(case: Case) {
    let (_alone, clients) = alone(case.clients).await;
    let count = |of: Role| (0..clients).filter(|client| role(*client) == of).count();
    let begun = Instant::now();
    // Enough time to tell every client of the stop, also on a busy machine.
    let options = [case.options, &["--shutdown-timeout", "60s"]].concat();
    let mut program = Program::start(&options).await;
    let cert = program.folder.path().join("certs").join(tls::CERT_FILE);
    let (tell, number) = watch::channel(0);
    let scene = Arc::new(Scene {
        way: Way {
            address: program.address,
            cert: case.options.contains(&"--https").then_some(cert),
            polls: case.polls,
        },
        published: Published::new(case.events + FLOOD, case.events + 1),
        last: case.events,
        number,
        joined: Semaphore::new(0),
        heard: Semaphore::new(0),
        left: Semaphore::new(0),
        opening: Semaphore::new(AT_ONCE),
        too_slow: AtomicUsize::new(0),
        paused: AtomicU64::new(u64::MAX),
        returned: Default::default(),
        deliveries: AtomicUsize::new(0),
    });
    let run = |client| {
        let scene = scene.clone();
        tokio::spawn(async move { scene.run(client).await })
    };
    let running: Vec<_> = (0..clients).map(run).collect();
    permits(&scene.joined, clients, "joined").await;
    let joined = begun.elapsed();

    let mut backend = scene.way.connect(false).await;
    for number in 1..=case.events {
        let message = scene.published.message(number).to_string();
        publish(&mut backend, &message).await;
        tell.send_replace(number);
        if number % BURST == 0 {
            permits(&scene.heard, count(Role::Stays), "heard a burst").await;
            // The old one may have been idle for too long.
            backend = scene.way.connect(false).await;
        }
    }
    let never = count(Role::Never);
    permits(&scene.left, clients - never, "left").await;
    let heard = begun.elapsed();
    backend = scene.way.connect(false).await;

    for number in case.events + 1..=case.events + FLOOD {
        publish(&mut backend, &scene.published.message(number).to_string()).await;
    }
    let slow = scene.too_slow.load(Ordering::Relaxed);
    // On a busy machine the write deadline cuts some of them before their queue is full.
    let gauge = r#"roomcast_clients{namespace="/bus"} "#;
    let all_closed = async {
        loop {
            let shown = program.get("/metrics").await.body;
            let value = shown.lines().find_map(|line| line.strip_prefix(gauge));
            if value.is_some_and(|value| value == (clients - never).to_string()) {
                return;
            }
        }
    };
    timeout(PATIENCE, all_closed).await.expect("not all closed");
    tell.send_replace(case.events + FLOOD + 1);
    permits(&scene.left, never, "looked again").await;

    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
    tell.send_replace(u64::MAX);
    for ended in join_all(running).await {
        ended.unwrap();
    }
    let [anew, recovered] = scene.returned.each_ref().map(|n| n.load(Ordering::Relaxed));
    let deliveries = scene.deliveries.load(Ordering::Relaxed);
    println!(
        "{clients} clients ({never} never read, {slow} closed as too slow, pauses of {} ms and \
         more), {} events, {deliveries} heard; returned {recovered} recovered, {anew} not; joined by {joined:?}, \
         heard by {heard:?}, stopped by {:?}",
        scene.paused.load(Ordering::Relaxed),
        case.events,
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hear_everything_once_and_in_order() {
    crowd(Case {
        clients: 10_000,
        // Five million deliveries take minutes without optimisation.
        events: if cfg!(debug_assertions) { 150 } else { 500 },
        options: &[],
        polls: false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_do_hundreds_over_tls_or_upgraded_from_polling() {
    for (clients, options, polls) in [(500, &["--https"][..], false), (300, &[], true)] {
        crowd(Case {
            clients,
            events: 1_000,
            options,
            polls,
        })
        .await;
    }
}
