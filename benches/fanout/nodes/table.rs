//! The table of nodes that are one, beside as many that are not. Knows no server.

use std::fmt;

use super::super::report::median;
use super::{Figures, Nodes};

/// The head of the table; the columns are those of [`Line`].
const HEAD: [&str; 2] = [
    "             us per delivery    x one alone     x as many       Redis, per event         ms, first node  ms, others",
    "nodes         first   others   first  others   first  others   us commands  in B out B     p50    p99    p50    p99",
];

/// Prints what was found of each.
pub fn print(found: &[(Nodes, Vec<Figures>)]) {
    println!("{}", HEAD.join("\n"));
    let mut apart = &found[0].1;
    for (nodes, rounds) in found {
        if !nodes.joined {
            apart = rounds;
        }
        let line = Line {
            nodes,
            rounds,
            alone: &found[0].1,
            apart,
        };
        println!("{line}");
    }
}

/// A number, or that there is none.
pub struct Shown(pub f64);

/// The rounds of some nodes, beside those of the single one, and of as many apart.
struct Line<'a> {
    nodes: &'a Nodes,
    rounds: &'a [Figures],
    alone: &'a [Figures],
    apart: &'a [Figures],
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |figure: fn(&Figures) -> f64| Shown(median(self.rounds.iter().map(figure)));
        let by = |beside: &[Figures], figure: fn(&Figures) -> f64, its: fn(&Figures) -> f64| {
            let ratios = self.rounds.iter().zip(beside);
            Shown(median(
                ratios.map(|(these, beside)| figure(these) / its(beside)),
            ))
        };
        let [first, others]: [fn(&Figures) -> f64; 2] = [|r| r.first, |r| r.others];
        write!(
            f,
            "{:<10} {:8.2} {:8.2}",
            self.nodes.to_string(),
            of(first),
            of(others)
        )?;
        let (one, one_more) = (by(self.alone, first, first), by(self.alone, others, first));
        write!(f, " {one:7.2} {one_more:7.2}")?;
        let (one, one_more) = (by(self.apart, first, first), by(self.apart, others, others));
        write!(f, " {one:7.2} {one_more:7.2}")?;
        write!(
            f,
            " {:4.0} {:8.1}",
            of(|r| r.redis.cpu),
            of(|r| r.redis.commands)
        )?;
        write!(
            f,
            " {:5.0} {:5.0}",
            of(|r| r.redis.input),
            of(|r| r.redis.output)
        )?;
        write!(f, " {:7.1} {:6.1}", of(|r| r.same.p50), of(|r| r.same.p99))?;
        write!(
            f,
            " {:6.1} {:6.1}",
            of(|r| r.other.p50),
            of(|r| r.other.p99)
        )
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = if self.joined { "joined" } else { "apart" };
        write!(f, "{} {joined}", self.count)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            let width = f.width().unwrap_or(1);
            return write!(f, "{:>width$}", "-");
        }
        self.0.fmt(f)
    }
}
