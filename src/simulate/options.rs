//! How `server simulate` is asked for on the command line. Knows none of the
//! server's own options, which mean nothing to it.

use std::num::NonZeroU16;
use std::time::Duration;

use chrono::Utc;
use clap::builder::TypedValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::address::Address;

/// An hour in a second: the shortest item then takes a millisecond, and no timer
/// is finer than that.
const SPEED_MOST: i64 = 3_600;

/// What to play, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The Zetta port of a server.
    pub address: Address,
    /// How fast everything goes.
    pub speed: Speed,
    /// Whether a hot spare sends the same on a connection of its own.
    pub spare: bool,
    /// Which programme is played; the same seed plays the same.
    pub seed: u64,
    /// After how many items it ends; none: never.
    pub items: Option<u64>,
}

/// How much faster than a real studio: everything takes one of so many parts of
/// its time, from the length of a song to what a clock is off by. So whatever
/// holds at one speed holds at all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(NonZeroU16);

impl Speed {
    /// What is left of this time.
    pub fn of(self, time: Duration) -> Duration {
        time / u32::from(self.0.get())
    }
}

impl TryFrom<u16> for Speed {
    type Error = std::num::TryFromIntError;

    fn try_from(times: u16) -> Result<Self, Self::Error> {
        NonZeroU16::try_from(times).map(Self)
    }
}

impl Options {
    /// What was asked for on the command line that [`command`] declares.
    pub fn read(matches: &ArgMatches) -> Self {
        let address = matches.get_one(ADDRESS).cloned();
        let speed = matches.get_one(SPEED).copied();
        let seed = matches.get_one(SEED).copied();
        // Short enough to be typed again.
        let any_seed = || u64::from(Utc::now().timestamp_subsec_micros());
        Self {
            address: address.expect("it has a default"),
            speed: speed.expect("it has a default"),
            spare: !matches.get_flag(NO_SPARE),
            seed: seed.unwrap_or_else(any_seed),
            items: matches.get_one(ITEMS).copied(),
        }
    }
}

/// The name of the subcommand.
pub const NAME: &str = "simulate";

const ADDRESS: &str = "address";
const SPEED: &str = "speed";
const ITEMS: &str = "items";
const SEED: &str = "seed";
const NO_SPARE: &str = "no-spare";

/// The subcommand, as the command line has it.
pub fn command() -> Command {
    let option = |name| Arg::new(name).long(name);
    Command::new(NAME)
        .about("Play a plausible Zetta to a server, to try everything without one")
        .long_about(
            "Play a plausible Zetta to a server, to try everything without one: songs, \
             links and spots with what comes next, told several times, in pieces, late \
             and by a hot spare. Each item is printed as it goes on air, in brackets where \
             listeners see the station's text instead. Ctrl-C ends it.",
        )
        .arg(
            Arg::new(ADDRESS)
                .value_name("ADDRESS")
                .default_value("127.0.0.1:1234")
                .value_parser(value_parser!(Address))
                .help("The server's Zetta port, HOST:PORT, or a PORT of this machine"),
        )
        .arg(
            option(SPEED)
                .value_name("N")
                .default_value("1")
                .value_parser(
                    value_parser!(u16)
                        .range(1..=SPEED_MOST)
                        .try_map(Speed::try_from),
                )
                .help("How much faster than a real one; with 60, an hour takes a minute"),
        )
        .arg(
            option(ITEMS)
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..))
                .help("End after so many items"),
        )
        .arg(
            option(SEED)
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("Play what this number stands for; without it, something new"),
        )
        .arg(
            option(NO_SPARE)
                .action(ArgAction::SetTrue)
                .help("Send once; else a hot spare sends the same a little later"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Options {
        let all = [&[NAME], arguments].concat();
        Options::read(&command().try_get_matches_from(all).unwrap())
    }

    #[test]
    fn what_is_not_asked_for_is_plain() {
        let options = read(&[]);
        assert_eq!(options.address.to_string(), "127.0.0.1:1234");
        assert_eq!(
            (options.speed, options.items, options.spare),
            (Speed::try_from(1).unwrap(), None, true)
        );
    }

    #[test]
    fn everything_can_be_asked_for() {
        let given = ["--speed", "60", "--items", "5", "--seed", "7", "--no-spare"];
        let asked = Options {
            address: "studio:99".parse().unwrap(),
            speed: Speed::try_from(60).unwrap(),
            spare: false,
            seed: 7,
            items: Some(5),
        };
        assert_eq!(read(&[&given[..], &["studio:99"]].concat()), asked);
        assert_eq!(read(&[&["studio:99"], &given[..]].concat()), asked);
    }
}
