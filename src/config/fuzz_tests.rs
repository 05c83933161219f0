//! Property tests of the layers of settings: command line, environment and file.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use super::{Config, ConfigError, command};
use crate::fuzz::{self, Case, Format};

const TOKENS: [&str; 60] = [
    "port",
    "host",
    "redis",
    "zetta-allow",
    "trusted-proxy",
    "cors-origin",
    "stale-after",
    "target-address",
    "webhook-secret",
    "timezone",
    "max-connections",
    "log-level",
    "tls",
    "push",
    "state",
    "database",
    "local-address",
    "history-days",
    "ROOMCAST_",
    "ROOMCAST_TOKEN_BUS",
    "_FILE",
    "TARGET_ADDRESS",
    "LOG_LEVEL",
    "REDIS",
    "--",
    "-",
    "=",
    "\n",
    " ",
    ",",
    ":",
    "/",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "redis://",
    "rediss-cluster://",
    "u:p@",
    "%",
    "%zz",
    "%C3%A9",
    "127.0.0.1",
    "[::1]",
    "::ffff:1.2.3.4",
    "10.0.0.0/8",
    "::/129",
    "0",
    "65536",
    "off",
    "true",
    "America/Chicago",
    "https://*.example.com",
    "whsec_",
    "AAAA",
    "1d",
    "5m",
    "info,hyper=warn",
    "é",
];

/// The longest argument of a command line, in bytes.
const ARGUMENT_MOST: usize = 200;

/// The size of the messages about the settings.
fn message_size(loaded: Result<Config, ConfigError>) -> usize {
    match loaded {
        Ok(config) => {
            let redis = config.redis.map(|redis| redis.to_string());
            config.warnings.concat().len() + redis.map_or(0, |redis| redis.len())
        }
        Err(error) => {
            error.exit_code();
            error.to_string().len()
        }
    }
}

/// Each line of a case is an argument or a variable.
fn lines(case: &Case) -> impl Iterator<Item = OsString> {
    let lines = case.bytes.split(|byte| *byte == b'\n');
    lines.map(|line| OsString::from_vec(line.to_vec()))
}

#[test]
fn fuzz_command_lines_and_environments() {
    let documents = [
        "--port\n4000\n--redis=redis://u:p%40@a:1,[::1]:2/3\n--zetta-allow=10.0.0.0/8,::1\n--cors-origin\nhttps://a.example",
        "ROOMCAST_PORT=127.0.0.1:0\nTARGET_ADDRESS=http://localhost:5000/websocket?a=b\nLOG_LEVEL=info,hyper=warn\nREDIS=a",
        "--push\n--stale-after=5m\n--webhook-secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n--target-address=http://a:1\n-v",
        "history\n--from\n2026-11-01\n--limit\n5\n--csv",
        "simulate\n127.0.0.1:1234\n--seed\n7",
        "--help",
    ];
    let format = Format::text("command lines and environments", &documents, &TOKENS);
    // Built once: building it takes longer than parsing.
    let server = RefCell::new(command::command());
    let load = |case: &Case| {
        let is_env = |line: &OsString| !line.as_encoded_bytes().starts_with(b"-");
        let (env, args): (Vec<_>, Vec<_>) =
            lines(case).partition(|line| case.seed.is_multiple_of(2) && is_env(line));
        let pairs = env.into_iter().filter_map(|line| {
            let line = line.into_vec();
            let at = line.iter().position(|byte| *byte == b'=')?;
            // Another test covers files; paths of devices could block.
            let is_file = line[..at].ends_with(b"_FILE") || line[..at].ends_with(b"CONFIG");
            let part = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            (!is_file).then(|| (part(&line[..at]), part(&line[at + 1..])))
        });
        // clap compares an unknown option with all others, in a time that grows with the
        // square of its length. Only the operator can cause that.
        let is_usual = |arg: &OsString| {
            arg.len() <= ARGUMENT_MOST && !arg.as_encoded_bytes().starts_with(b"--config")
        };
        let args = args.into_iter().filter(is_usual);
        let args = [OsString::from("server")].into_iter().chain(args);
        message_size(Config::load_by(
            &mut server.borrow_mut(),
            args,
            pairs.collect::<Vec<_>>(),
        ))
    };
    fuzz::run(&format, |input| 100 * input + 64 * 1024, load);
}

#[test]
fn fuzz_configuration_files() {
    let documents = [
        "port = 4000\nhost = \"127.0.0.1\"\nzetta-allow = [\"10.0.0.0/8\", \"::1\"]\ntimezone = 'America/New_York'\n",
        "redis = \"redis://u:p@a:1/2\"\ncors-origin = [\"https://a.example\"]\nstale-after = \"5m\"\nlog-level = \"debug\"\n",
        "target-address = \"http://localhost:5000/x\"\nmax-page = 4\nws-timeout = 30000\npush = true\n",
    ];
    let format = Format::text("configuration files", &documents, &TOKENS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roomcast.toml");
    // Built once: building it takes longer than parsing.
    let server = RefCell::new(command::command());
    let load = |case: &Case| {
        fs::write(&path, &case.bytes).unwrap();
        let args = [
            "server".into(),
            "--config".into(),
            path.clone().into_os_string(),
        ];
        message_size(Config::load_by(
            &mut server.borrow_mut(),
            args.into_iter(),
            [],
        ))
    };
    fuzz::run(&format, |input| 200 * input + 64 * 1024, load);
}
