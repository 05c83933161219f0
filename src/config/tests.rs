//! Tests of resolving settings: layers, messages, exit codes and the help.

mod aliases;
mod log;
mod push;
mod redis;
mod secrets;
mod webhook;

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tracing::level_filters::LevelFilter;

fn load(args: &[&str], env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let args = ["server"].iter().chain(args).map(OsString::from);
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    Config::load(args, env.collect::<Vec<_>>())
}

fn fails(args: &[&str], env: &[(&str, &str)]) -> (String, u8) {
    let error = load(args, env).unwrap_err();
    (error.to_string(), error.exit_code())
}

struct File {
    _folder: tempfile::TempDir,
    path: String,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roomcast.toml");
    fs::write(&path, text).unwrap();
    set_mode(&path, 0o600);
    let path = path.to_str().unwrap().to_owned();
    File {
        _folder: folder,
        path,
    }
}

fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn defaults() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.action, Action::Serve);
    assert_eq!(config.listen.to_string(), "0.0.0.0:3000");
    assert_eq!(config.tls, Tls::Off);
    assert_eq!(config.zetta_listen.unwrap().to_string(), "0.0.0.0:1234");
    assert_eq!(config.zetta_allow, private_networks());
    assert_eq!(config.timezone, Tz::America__Chicago);
    assert_eq!(config.state, PathBuf::from("state"));
    let info = Log {
        level: LevelFilter::INFO,
        format: None,
        style: LogStyle::Auto,
    };
    assert_eq!(config.log, info);
    assert_eq!(config.cors_origins, WebOrigins::Any);
    assert!(config.trusted_proxies.is_empty());
    assert!(config.namespaces.is_none() && config.warnings.is_empty());
}

