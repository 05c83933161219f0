//! The command line: the options, and the subcommands with theirs.
//! Knows no value, and nothing of what a subcommand does.

use clap::{Arg, Command};

use super::opt::Opt;
use super::options::OPTIONS;
use super::report;
use crate::simulate;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A small server that holds rooms: what happens in one reaches everybody in it")
        .after_help(
            "A flag wins over the environment, that over the file, that over the default. \
             Of an option's variables the first that is set counts; an empty one is not set.\n\
             Exit codes: 0 done, 1 failed, 2 wrong usage.",
        )
        .args_override_self(false)
        .args(OPTIONS.iter().map(Opt::arg))
        .subcommand(
            Command::new("check")
                .about("Load everything and print what would run; exit 1 with the reason if not"),
        )
        .subcommand(report::command().args(without_meaning(&report::READS)))
        .subcommand(
            Command::new("healthcheck")
                .about("Ask the server that runs with the same settings; exit 1 if it is not well"),
        )
        .subcommand(simulate::command().args(without_meaning(&[])))
}

/// The options for a subcommand that does not serve: taken, since others give
/// them everywhere, but not shown, unless it reads them.
fn without_meaning(reads: &[&str]) -> impl Iterator<Item = Arg> {
    OPTIONS.iter().map(|option| {
        let arg = option.arg().help_heading("Where to read");
        arg.hide(!reads.contains(&option.name))
    })
}
