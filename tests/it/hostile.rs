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

/// Most increase of the bystander's 99th percentile under attack.
const P99_MOST: Duration = Duration::from_millis(50);

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

    /// Runs an attack beside the bystander: how much slower its answers are, and how much
    /// memory the server takes more.
    async fn attacked(&self, attack: Attack) -> (Duration, usize) {
        let (before, idle) = self.bystander().await;
        let (stop, attackers) = (CancellationToken::new(), TaskTracker::new());
        attack.begin(&self.target, &stop, &attackers).await;
        let (during, most) = self.bystander().await;
        stop.cancel();
        attackers.close();
        timeout(SOON, attackers.wait())
            .await
            .expect("an attacker hangs");
        (during.saturating_sub(before), most.saturating_sub(idle))
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
        let mut seen = Vec::new();
        for _ in 0..TRIES {
            let (slower, more) = victim.attacked(*attack).await;
            seen.push((slower, more));
            if slower <= P99_MOST && more <= MEMORY_MOST {
                break;
            }
        }
        let (slower, more) = seen[seen.len() - 1];
        let line = format!("{attack:?}: p99 +{slower:.1?}, memory +{more} KiB");
        println!("{line}, {} tries", seen.len());
        if slower > P99_MOST || more > MEMORY_MOST {
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
