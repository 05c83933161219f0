//! What the rooms of one node cost with Redis, beside the same without: joining, memory,
//! saying again and again who is there, and a Redis that has lost everything.

use std::slice::from_ref;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::channel;
use super::load::Load;
use super::nodes::{Shown, watched};
use super::redis::{Done, Redis};
use super::report::{self, median};
use super::server::{Kind, Server};
use super::{Arguments, SETTLE, affordable};

/// A node's lease: as long others may not have said yet that they are there. What
/// a node says later costs a little more.
const LEASE: Duration = Duration::from_secs(15);

/// How long the rest is looked at: three renewals.
const AT_REST: Duration = Duration::from_secs(15);

/// The longest wait for a node to have all rooms again.
const WHOLE: Duration = Duration::from_secs(60);

/// How often it is asked whether it has: as exact as the figure has to be.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// What is measured, in the order of [`Figures`].
const ROWS: [&str; 13] = [
    "joins per second, when all come at once",
    "CPU of the node per join, us",
    "CPU of Redis per join, us",
    "commands of Redis per join",
    "memory of the node per connection, KiB",
    "memory of Redis per client, bytes",
    "CPU of the node per event, one in each room, us",
    "CPU of Redis per event, us",
    "memory of Redis per event, bytes",
    "CPU of the node at rest, ms per second",
    "CPU of Redis at rest, ms per second",
    "bytes that Redis reads at rest, per second",
    "whole again after Redis came back empty, ms",
];

/// What was found; what there is not, is not a number.
type Figures = [f64; ROWS.len()];

/// Measures both, and prints it.
pub fn run(arguments: &Arguments, rooms: usize) -> anyhow::Result<()> {
    let clients = affordable(arguments.clients)?;
    ensure!((1..=clients).contains(&rooms), "a room without clients");
    let mut found: [Vec<Figures>; 2] = Default::default();
    for round in 1..=arguments.rounds {
        for (has_redis, found) in [false, true].into_iter().zip(&mut found) {
            let failed = || format!("round {round}, with Redis: {has_redis}");
            found.push(measure(has_redis, clients, rooms).with_context(failed)?);
        }
    }
    println!("\n{}", report::machine());
    let rounds = arguments.rounds;
    println!(
        "{clients} clients in {rooms} rooms of one node; medians of {rounds} rounds in turn\n"
    );
    println!("{:<48} {:>9} {:>9}", "", "no Redis", "Redis");
    for (row, name) in ROWS.iter().enumerate() {
        let [without, with] = &found;
        let of = |rounds: &[Figures]| Shown(median(rounds.iter().map(|round| round[row])));
        println!("{name:<48} {:9.1} {:9.1}", of(without), of(with));
    }
    Ok(())
}

fn measure(has_redis: bool, clients: usize, rooms: usize) -> anyhow::Result<Figures> {
    let mut redis = has_redis.then(Redis::start).transpose()?;
    let kind = match &redis {
        Some(redis) => Kind::Node(redis.address),
        None => Kind::Roomcast,
    };
    let server = Server::start(&kind)?;
    let mut load = Load::in_rooms(from_ref(&server), rooms)?;
    wait_until(true, &server)?;
    let (empty, began) = (server.resident()?, server.cpu()?);

    let mut took = Duration::ZERO;
    let (joins, _) = watched(&mut redis, || {
        took = load.rush(clients)?;
        Ok(())
    })?;
    let joined = server.cpu()?;
    load.rest(SETTLE)?;
    let resident = (server.resident()? - empty) / clients as f64;

    let before = server.cpu()?;
    let (events, _) = watched(&mut redis, || load.publish_everywhere())?;
    let published = server.cpu()?.saturating_sub(before);

    // Both as long, for the engine's pings.
    load.rest(LEASE)?;
    let before = server.cpu()?;
    let (rest, _) = watched(&mut redis, || load.rest(AT_REST))?;
    let at_rest = server.cpu()?.saturating_sub(before);
    let whole = redis.as_mut().map(|redis| recovery(redis, &server));

    let us = |cpu: Duration, count: usize| cpu.as_secs_f64() * 1e6 / count as f64;
    let of =
        |done: &Option<Done>, figure: &dyn Fn(&Done) -> f64| done.as_ref().map_or(f64::NAN, figure);
    let seconds = AT_REST.as_secs_f64();
    Ok([
        clients as f64 / took.as_secs_f64(),
        us(joined.saturating_sub(began), clients),
        of(&joins, &|done| us(done.cpu, clients)),
        of(&joins, &|done| done.commands / clients as f64),
        resident,
        of(&joins, &|done| done.memory / clients as f64),
        us(published, rooms),
        of(&events, &|done| us(done.cpu, rooms)),
        of(&events, &|done| done.memory / rooms as f64),
        at_rest.as_secs_f64() * 1e3 / seconds,
        of(&rest, &|done| done.cpu.as_secs_f64() * 1e3 / seconds),
        of(&rest, &|done| done.input / seconds),
        whole.transpose()?.unwrap_or(f64::NAN),
    ])
}

/// Milliseconds until a node is one with all nodes again: since a Redis that knows
/// nothing has taken connections.
fn recovery(redis: &mut Redis, server: &Server) -> anyhow::Result<f64> {
    redis.end();
    wait_until(false, server)?;
    redis.restart()?;
    let began = Instant::now();
    wait_until(true, server)?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Waits until the server says that it has its broker, or that it has not.
fn wait_until(connected: bool, server: &Server) -> anyhow::Result<()> {
    let until = Instant::now() + WHOLE;
    let word = format!(r#""connected":{connected}"#);
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    while !channel::exchange(server.publishers.address, request)?.contains(&word) {
        ensure!(Instant::now() < until, "waited {WHOLE:?} for {word}");
        thread::sleep(ASK_EVERY);
    }
    Ok(())
}
