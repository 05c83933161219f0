//! What `server history` is asked for: the options of its own.
//! Knows no play log.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::layers::Layers;
use crate::nowplaying::parse_time;
use crate::problem::{Fault, Origin};

/// The subcommand.
pub(super) const NAME: &str = "history";

/// Which items of the play log are printed, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Those that started at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Those that started before this time.
    pub to: Option<DateTime<Utc>>,
    /// Also what was no song.
    pub all: bool,
    /// How many at most; none: all of them.
    pub limit: Option<usize>,
    /// For a spreadsheet.
    pub csv: bool,
}

/// The options of the server that it reads as well.
pub(super) const READS: [&str; 3] = ["state", "timezone", super::options::CONFIG];

/// The subcommand with its options.
pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new(NAME)
        .about("Print what was played, newest first, from the folder --state")
        .arg(option(
            "from",
            "TIME",
            "What started then or later: a date of the station's clock, as 2026-11-21, \
             or a time, as 2026-11-21T18:00:00Z",
        ))
        .arg(option("to", "TIME", "What started before then"))
        .arg(
            option("limit", "N", "How many at most")
                .value_parser(clap::value_parser!(u32).range(1..)),
        )
        .arg(switch("all", "Also what was no song"))
        .arg(switch("csv", "As CSV, with the names of the columns first"))
}

impl Report {
    /// Reads the options; what is wrong is noted.
    pub(super) fn read(own: &ArgMatches, timezone: Tz, layers: &mut Layers) -> Self {
        let mut time = |name: &'static str| {
            let text = own.get_one::<String>(name)?;
            match parse_time(text, timezone) {
                Ok(time) => Some(time),
                Err(why) => {
                    layers.note(Origin::Flag(name), Fault::WrongOption(why));
                    None
                }
            }
        };
        let limit = own.get_one::<u32>("limit");
        Self {
            from: time("from"),
            to: time("to"),
            all: own.get_flag("all"),
            limit: limit.and_then(|most| usize::try_from(*most).ok()),
            csv: own.get_flag("csv"),
        }
    }
}
