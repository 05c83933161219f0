//! What it costs to tell N clients of one event: `cargo bench`. The server as
//! it is built for release, beside the floor (a loop of `send(2)`) and beside
//! Socket.IO on Node, in turn, in one run. `cargo bench -- --help`.

#![allow(clippy::print_stderr, clippy::print_stdout)]

mod channel;
mod client;
mod events;
mod floor;
mod frame;
mod load;
mod node;
mod nodes;
mod process;
mod publisher;
mod redis;
mod report;
mod rooms;
mod server;
mod speech;
mod transport;

use std::slice::from_ref;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

use load::Load;
use report::{Figures, Latency, Line};
use server::{Kind, Server};
use speech::Speech;

/// Files that a process has open beside its clients: the server leaves 128 for
/// them.
const FILES_BESIDE: u64 = 256;

/// How long a server is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);

/// Events per second while a storm of clients joins.
const STORM_RATE: f64 = 10.0;

/// Measures fan-out, memory, joining and latency of the server, by the floor.
#[derive(Parser)]
#[command(name = "cargo bench --")]
struct Arguments {
    /// Clients in the room.
    #[arg(short = 'n', long, default_value_t = 5000)]
    clients: usize,
    /// Rounds; in each, every server is measured once.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events that are published one after the other, for the CPU time.
    #[arg(long, default_value_t = 40)]
    events: usize,
    /// Measure the push door, and the raw one beside it, instead of Socket.IO.
    #[arg(long)]
    push: bool,
    /// Measure nodes that a redis-server joins: none (0), and from 1 up to this many.
    #[arg(long, value_name = "MOST")]
    nodes: Option<usize>,
    /// With --nodes: so many clients at each of them, instead of in all.
    #[arg(long, requires = "nodes")]
    each: bool,
    /// Measure one node, with Redis and without, whose clients are in so many rooms.
    #[arg(long, value_name = "COUNT", conflicts_with = "nodes")]
    rooms: Option<usize>,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    child: Option<Role>,
}

/// What this program is to itself.
#[derive(Subcommand)]
enum Role {
    /// Be the floor.
    #[command(name = server::FLOOR, hide = true)]
    Floor {
        /// The door whose frames it sends.
        speech: Speech,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Floor { speech }) = arguments.child {
        return floor::run(speech);
    }
    ensure!(
        cfg!(target_os = "linux"),
        "CPU time is read from Linux's /proc"
    );
    ensure!(
        arguments.rounds > 0 && arguments.events > 0,
        "nothing to do"
    );
    if let Some(most) = arguments.nodes {
        return nodes::run(&arguments, most);
    }
    if let Some(rooms) = arguments.rooms {
        return rooms::run(&arguments, rooms);
    }
    let clients = affordable(arguments.clients)?;

    let (kinds, not_run) = kinds(arguments.push);
    let mut found: Vec<Vec<Figures>> = vec![Vec::new(); kinds.len()];
    let mut delivered = 0;
    for round in 1..=arguments.rounds {
        let mut floor = None;
        for (kind, found) in kinds.iter().zip(&mut found) {
            let failed = || format!("{}, round {round}", kind.name());
            let mut run = Run {
                kind,
                clients,
                events: arguments.events,
                delivered: &mut delivered,
            };
            let figures = run.measure(floor).with_context(failed)?;
            if kind.is_floor() {
                floor = Some(figures.cpu);
            }
            eprintln!("{}: {:.2} us per event", failed(), figures.cpu);
            found.push(figures);
        }
    }

    println!("\n{}", report::machine());
    let rounds = arguments.rounds;
    println!("{clients} clients in one room; medians of {rounds} rounds in turn\n");
    println!("{}", report::HEAD.join("\n"));
    for (kind, found) in kinds.iter().zip(&found) {
        println!("{}", Line(kind.name(), found));
    }
    if let Some(why) = not_run {
        println!("NOT RUN: socket.io on Node ({why})");
    }
    println!("\n{delivered} deliveries: every event once, in order, to everyone in the room");
    Ok(())
}

/// What is measured, each behind its floor; and why Socket.IO on Node is not.
fn kinds(push: bool) -> (Vec<Kind>, Option<String>) {
    if push {
        let floor = Kind::Floor;
        let push = [floor(Speech::Push), Kind::Push];
        return ([push, [floor(Speech::Raw), Kind::Raw]].concat(), None);
    }
    let floor = Kind::Floor(Speech::SocketIo);
    let mut kinds = vec![floor, Kind::Roomcast, Kind::RoomcastTls];
    match node::find() {
        Ok(script) => {
            kinds.push(Kind::NodeJs(script));
            (kinds, None)
        }
        Err(why) => (kinds, Some(why)),
    }
}

/// As many of these clients as there may be files.
fn affordable(wanted: usize) -> anyhow::Result<usize> {
    ensure!(wanted > 0, "a room without clients");
    let files = rlimit::increase_nofile_limit(wanted as u64 + FILES_BESIDE)?;
    let most = usize::try_from(files.saturating_sub(FILES_BESIDE))?;
    if most < wanted {
        println!("{most} clients instead of {wanted}: {files} open files are allowed (ulimit -n)");
    }
    ensure!(most > 0, "too few open files are allowed (ulimit -n)");
    Ok(most.min(wanted))
}

/// One server in one round.
struct Run<'a> {
    kind: &'a Kind,
    clients: usize,
    events: usize,
    delivered: &'a mut usize,
}

impl Run<'_> {
    /// Everything there is to know, with the floor's microseconds of this round
    /// once they are known.
    fn measure(&mut self, floor: Option<f64>) -> anyhow::Result<Figures> {
        let server = Server::start(self.kind)?;
        let mut load = Load::new(from_ref(&server))?;
        let empty = server.resident()?;
        load.connect(self.clients)?;
        load.rest(SETTLE)?;
        let idle = (server.resident()? - empty) / self.clients as f64;

        // One that is not counted: the first of everything is slower.
        load.saturate(1)?;
        let (before, delivered) = (server.cpu()?, load.delivered);
        load.saturate(self.events)?;
        let used = server.cpu()?.saturating_sub(before);
        let cpu = used.as_secs_f64() * 1e6 / (load.delivered - delivered) as f64;

        let one = Latency::of(&load.paced(1.0, 5)?[0]);
        let ten = Latency::of(&load.paced(10.0, 30)?[0]);
        *self.delivered += load.delivered;
        drop(load);
        drop(server);
        let storm = self.kind.has_storm().then(|| self.storm()).transpose()?;
        Ok(Figures {
            cpu,
            ratio: if self.kind.is_floor() {
                1.0
            } else {
                cpu / floor.unwrap_or(cpu)
            },
            idle,
            one,
            ten,
            storm,
        })
    }

    /// Joins per second of clients that all come at once to a new server.
    fn storm(&mut self) -> anyhow::Result<f64> {
        let server = Server::start(self.kind)?;
        let mut load = Load::new(from_ref(&server))?;
        let took = load.storm(self.clients, STORM_RATE)?;
        *self.delivered += load.delivered;
        Ok(self.clients as f64 / took.as_secs_f64())
    }
}
