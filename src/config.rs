//! Command line, environment and file, resolved into one [`Config`].
//! Knows no room and opens no port: it says what is wanted, others do it.

mod addresses;
mod clash;
mod command;
mod exposed;
#[cfg(test)]
mod fuzz_tests;
mod layers;
mod log;
mod number;
mod opt;
mod options;
mod push;
mod redis;
mod report;
mod secrets;
mod slips;
mod summary;
mod tls;
mod tokens;
mod url;
mod value;
mod webhook;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use ipnet::IpNet;

use crate::core::name::NamespaceName;
use crate::core::token::Token;
use crate::net::access::PrivateAccess;
use crate::net::origin::WebOrigins;
use crate::problem::{Fault, Origin, Problem, Problems};
use crate::simulate;
pub use addresses::Address;
use layers::Layers;
pub use log::{Log, LogFormat, LogStyle};
pub use push::Push;
pub use redis::{Redis, RedisPassword};
pub use report::Report;
pub use tls::Tls;
pub use tokens::variable as token_variable;
pub use value::private_networks;
pub use webhook::Webhook;

/// The option by which publishing from private addresses needs a token, too.
const REQUIRE_TOKEN: &str = "require-token";

/// What the process is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the server.
    Serve,
    /// Load everything, say what would run, and end.
    Check,
    /// Print the play log, and end.
    History(Report),
    /// Ask the server that runs with the same settings how it is.
    Healthcheck,
    /// Play a Zetta to a server.
    Simulate(simulate::Options),
}

/// Everything that can be set, resolved. Relative paths are as they were given:
/// relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What to do.
    pub action: Action,
    /// Where the main port listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The default port, if the webhook door's backend has it: the main port is then the next
    /// one that is free.
    pub backend_port: Option<u16>,
    /// Whether the main port speaks TLS.
    pub tls: Tls,
    /// What to log, and how.
    pub log: Log,
    /// The folder with namespaces of the user's own.
    pub namespaces: Option<PathBuf>,
    /// The port more for raw WebSockets; none: there is none.
    pub gateway_listen: Option<SocketAddr>,
    /// The file with the Socket.IO client that pages load.
    pub socketio_client: Option<PathBuf>,
    /// The push door; none: it is off.
    pub push: Option<Push>,
    /// The webhook door; none: it is off.
    pub webhook: Option<Webhook>,
    /// What joins this node and others into one; none: it is alone.
    pub redis: Option<Redis>,
    /// Where Zetta connects to; none: nowhere.
    pub zetta_listen: Option<SocketAddr>,
    /// From where Zetta may connect.
    pub zetta_allow: Vec<IpNet>,
    /// The station's wall clock.
    pub timezone: Tz,
    /// What listeners see when no song is on.
    pub station_text: String,
    /// The folder of what outlives a restart.
    pub state: PathBuf,
    /// How long the play log is kept.
    pub history_keep: Duration,
    /// How long what has run out still counts as what was on last.
    pub stale_after: Duration,
    /// How long a stop may take at most.
    pub shutdown_timeout: Duration,
    /// The most connections that the main port holds at once.
    pub max_connections: usize,
    /// The limits per client address.
    pub address: Address,
    /// Whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Public host names under which the endpoints for private addresses answer.
    pub host_names: Vec<String>,
    /// Whether publishing from private addresses needs a token, too.
    pub require_token: bool,
    /// The web pages that may use the main port.
    pub cors_origins: WebOrigins,
    /// What backends publish with, by namespace.
    pub tokens: BTreeMap<NamespaceName, Token>,
    /// What looks like a slip, but does not keep the server from running.
    pub warnings: Vec<String>,
}

/// Why there is no [`Config`].
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line does not parse, or asks for the help or the version.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// Settings are wrong; all of them, wherever they come from.
    #[error(transparent)]
    Settings(#[from] Problems),
}

impl ConfigError {
    /// The exit code: 0 after the help, 1 for a wrong file, 2 for a wrong option.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::CommandLine(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Settings(Problems(all)) => {
                let in_file = |p: &Problem| matches!(p.origin, Origin::File { .. });
                if all.iter().all(in_file) { 1 } else { 2 }
            }
        }
    }
}

impl Config {
    /// Resolves the settings: flag, then environment (the option's own variable
    /// before its alias), then file, then default.
    ///
    /// `args` begins with the name of the program.
    ///
    /// # Errors
    /// Everything that is wrong, each with the flag, variable or line it is from.
    pub fn load(
        args: impl Iterator<Item = OsString>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::load_by(&mut command::command(), args, env)
    }