/// No publishing endpoint is then open without a key, and the error names the missing key.
#[test]
fn with_require_token_the_ports_of_backends_need_keys() {
    let key = "0123456789abcdef";
    let hook = ["--target-address", "http://localhost:5/x"];
    for (options, missing) in [
        (&["--push"][..], Some("--require-token needs --push-key")),
        (&["--push", "--push-key", key], None),
        (&hook, Some("--require-token needs --webhook-key")),
        (&[hook[0], hook[1], "--webhook-key", key], None),
        (&[], None),
    ] {
        let loaded = load(&[options, &["--require-token"]].concat(), &[]);
        let said = loaded.map_err(|error| error.to_string()).err();
        assert_eq!(said.as_deref(), missing, "{options:?}");
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = file("port = 1\nhttps = true\nzetta-allow = [\"10.0.0.0/8\", \"::1\"]");
    let from_file = ["--config", &file.path];
    let both = ["--config", &file.path, "-p", "3"];
    let env = [
        ("ROOMCAST_PORT", "2"),
        ("ROOMCAST_HTTPS", "no"),
        ("ROOMCAST_ZETTA_ALLOW", "192.0.2.1, 192.0.2.2"),
    ];
    for (args, env, port, tls, allowed) in [
        (&from_file[..], &[][..], 1, true, "10.0.0.0/8"),
        (&from_file, &env, 2, false, "192.0.2.1/32"),
        (&both, &env, 3, false, "192.0.2.1/32"),
    ] {
        let config = load(args, env).unwrap();
        assert_eq!(config.listen.port(), port);
        assert_eq!(config.tls != Tls::Off, tls);
        assert_eq!(config.zetta_allow[0].to_string(), allowed);
        assert_eq!(config.zetta_allow.len(), 2);
    }
}

#[test]
fn every_option_can_be_set_everywhere() {
    let values = [
        ("port", "5", "5"),
        ("host", "127.0.0.1", "\"127.0.0.1\""),
        ("https", "true", "true"),
        ("cert", "a.pem", "\"a.pem\""),
        ("key", "b.pem", "\"b.pem\""),
        ("certs", "c", "\"c\""),
        ("gateway-listen", "8081", "8081"),
        ("push", "true", "true"),
        ("push-http", "6", "6"),
        ("push-ws", "7", "7"),
        ("push-key", "0123456789abcdef", "\"0123456789abcdef\""),
        ("push-rate", "9", "9"),
        (
            "target-address",
            "http://localhost:10/x",
            "\"http://localhost:10/x\"",
        ),
        ("webhook-style", "rest", "\"rest\""),
        ("webhook-ws", "8", "8"),
        ("webhook-http", "9", "9"),
        ("local-address", "http://a.example/", "\"http://a.example\""),
        ("ws-timeout", "100", "100"),
        ("max-page", "1", "1"),
        ("webhook-retry", "1s", "\"1s\""),
        ("target-ca", "ca.pem", "\"ca.pem\""),
        ("webhook-key", "0123456789abcdef", "\"0123456789abcdef\""),
        (
            "webhook-secret",
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
            "\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"",
        ),
        ("redis", "rediss://a.example/3", "\"rediss://a.example/3\""),
        ("consul-host", "http://a.example", "\"http://a.example\""),
        ("redis-database", "3", "3"),
        ("redis-password", "hunter2", "\"hunter2\""),
        ("redis-ca", "ca.pem", "\"ca.pem\""),
        ("socketio-client", "c.js", "\"c.js\""),
        ("zetta-listen", "off", "\"off\""),
        ("zetta-allow", "10.0.0.0/8", "[\"10.0.0.0/8\"]"),
        ("host-name", "a.example", "[\"a.example\"]"),
        ("require-token", "true", "true"),
        ("timezone", "UTC", "\"UTC\""),
        ("station-text", "Hi", "\"Hi\""),
        ("namespaces", "n", "\"n\""),
        ("state", "s", "\"s\""),
        ("history-days", "30", "30"),
        ("stale-after", "90s", "\"90s\""),
        ("shutdown-timeout", "9s", "\"9s\""),
        ("max-connections", "7", "7"),
        ("address-connections", "6", "6"),
        ("address-sessions", "2", "2"),
        ("address-unconfirmed", "5", "5"),
        ("address-rate", "4", "4"),
        ("address-rooms", "3", "3"),
        ("address-private", "true", "true"),
        ("trusted-proxy", "192.0.2.1", "\"192.0.2.1\""),
        (
            "cors-origin",
            "https://a.example,http://b.example:1",
            "[\"https://a.example\", \"http://b.example:1\"]",
        ),
        ("log-level", "trace", "\"trace\""),
        ("log-style", "never", "\"never\""),
        ("log-format", "json", "\"json\""),
        ("verbose", "true", "true"),
    ];
    let named: Vec<_> = values.iter().map(|(name, ..)| *name).collect();
    let all = options::OPTIONS.iter().map(|option| option.name);
    let others: Vec<_> = all.filter(|name| !named.contains(name)).collect();
    assert_eq!(others, ["config"], "an option without a value here");

    let flags: Vec<String> = values
        .iter()
        .map(|(n, v, _)| format!("--{n}={v}"))
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let lines: Vec<_> = values
        .iter()
        .map(|(n, _, v)| format!("{n} = {v}"))
        .collect();
    let file = file(&lines.join("\n"));

    let by_flag = Config {
        // Without the warning of a password among the flags.
        warnings: vec!["--consul-host does nothing: --redis says where Redis is".to_owned()],
        ..load(&flags, &[]).unwrap()
    };
    // By our own variables, then by the aliases of those that have one.
    let names: [fn(&opt::Opt) -> String; 2] = [opt::Opt::variable, |option| {
        option.variables().pop().unwrap().remove(0)
    }];
    for name in names {
        let variables = values.map(|(n, v, _)| (name(options::named(n)), v));
        let env: Vec<_> = variables.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        assert_eq!(by_flag, load(&[], &env).unwrap());
    }
    assert_eq!(by_flag, load(&["--config", &file.path], &[]).unwrap());
    assert_eq!(
        by_flag,
        load(&[], &[("ROOMCAST_CONFIG", &file.path)]).unwrap()
    );
    assert_eq!(by_flag.zetta_listen, None);
    let (cert, key) = ("a.pem".into(), "b.pem".into());
    assert_eq!(by_flag.tls, Tls::Files { cert, key });
}

#[test]
fn what_is_wrong_is_named_with_its_source() {
    for (args, env, message, code) in [
        (
            &["--port", "x"][..],
            &[][..],
            "--port: `x` is neither a port",
            2,
        ),
        (
            &[],
            &[("ROOMCAST_PORT", "70000")],
            "ROOMCAST_PORT: `70000` is neither a port",
            2,
        ),
        (
            &[],
            &[("ROOMCAST_PORT", "tcp://10.0.0.1:3000")],
            "turn enableServiceLinks off",
            2,
        ),
        (
            &["--zetta-allow", "10.0.0.0/8", "--zetta-allow", "ten"],
            &[],
            "--zetta-allow: `ten` is neither a network",
            2,
        ),
        (&["--cert", "a"], &[], "--cert needs --key", 2),
        (
            &[],
            &[("ROOMCAST_KEY", "a")],
            "ROOMCAST_KEY: --key needs --cert",
            2,
        ),
        (
            &["-p", "1234"],
            &[],
            "--port (0.0.0.0:1234) and --zetta-listen (0.0.0.0:1234) can't both listen on port 1234",
            2,
        ),
        (
            &["--zetta-listen", "127.0.0.1:3000"],
            &[],
            "--zetta-listen (127.0.0.1:3000) and --port (0.0.0.0:3000)",
            2,
        ),
        (
            &["-p", "127.0.0.1:1", "--host", "::"],
            &[],
            "--port says 127.0.0.1 and --host says ::",
            2,
        ),
        (
            &["--config", "/nowhere/x.toml"],
            &[],
            "/nowhere/x.toml: can't be read",
            1,
        ),
        (&["--timezone", "Mars"], &[], "--timezone: `Mars`", 2),
        (
            &["--cors-origin", "https://a.example/"],
            &[],
            "--cors-origin: `https://a.example/` is neither an origin as a browser sends it, \
             SCHEME://HOST or SCHEME://HOST:PORT",
            2,
        ),
        (
            &[],
            &[("ROOMCAST_CORS_ORIGIN", "https://a.example,*.b.example")],
            "ROOMCAST_CORS_ORIGIN: `*.b.example` is a pattern",
            2,
        ),
        (&["--prot", "1"], &[], "'--port'", 2),
        (&["--port"], &[], "a value is required", 2),
        (&["--port="], &[], "--port", 2),
        (&["chekc"], &[], "check", 2),
    ] {
        let (found, found_code) = fails(args, env);
        assert!(found.contains(message), "{found}\nnot {message}");
        assert_eq!(found_code, code, "{found}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_line() {
    for (text, message) in [
        ("\nprot = 1", ":2: unknown key `prot`; did you mean `port`?"),
        (
            "zetta_listen = 1",
            ":1: unknown key `zetta_listen`; did you mean `zetta-listen`?",
        ),
        ("config = \"x\"", ":1: unknown key `config`"),
        (
            "https = \"yes\"",
            ":1: https: expected true or false, found a string",
        ),
        (
            "port = [1]",
            ":1: port: expected a whole number or a string, found a list",
        ),
        ("port = 70000", ":1: port: `70000` is neither a port"),
        (
            "zetta-allow = [\n  \"::1\",\n  \"ten\"]",
            ":3: zetta-allow: `ten` is neither a network",
        ),
        (
            "cors-origin = [\"*\",\n  \"wss://a.example\"]",
            ":2: cors-origin: `wss://a.example` is no origin of a page",
        ),
        ("port = ", ":1: not TOML"),
        ("[limits]\nx = 1", ":1: unknown key `limits`"),
    ] {
        let file = file(text);
        let (found, code) = fails(&["--config", &file.path], &[]);
        let expected = format!("{}{message}", file.path);
        assert!(found.starts_with(&expected), "{found}\nnot {expected}");
        assert_eq!(found.lines().count(), 1, "{found}");
        assert_eq!(code, 1, "{found}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let file = file("prot = 1\nstation-text = \"\"");
    let env = [("ROOMCAST_HOST", "nowhere")];
    let (found, code) = fails(&["--config", &file.path, "-p", "x"], &env);
    assert_eq!(found.lines().count(), 4, "{found}");
    assert_eq!(code, 2);
}

#[test]
fn the_subcommand_takes_options_before_and_after_it() {
    for args in [
        &["check", "--port", "5"][..],
        &["--port", "5", "check"],
        &["check", "-Svp5"],
    ] {
        let config = load(args, &[]).unwrap();
        assert_eq!(config.action, Action::Check);
        assert_eq!(config.listen.port(), 5);
    }
}

/// Every form of its options (commander 2.9): long and short, with a blank, with `=`, attached,
/// and switches together.
#[test]
fn the_command_line_of_the_websocket_service_starts() {
    let consul = "--consul-host does nothing: --redis says where Redis is";
    let name =
        "--redis: cache is taken as the host of Redis, redis://cache:6379; Consul is not asked";
    let redis = Some(("cache".to_owned(), 6379));
    for (args, port, https, redis, database, warnings) in [
        (&["-p", "3001"][..], 3001, false, None, 0, &[][..]),
        (&["--port", "3001"], 3001, false, None, 0, &[]),
        (&["--port=3001", "-S", "-v"], 3001, true, None, 0, &[]),
        (
            &["-p3001", "--https", "--verbose"],
            3001,
            true,
            None,
            0,
            &[],
        ),
        (&["-Sv"], 3000, true, None, 0, &[]),
        (&["-vSp", "3001"], 3001, true, None, 0, &[]),
        (
            &["-c", "https://consul:8500"],
            3000,
            false,
            None,
            0,
            &[consul],
        ),
        (
            &["--consul-host", "consul"],
            3000,
            false,
            None,
            0,
            &[consul],
        ),
        (&["--consul-host=consul"], 3000, false, None, 0, &[consul]),
        (
            &["-r", "cache:6379", "-d", "2"],
            3000,
            false,
            redis.clone(),
            2,
            &[],
        ),
        (
            &["--redis=cache:6379", "--database=2"],
            3000,
            false,
            redis.clone(),
            2,
            &[],
        ),
        (
            &["--redis", "cache:6379", "--database", "2"],
            3000,
            false,
            redis.clone(),
            2,
            &[],
        ),
        (
            &["-r", "cache", "-c", "consul"],
            3000,
            false,
            redis.clone(),
            0,
            &[consul, name],
        ),
        (&["-rcache", "-d1"], 3000, false, redis.clone(), 1, &[name]),
        (&["-r", "redis://cache"], 3000, false, redis, 0, &[]),
    ] {
        let config = load(args, &[]).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        assert_eq!(config.listen.port(), port, "{args:?}");
        assert_eq!(config.tls != Tls::Off, https, "{args:?}");
        assert_eq!(config.warnings, warnings, "{args:?}");
        let found = config.redis.as_ref();
        assert_eq!(
            found.map(|found| found.servers[0].clone()),
            redis,
            "{args:?}"
        );
        assert_eq!(
            found.map_or(0, |found| found.database),
            database,
            "{args:?}"
        );
    }
}

#[test]
fn tls_is_as_it_was_asked_for() {
    let own = Tls::Files {
        cert: "a".into(),
        key: "b".into(),
    };
    let made = Tls::SelfSigned { folder: "c".into() };
    for (args, expected) in [
        (&["-S", "--certs", "c"][..], &made),
        (&["--cert", "a", "--key", "b"], &own),
        (&["-S", "--cert", "a", "--key", "b"], &own),
        (&["--https=false", "--cert", "a", "--key", "b"], &Tls::Off),
    ] {
        assert_eq!(&load(args, &[]).unwrap().tls, expected, "{args:?}");
    }
}

/// Its file names of the certificate and the key. If only one of the files exists, the settings
/// name both, and loading them fails.
#[test]
fn a_certificate_of_the_websocket_service_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let own = Tls::Files {
        cert: "a".into(),
        key: "b".into(),
    };
    let original = Tls::Files {
        cert: folder.path().join("server.crt"),
        key: folder.path().join("server.pem"),
    };
    let certs = ["--certs", folder.path().to_str().unwrap()];
    let tls = |more: &[&str]| load(&[&certs[..], more].concat(), &[]).unwrap().tls;
    assert!(matches!(tls(&["-S"]), Tls::SelfSigned { .. }));
    for file in ["server.crt", "server.pem"] {
        std::fs::write(folder.path().join(file), "").unwrap();
        assert_eq!(tls(&["-S"]), original, "{file}");
        assert_eq!(tls(&["-S", "--cert", "a", "--key", "b"]), own);
        assert_eq!(tls(&[]), Tls::Off);
    }
}

#[test]
fn slips_in_variables_are_warned_of_and_others_are_left_alone() {
    let env = [
        ("ROOMCAST_PROT", "5"),
        ("ROOMCAST_CI", "1"),
        ("ROOMCAST_TOKEN_BUS", "0123456789abcdef"),
        ("ROOMCAST_SERVICE_HOST", "10.0.0.1"),
        ("ROOMCAST_STATE", ""),
        ("PORT", "7"),
    ];
    let config = load(&[], &env).unwrap();
    assert_eq!(
        config.warnings,
        ["ROOMCAST_PROT means nothing here; did you mean ROOMCAST_PORT?"]
    );
    assert_eq!(config.state, PathBuf::from("state"));
}

#[test]
fn the_help_names_every_variable_and_default() {
    let (help, code) = fails(&["--help"], &[]);
    assert_eq!(code, 0);
    // As lines are wrapped, blanks are not to be relied on.
    let help: String = help.split_whitespace().collect();
    for option in &options::OPTIONS {
        let variable = format!("[env:{}]", option.variables().concat().join(","));
        assert!(help.contains(&variable), "{variable} is missing");
        if let Some(default) = option.default {
            let default: String = default.split_whitespace().collect();
            let both = format!("{variable}[default:{default}]");
            assert!(help.contains(&both), "{both} is missing");
        }
    }
}

#[test]
fn the_summary_says_what_would_run() {
    let namespaces = crate::namespaces::load(None).unwrap();
    let summary = load(&["-S"], &[]).unwrap().summary(&namespaces);
    for line in [
        "clients       https://0.0.0.0:3000, 20000 at most",
        "certificate   self-signed, in certs",
        "zetta         tcp://0.0.0.0:1234 from private and loopback addresses",
        "web pages     any origin",
        "/schedule     reserved: the station's programme schedule",
    ] {
        assert!(summary.lines().any(|l| l == line), "{summary}\nnot {line}");
    }
}
