//! What was measured, and the table of it.

use std::fmt;
use std::fs;
use std::time::Duration;

/// How long deliveries took, in milliseconds.
#[derive(Clone, Copy)]
pub struct Latency {
    /// Half took no longer.
    pub p50: f64,
    /// All but one in a hundred took no longer.
    pub p99: f64,
}

impl Latency {
    /// Of these, sorted.
    pub fn of(sorted: &[Duration]) -> Self {
        let at = |percent: usize| {
            let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            sorted.get(index).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
        };
        Self {
            p50: at(50),
            p99: at(99),
        }
    }
}

/// What one server was found to do in one round.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Microseconds of CPU per delivered event.
    pub cpu: f64,
    /// The same, by the floor of this round.
    pub ratio: f64,
    /// KiB resident per idle connection.
    pub idle: f64,
    /// At one event a second.
    pub one: Latency,
    /// At ten events a second.
    pub ten: Latency,
    /// Joins per second in a storm; none where there is no such thing.
    pub storm: Option<f64>,
}

/// The rounds of one server, as a line of the table.
pub struct Line<'a>(pub &'a str, pub &'a [Figures]);

/// The head of the table; the columns are those of [`Line`].
pub const HEAD: [&str; 2] = [
    "                   CPU per event        idle       ms at 1/s      ms at 10/s    storm",
    "                      us   x floor  KiB/conn     p50    p99     p50    p99   joins/s",
];

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, rounds) = self;
        let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure));
        write!(f, "{name:<18} {:5.2}", of(|r| r.cpu))?;
        write!(f, " {:9.2}", of(|r| r.ratio))?;
        write!(f, " {:9.1}", of(|r| r.idle))?;
        write!(f, " {:7.1} {:6.1}", of(|r| r.one.p50), of(|r| r.one.p99))?;
        write!(f, " {:7.1} {:6.1}", of(|r| r.ten.p50), of(|r| r.ten.p99))?;
        let storms: Vec<_> = rounds.iter().filter_map(|r| r.storm).collect();
        if storms.is_empty() {
            write!(f, " {:>9}", "-")
        } else {
            write!(f, " {:9.0}", median(storms.into_iter()))
        }
    }
}

/// The one in the middle; of two, the lower.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

/// What this ran on: CPU, cores, kernel.
pub fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores, Linux {}",
        model.map_or("CPU unknown", |(_, name)| name),
        read("/proc/sys/kernel/osrelease").trim()
    )
}