    fn load_by(
        command: &mut clap::Command,
        args: impl Iterator<Item = OsString>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let flags = command.try_get_matches_from_mut(args)?;
        let subcommand = flags
            .subcommand()
            .map(|(name, own)| (name.to_owned(), own.clone()));
        let mut layers = Layers::new(flags, env);
        let timezone = layers.required("timezone", value::timezone);
        let action = match subcommand {
            Some((name, _)) if name == "check" => Action::Check,
            Some((name, _)) if name == "healthcheck" => Action::Healthcheck,
            Some((name, own)) if name == report::NAME => {
                Action::History(Report::read(&own, timezone, &mut layers))
            }
            Some((name, own)) if name == simulate::NAME => {
                Action::Simulate(simulate::Options::read(&own))
            }
            _ => Action::Serve,
        };

        let port = layers.required("port", value::listen);
        let host = layers.required("host", value::host);
        let listen = main_address(&mut layers, host, port);
        let mut config = Self {
            action,
            listen,
            backend_port: None,
            tls: tls::read(&mut layers),
            log: log::read(&mut layers),
            namespaces: layers.optional("namespaces", value::path),
            gateway_listen: layers
                .required("gateway-listen", value::listen_or_off)
                .map(|listen| listen.address()),
            socketio_client: layers.optional("socketio-client", value::path),
            push: push::read(&mut layers),
            webhook: webhook::read(&mut layers),
            redis: redis::read(&mut layers),
            zetta_listen: layers
                .required("zetta-listen", value::listen_or_off)
                .map(|listen| listen.address()),
            zetta_allow: layers.list("zetta-allow", value::networks),
            timezone,
            station_text: layers.required("station-text", value::station_text),
            state: layers.required("state", value::path),
            history_keep: layers.required("history-days", number::days),
            stale_after: layers.required("stale-after", number::span),
            shutdown_timeout: layers.required("shutdown-timeout", number::span),
            max_connections: layers.required("max-connections", number::connections),
            address: addresses::read(&mut layers),
            trusted_proxies: layers.list("trusted-proxy", value::networks),
            host_names: layers.list("host-name", value::host_name),
            require_token: layers.required(REQUIRE_TOKEN, value::boolean),
            cors_origins: layers
                .list("cors-origin", value::web_origins)
                .into_iter()
                .collect(),
            tokens: layers.tokens(),
            warnings: Vec::new(),
        };
        clash::make_room(&mut config, &mut layers);
        clash::check(&config, &mut layers);
        config.check_keys(&mut layers);
        let (problems, warnings) = layers.finish();
        if problems.is_empty() {
            Ok(Self { warnings, ..config })
        } else {
            Err(Problems(problems).into())
        }
    }
}

impl Config {
    /// The line that says that the main port was moved away from the backend's, and to which port.
    pub fn moved(&self, port: u16) -> Option<String> {
        let backend = self.backend_port?;
        Some(format!(
            "port {backend} is the backend's, Socket.IO on {port}"
        ))
    }

    /// Returns the rule that decides which requests need no token.
    pub fn private_access(&self) -> PrivateAccess {
        PrivateAccess::new(&self.trusted_proxies, &self.host_names)
    }

    /// Notes an error for each port that lacks its key although `--require-token` is on.
    fn check_keys(&self, layers: &mut Layers) {
        let push = self.push.as_ref().map(|push| (&push.key, "push-key"));
        let webhook = self.webhook.as_ref().map(|hook| (&hook.key, "webhook-key"));
        for (key, name) in push.into_iter().chain(webhook) {
            // An invalid key is noted elsewhere; it is not a missing one.
            if self.require_token && key.is_none() && layers.origin(name) == Origin::Default {
                let why = format!("--{REQUIRE_TOKEN} needs --{name}");
                let origin = layers.origin(REQUIRE_TOKEN);
                layers.note(origin, Fault::WrongOption(why));
            }
        }
    }
}

fn main_address(layers: &mut Layers, host: IpAddr, port: value::Listen) -> SocketAddr {
    let Some(address) = port.host else {
        return SocketAddr::new(host, port.port);
    };
    if address != host && layers.origin("host") != Origin::Default {
        let why = format!("--port says {address} and --host says {host}: give the address once");
        let origin = layers.origin("port");
        layers.note(origin, Fault::WrongOption(why));
    }
    SocketAddr::new(address, port.port)
}

#[cfg(test)]
mod tests;
