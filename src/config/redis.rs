//! The settings of Redis, or of Valkey: `--redis` and the options beside it.
//! Knows no command of Redis and opens no connection: it says where Redis would be.

mod address;

use std::fmt;
use std::path::PathBuf;

use super::layers::Layers;
use super::secrets::FILE;
use super::{number, options, value};
use crate::problem::{Fault, Origin};
use address::Address;

/// Where Redis is that joins nodes into one, and how this node enters it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where it listens, each a host (IPv6 without brackets) and a port: one server,
    /// or some nodes of a cluster.
    pub servers: Vec<(String, u16)>,
    /// Whether these are nodes of a cluster.
    pub cluster: bool,
    /// Whether it is reached over TLS.
    pub tls: bool,
    /// A PEM file with the authorities of its certificate; none: the system's.
    pub ca: Option<PathBuf>,
    /// The user of its ACL; none: the default one.
    pub user: Option<String>,
    /// The user's password; none: it needs none.
    pub password: Option<RedisPassword>,
    /// Which of its databases; a cluster has 0 only.
    pub database: u32,
}

/// Shows where it is, as a URL without user and password.
impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.cluster, self.tls) {
            (false, false) => "redis://",
            (false, true) => "rediss://",
            (true, false) => "redis-cluster://",
            (true, true) => "rediss-cluster://",
        })?;
        for (n, (host, port)) in self.servers.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        write!(f, "/{}", self.database)
    }
}

/// What a user of Redis shows to be let in; shown to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisPassword(Box<str>);

impl RedisPassword {
    /// The password itself, for Redis.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes a line of text, blanks included; what is wrong is said without it.
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the password is empty".to_owned());
        }
        if text.contains(char::is_control) {
            return Err("a password is one line, without control characters".to_owned());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for RedisPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisPassword")
    }
}

/// The option that joins nodes.
const SWITCH: &str = "redis";

/// The option of the 2-IMMERSE websocket-service that names its Consul; not used here.
const CONSUL: &str = "consul-host";

/// The option with the password.
const PASSWORD: &str = "redis-password";

/// The options that mean something only where there is Redis.
const PARTS: [&str; 3] = ["redis-database", PASSWORD, "redis-ca"];

/// Reads the options of it; none: this node is alone. What is wrong is noted.
pub(super) fn read(layers: &mut Layers) -> Option<Redis> {
    if layers.origin(CONSUL) != Origin::Default {
        layers.warn(format!(
            "--{CONSUL} does nothing: --{SWITCH} says where Redis is"
        ));
    }
    let address = layers.optional(SWITCH, address::parse);
    if layers.origin(SWITCH) == Origin::Default {
        layers.warn_of_idle(SWITCH, &PARTS);
        return None;
    }
    let database = layers.optional("redis-database", number::database);
    let password = layers.optional(PASSWORD, password);
    let ca = layers.optional("redis-ca", value::path);
    // Here, so that where it is wrong the others have been looked at as well.
    let address = address?;
    warn_of_name(layers, &address);
    warn_of_seen_password(layers, &address);
    if ca.is_some() && !address.tls {
        let why = "--redis-ca is for TLS, and --redis is without: write rediss:// or \
                   rediss-cluster://";
        note(layers, "redis-ca", why.to_owned());
    }
    let database = one_database(layers, &address, database);
    let password = one_password(layers, &address, password);
    Some(Redis {
        servers: address.servers,
        cluster: address.cluster,
        tls: address.tls,
        ca,
        user: address.user,
        password,
        database,
    })
}

fn password(text: &str) -> Result<RedisPassword, String> {
    // Files end with a newline, which is no part of it; a blank may be one.
    let line = text.strip_suffix('\n').unwrap_or(text);
    RedisPassword::parse(line.strip_suffix('\r').unwrap_or(line))
}

/// The variable that the password is better in: others can't read it there.
fn variable() -> String {
    options::named(PASSWORD).variable()
}

/// Warns how `-r NAME` is read: the 2-IMMERSE websocket-service asked Consul for the service NAME.
fn warn_of_name(layers: &mut Layers, address: &Address) {
    if address.is_name {
        let (host, port) = &address.servers[0];
        layers.warn(format!(
            "--{SWITCH}: {host} is taken as the host of Redis, redis://{host}:{port}; Consul is not \
             asked"
        ));
    }
}

/// Warns of a password that the list of processes shows.
fn warn_of_seen_password(layers: &mut Layers, address: &Address) {
    let seen = [
        (SWITCH, address.password.is_some()),
        (PASSWORD, layers.origin(PASSWORD) != Origin::Default),
    ];
    for (name, there) in seen {
        if there && layers.origin(name) == Origin::Flag(name) {
            let variable = variable();
            layers.warn(format!(
                "--{name} shows a password to everybody on this machine who lists its \
                 processes, as with ps: set {variable}, or {variable}{FILE} to the name of a \
                 file with it"
            ));
        }
    }
}

/// The database, from the URL or from the option.
fn one_database(layers: &mut Layers, address: &Address, option: Option<u32>) -> u32 {
    if let (Some(one), Some(other)) = (address.database, option)
        && one != other
    {
        let why =
            format!("--redis-database says {other} and --redis says {one}: give the database once");
        note(layers, "redis-database", why);
    }
    let (name, database) = match option {
        Some(database) => ("redis-database", database),
        None => (SWITCH, address.database.unwrap_or(0)),
    };
    if address.cluster && database != 0 {
        let why = format!("--{name} says database {database}, and a cluster has 0 only");
        note(layers, name, why);
    }
    database
}

/// The password, from the URL or from the option.
fn one_password(
    layers: &mut Layers,
    address: &Address,
    option: Option<RedisPassword>,
) -> Option<RedisPassword> {
    if let (Some(one), Some(other)) = (&address.password, &option)
        && one != other
    {
        let why = "--redis-password is not the password in --redis: give it once";
        note(layers, PASSWORD, why.to_owned());
    }
    let password = option.or_else(|| address.password.clone());
    // One that is wrong was meant to be one, and is noted already.
    if address.user.is_some() && password.is_none() && layers.origin(PASSWORD) == Origin::Default {
        // The user is not repeated: some write the password in its place.
        let why = format!(
            "--redis has a user, and there is no password: set {}; what stands alone \
             before the @ is the user, and a password alone is :PASSWORD@",
            variable()
        );
        note(layers, SWITCH, why);
    }
    password
}

fn note(layers: &mut Layers, name: &str, why: String) {
    let origin = layers.origin(name);
    layers.note(origin, Fault::WrongOption(why));
}
