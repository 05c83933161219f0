//! Every option: its flag, default and help, declared once; and the command line.
//! Knows no value: what an option takes is checked where it is resolved.

use clap::{Arg, Command};

use super::opt::{Kind, Opt};
use crate::simulate;

/// All options, in the order of the help.
pub(super) const OPTIONS: [Opt; 26] = [
    Opt::new(
        "port",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where clients connect",
    )
    .short('p')
    .or("3000"),
    Opt::new(
        "host",
        Kind::Text,
        "ADDR",
        "The address that clients connect to",
    )
    .or("0.0.0.0"),
    Opt::new(
        "https",
        Kind::Switch,
        "BOOL",
        "Serve over TLS, with a self-signed certificate unless --cert is given",
    )
    .short('S')
    .or("false"),
    Opt::new(
        "cert",
        Kind::Text,
        "FILE",
        "A certificate chain of your own, in PEM; turns HTTPS on; needs --key",
    ),
    Opt::new(
        "key",
        Kind::Text,
        "FILE",
        "The private key of --cert, in PEM",
    ),
    Opt::new(
        "certs",
        Kind::Text,
        "DIR",
        "Where the self-signed certificate is kept",
    )
    .or("certs"),
    Opt::new(
        "gateway-listen",
        Kind::Listen,
        "PORT|ADDR:PORT|off",
        "A port more for raw WebSockets, at /?target=metadata, where apps expect one; \
         a port alone means every address; `off` for none",
    )
    .or("off"),
    Opt::new("push", Kind::Switch, "BOOL", "Serve the push door").or("false"),
    Opt::new(
        "push-http",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where publishers post to the push door; a port alone means every address",
    )
    .alias("PORT_HTTP")
    .or("5223"),
    Opt::new(
        "push-ws",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where subscribers connect to the push door; a port alone means every address",
    )
    .alias("PORT_WS")
    .or("5222"),
    Opt::new(
        "push-key",
        Kind::Secret,
        "KEY",
        "What creating a channel of the push door needs, as `Authorization: Bearer KEY`; \
         without it loopback and private addresses create them; a variable that ends in \
         _FILE names a file with the key",
    )
    .alias("PUSH_KEY"),
    Opt::new(
        "push-rate",
        Kind::Number,
        "N",
        "How many requests per second one address may make where publishers post",
    )
    // A backend that pushes as fast as it can on one connection stays below it; a
    // flood does not take a core.
    .or("1000"),
    Opt::new(
        "zetta-listen",
        Kind::Listen,
        "PORT|ADDR:PORT|off",
        "Where Zetta connects; a port alone means every address; `off` for nowhere",
    )
    .or("0.0.0.0:1234"),
    Opt::new(
        "zetta-allow",
        Kind::List,
        "CIDR",
        "From where Zetta may connect; `private` means private and loopback \
         addresses; repeatable, in the environment with commas between",
    )
    .or("private"),
    Opt::new(
        "timezone",
        Kind::Text,
        "ZONE",
        "The time zone of the station, whose wall clock listeners are shown",
    )
    .or("America/Chicago"),
    Opt::new(
        "station-text",
        Kind::Text,
        "TEXT",
        "What listeners see when no song is on",
    )
    .or("You are listening to college radio"),
    Opt::new(
        "namespaces",
        Kind::Text,
        "DIR",
        "A folder of namespaces, NAME.toml each, that adds to and overrides the \
         built-in ones by file name",
    ),
    Opt::new(
        "state",
        Kind::Text,
        "DIR",
        "The folder of what outlives a restart: durable rooms and the play log",
    )
    .or("state"),
    Opt::new(
        "history-days",
        Kind::Number,
        "DAYS",
        "How long the play log is kept",
    )
    // Four years: reports are asked for about the three calendar years before.
    .or("1461"),
    Opt::new(
        "stale-after",
        Kind::Text,
        "TIME",
        "How long after what is on has run out it is taken back, if nothing new came; \
         as 90s, 10m or 1h",
    )
    .or("10m"),
    Opt::new(
        "max-connections",
        Kind::Number,
        "N",
        "How many connections the main port holds at once; more get a 503",
    )
    // At 18 KiB each, 360 MiB; twice the crowd that the server is measured with.
    .or("20000"),
    Opt::new(
        "trusted-proxy",
        Kind::List,
        "CIDR",
        "A proxy whose X-Forwarded-For counts, or `private`; repeatable, in the \
         environment with commas between",
    ),
    Opt::new(
        "cors-origin",
        Kind::List,
        "ORIGIN",
        "The origin of web pages that may connect, as https://radio.example, or `*` \
         for any; repeatable, in the environment with commas between",
    )
    .or("*"),
    Opt::new(
        "log-format",
        Kind::Text,
        "text|json",
        "How to log; by default text on a terminal and JSON otherwise",
    ),
    Opt::new(
        "verbose",
        Kind::Switch,
        "BOOL",
        "Log also what is of use only when looking for a fault",
    )
    .short('v')
    .or("false"),
    Opt::new(
        CONFIG,
        Kind::Text,
        "FILE",
        "A TOML file with options: each long flag is a key of the same name",
    ),
];

/// The option that names the file with the others, and can't stand in it.
pub(super) const CONFIG: &str = "config";

/// The option of that name.
pub(super) fn named(name: &str) -> &'static Opt {
    OPTIONS
        .iter()
        .find(|option| option.name == name)
        .expect("only declared options are asked for")
}

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
        .subcommand(super::report::command().args(without_meaning(&super::report::READS)))
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
