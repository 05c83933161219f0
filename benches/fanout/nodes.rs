//! What it costs that nodes are one: one, two and more that a redis-server joins, each
//! behind as many without it, which know nothing of each other. Those are all told of
//! every event; of nodes that are one, the first is.

mod table;

use std::time::{Duration, Instant};

use anyhow::Context;

use super::load::Load;
use super::redis::{Done, Redis};
use super::report::{self, Latency};
use super::server::{Kind, Server};
use super::{Arguments, SETTLE, affordable};
pub use table::Shown;

/// Nodes that are measured.
#[derive(Clone, Copy)]
struct Nodes {
    count: usize,
    joined: bool,
}

/// What was found in one round; what there is not, is not a number.
#[derive(Clone, Copy)]
struct Figures {
    /// Microseconds of CPU per event that the first node has delivered.
    first: f64,
    /// The same of the others, on average.
    others: f64,
    redis: PerEvent,
    /// To those at the first node, where it was published.
    same: Latency,
    /// To those at others.
    other: Latency,
}

/// What one event is for Redis.
#[derive(Clone, Copy)]
struct PerEvent {
    /// Microseconds.
    cpu: f64,
    commands: f64,
    input: f64,
    output: f64,
}

/// Measures them all, and prints it.
pub fn run(arguments: &Arguments, most: usize) -> anyhow::Result<()> {
    let times = if arguments.each { most.max(1) } else { 1 };
    let clients = affordable(arguments.clients * times)? / times;
    let is_joined = if most == 0 {
        &[false][..]
    } else {
        &[false, true]
    };
    let nodes = (1..=most.max(1))
        .flat_map(|count| is_joined.iter().map(move |&joined| Nodes { count, joined }));
    let mut found: Vec<(Nodes, Vec<Figures>)> = nodes.map(|nodes| (nodes, vec![])).collect();
    for round in 1..=arguments.rounds {
        for (nodes, found) in &mut found {
            let clients = if arguments.each {
                clients * nodes.count
            } else {
                clients
            };
            let failed = || format!("{nodes}, round {round}");
            let figures = nodes
                .measure(clients, arguments.events)
                .with_context(failed)?;
            eprintln!("{}: {:.2} us per delivery", failed(), figures.first);
            found.push(figures);
        }
    }
    let per = if arguments.each {
        "at each node"
    } else {
        "in all"
    };
    let rounds = arguments.rounds;
    println!("\n{}", report::machine());
    println!("{clients} clients {per}, in one room; medians of {rounds} rounds in turn\n");
    table::print(&found);
    Ok(())
}

impl Nodes {
    fn measure(self, clients: usize, events: usize) -> anyhow::Result<Figures> {
        let mut redis = self.joined.then(Redis::start).transpose()?;
        let kind = match &redis {
            Some(redis) => Kind::Node(redis.address),
            None => Kind::Roomcast,
        };
        let servers = (0..self.count).map(|_| Server::start(&kind));
        let servers = servers.collect::<anyhow::Result<Vec<_>>>()?;
        let mut load = Load::new(&servers)?;
        if !self.joined {
            load = load.apart();
        }
        load.connect(clients)?;
        // One that is not counted: the first of everything is slower.
        load.saturate(1)?;

        // What Redis does without events is none of theirs.
        let (idle, _) = watched(&mut redis, || load.rest(SETTLE))?;
        let used = || {
            servers
                .iter()
                .map(Server::cpu)
                .collect::<anyhow::Result<Vec<_>>>()
        };
        let before = used()?;
        let (busy, took) = watched(&mut redis, || load.saturate(events))?;
        let used = used()?.into_iter().zip(before);
        let mut per_delivery = used.enumerate().map(|(at, (after, before))| {
            let clients = (at..clients).step_by(servers.len()).count();
            let used = after.saturating_sub(before);
            used.as_secs_f64() * 1e6 / (clients * events) as f64
        });
        let first = per_delivery.next().context("no node")?;
        let others: Vec<_> = per_delivery.collect();

        let mut ages = load.paced(10.0, 30)?;
        let same = Latency::of(&ages.remove(0));
        let mut other = ages.concat();
        other.sort_unstable();
        Ok(Figures {
            first,
            others: others.iter().sum::<f64>() / others.len() as f64,
            redis: PerEvent::of(busy.zip(idle), took, events),
            same,
            other: Latency::of(&other),
        })
    }
}

impl PerEvent {
    /// Of what Redis did with so many events in this time, but for what it does in a
    /// rest.
    fn of(done: Option<(Done, Done)>, took: Duration, events: usize) -> Self {
        let rests = took.as_secs_f64() / SETTLE.as_secs_f64();
        let of = |figure: fn(&Done) -> f64| {
            done.as_ref().map_or(f64::NAN, |(busy, idle)| {
                (figure(busy) - figure(idle) * rests) / events as f64
            })
        };
        Self {
            cpu: of(|done| done.cpu.as_secs_f64() * 1e6),
            commands: of(|done| done.commands),
            input: of(|done| done.input),
            output: of(|done| done.output),
        }
    }
}

/// What Redis does while this is done, and how long that takes.
pub fn watched(
    redis: &mut Option<Redis>,
    what: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<(Option<Done>, Duration)> {
    let before = redis.as_mut().map(Redis::done).transpose()?;
    let began = Instant::now();
    what()?;
    let took = began.elapsed();
    let after = redis.as_mut().map(Redis::done).transpose()?;
    let done = before.zip(after).map(|(before, after)| after.since(before));
    Ok((done, took))
}
