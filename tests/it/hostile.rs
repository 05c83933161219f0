//! Attacks by hostile clients on the real program: during each attack the server answers a
//! bystander, its memory stays bounded, and it stops when told to.

mod attacks;
mod burst;
mod faults;
mod mutated;
pub mod peer;

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attacks::Attack;
use self::peer::Target;
use crate::client::SOON;
use crate::program::Program;
use crate::webhook::backend::Backend;

/// The bystander's address, which differs from the attackers'.
const BYSTANDER: ([u8; 4], u16) = ([127, 0, 0, 2], 0);

/// Least duration of each attack.
const LASTS: Duration = Duration::from_millis(1_200);

/// Least number of answers of the bystander that are measured.
const ANSWERS: usize = 200;

/// Most increase of the bystander's 99th percentile under attack, on an idle machine.
const P99_MOST: Duration = Duration::from_millis(50);

/// Most ratio of the 99th percentiles under attack and before: what counts on a busy machine.
const P99_RATIO_MOST: u32 = 4;

/// Most increase of the server's memory during an attack, in KiB.
const MEMORY_MOST: usize = 32 * 1024;

/// How often an attack is tried before its figures count: the machine may be busy.
const TRIES: usize = 3;

/// A running server with every transport on.
struct Victim {
    program: Program,
    target: Target,
    _backend: Backend,
}

impl Victim {
    async fn start(options: &[&str]) -> Self {
        let backend = Backend::start().await;
        let url = backend.target();
        let all = [
            "--push",
            "--push-http",
            "127.0.0.1:0",
            "--push-ws",
            "127.0.0.1:0",
            "--gateway-listen",
            "127.0.0.1:0",
            "--webhook-ws",
            "127.0.0.1:0",
            "--webhook-http",
            "127.0.0.1:0",
            "--target-address",
            &url,
            "--address-private",
        ];
        let program = Program::start(&[&all[..], options].concat()).await;
        let target = Target::of(&program);
        Self {
            program,
            target,
            _backend: backend,
        }
    }

    /// The server's memory, in KiB.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let (kib, _) = line.unwrap().trim().split_once(' ').unwrap();
        kib.parse().unwrap()
    }

    /// Asks again and again for a small answer while `attack` goes on: the 99th
    /// percentile of the answers' times, and the most memory that was seen.
    async fn bystander(&self) -> (Duration, usize) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(BYSTANDER.into()).unwrap();
        let tcp = socket.connect(self.target.main).await.unwrap();
        let mut stream = BufReader::new(self.target.secured(tcp).await.unwrap());
        let (begun, mut times, mut memory) = (Instant::now(), Vec::new(), 0);
        while times.len() < ANSWERS || begun.elapsed() < LASTS {
            let asked = Instant::now();
            let answered = timeout(SOON, async {
                let request = b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
                stream.write_all(request).await.unwrap();
                stream.flush().await.unwrap();
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).await.unwrap();
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                }
                stream.read_exact(&mut vec![0; length]).await.unwrap();
            });
            answered.await.expect("nobody is answered any more");
            times.push(asked.elapsed());
            memory = memory.max(self.memory());
            // The attackers of this test run beside it.
            tokio::task::yield_now().await;
        }
        times.sort_unstable();
        (times[times.len() * 99 / 100], memory)
    }

    /// Runs an attack beside the bystander.
    async fn attacked(&self, attack: Attack) -> Effect {
        let (before, idle) = self.bystander().await;
        let (stop, attackers) = (CancellationToken::new(), TaskTracker::new());
        attack.begin(&self.target, &stop, &attackers).await;
        let (during, most) = self.bystander().await;
        stop.cancel();
        attackers.close();
        timeout(SOON, attackers.wait())
            .await
            .expect("an attacker hangs");
        Effect {
            before,
            slower: during.saturating_sub(before),
            memory: most.saturating_sub(idle),
        }
    }
}

/// What an attack does to the server and to a bystander.
#[derive(Clone, Copy)]
struct Effect {
    /// The bystander's 99th percentile before the attack.
    before: Duration,
    /// How much larger it is during the attack.
    slower: Duration,
    /// How much more memory the server takes, in KiB.
    memory: usize,
}

impl Effect {
    fn is_bounded(&self) -> bool {
        self.slower <= P99_MOST.max(self.before * (P99_RATIO_MOST - 1))
            && self.memory <= MEMORY_MOST
    }
}

/// Every attack of a list, one after the other against one server; then all of them at
/// once, and the end.
async fn withstands(options: &[&str], attacks: &[Attack]) {
    let mut victim = Victim::start(options).await;
    // The first requests of each transport load code and buffers that stay in memory.
    victim.bystander().await;
    let mut failed = Vec::new();
    for attack in attacks {
        let mut tries = 1;
        let mut effect = victim.attacked(*attack).await;
        while !effect.is_bounded() && tries < TRIES {
            effect = victim.attacked(*attack).await;
            tries += 1;
        }
        let Effect {
            before,
            slower,
            memory,
        } = effect;
        let line = format!("{attack:?}: p99 {before:.1?} +{slower:.1?}, memory +{memory} KiB");
        println!("{line}, {tries} tries");
        if !effect.is_bounded() {
            failed.push(line);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    let (stop, attackers) = (CancellationToken::new(), TaskTracker::new());
    for attack in attacks {
        attack.begin(&victim.target, &stop, &attackers).await;
    }
    victim.program.signal("TERM").await;
    let ended = victim.program.exit().await;
    assert_eq!(ended.code(), Some(0));
    stop.cancel();
    attackers.close();
    timeout(SOON, attackers.wait())
        .await
        .expect("an attacker hangs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_is_withstood() {
    withstands(&[], &attacks::ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_is_withstood_over_tls() {
    withstands(&["--https"], &attacks::WITH_TLS).await;
}
