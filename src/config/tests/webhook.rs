//! Tests of the webhook door's settings.

mod target;

use super::*;

/// A backend where none of our listeners is.
const TARGET: &str = "--target-address=http://localhost:5000/websocket";

/// Long enough for a token.
const KEY: &str = "0123456789abcdef";

/// 24 bytes.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

fn webhook(args: &[&str], env: &[(&str, &str)]) -> Webhook {
    let config = load(args, env).unwrap();
    let is_other = |text: &&String| !text.contains("is not of this machine");
    let other: Vec<_> = config.warnings.iter().filter(is_other).collect();
    assert!(other.is_empty(), "{other:?}");
    config.webhook.unwrap()
}

#[test]
fn it_is_off_unless_there_is_a_target() {
    assert_eq!(load(&[], &[]).unwrap().webhook, None);
    let defaults = Webhook {
        target: "http://localhost:5000/websocket".parse().unwrap(),
        ws: "0.0.0.0:8080".parse().unwrap(),
        http: "127.0.0.1:8081".parse().unwrap(),
        local_address: None,
        is_wsaas: true,
        timeout: Some(Duration::from_secs(30)),
        message_most: 131_071,
        retry: Duration::from_secs(30),
        ca: None,
        key: None,
        secret: None,
    };
    assert_eq!(webhook(&[TARGET], &[]), defaults);
    let variable = ("TARGET_ADDRESS", "http://localhost:5000/websocket");
    assert_eq!(webhook(&[], &[variable]), defaults);
    let elsewhere = Webhook {
        target: "https://a.example/".parse().unwrap(),
        ws: "127.0.0.1:0".parse().unwrap(),
        http: "0.0.0.0:1".parse().unwrap(),
        local_address: Some("https://b.example/rest".to_owned()),
        is_wsaas: false,
        timeout: Some(Duration::from_millis(600_000)),
        message_most: 4 * 1024 * 1024,
        retry: Duration::from_secs(120),
        ca: Some("ca.pem".into()),
        key: Some(Token::parse(KEY).unwrap()),
        secret: Some(SECRET.parse().unwrap()),
    };
    let key = format!("--webhook-key={KEY}");
    let secret = format!("--webhook-secret={SECRET}");
    let args = [
        "--target-address=https://a.example",
        "--webhook-style=rest",
        "--webhook-ws=localhost:0",
        "--webhook-http=1",
        "--local-address=https://b.example/rest/",
        "--ws-timeout=600000",
        "--max-page=128",
        "--webhook-retry=2m",
        "--target-ca=ca.pem",
        &key,
        &secret,
    ];
    assert_eq!(webhook(&args, &[]), elsewhere);
}

#[test]
fn its_aliases_come_after_our_own_variables() {
    let aliases = [
        ("TARGET_ADDRESS", "http://a.example/"),
        ("WS_PORT", "1"),
        ("HTTP_PORT", "2"),
        ("LOCAL_ADDRESS", "http://b.example"),
        ("WS_TIMEOUT", "1000"),
        ("MAX_PAGE", "2"),
    ];
    let own = [
        ("ROOMCAST_TARGET_ADDRESS", "http://c.example/"),
        ("ROOMCAST_WEBHOOK_WS", "3"),
        ("ROOMCAST_WEBHOOK_HTTP", "4"),
        ("ROOMCAST_LOCAL_ADDRESS", "http://d.example"),
        ("ROOMCAST_WS_TIMEOUT", "2000"),
        ("ROOMCAST_MAX_PAGE", "3"),
    ];
    let both = [aliases, own].concat();
    for (env, expected) in [
        (
            &aliases[..],
            ("http://a.example/", 1, 2, "http://b.example", 1000, 65_535),
        ),
        (
            &both,
            ("http://c.example/", 3, 4, "http://d.example", 2000, 98_303),
        ),
    ] {
        let found = webhook(&[], env);
        let target = found.target.to_string();
        let (ws, http) = (found.ws.port(), found.http.port());
        let (base, timeout) = (
            found.local_address.as_deref().unwrap_or_default(),
            found.timeout.unwrap().as_millis(),
        );
        let most = found.message_most;
        assert_eq!((&*target, ws, http, base, timeout, most), expected);
    }
}

/// The environment that WSAAS documents, with both limits turned off.
#[test]
fn the_documented_environment_works_as_it_is() {
    let documented = [
        ("TARGET_ADDRESS", "http://localhost:3000/websocket"),
        ("LOCAL_ADDRESS", "localhost:8081"),
        ("WS_TIMEOUT", "0"),
        ("MAX_PAGE", "0"),
    ];
    let config = load(&[], &documented).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:3001");
    let moved = "main port     port 3000 is the backend's, Socket.IO on 3001\n";
    let summary = config.summary(&[]);
    assert!(summary.contains(moved), "{summary}");
    let webhook = config.webhook.unwrap();
    let local_address = webhook.local_address.as_deref();
    assert_eq!(local_address, Some("http://localhost:8081"));
    assert_eq!((webhook.timeout, webhook.message_most), (None, 4_194_303));
}

#[test]
fn what_means_nothing_without_a_target_is_warned_of_but_for_aliases() {
    let args = ["--webhook-key", "x", "--webhook-http", "0.0.0.0:1"];
    let own = [("ROOMCAST_WEBHOOK_SECRET_FILE", "/nowhere")];
    let others = [
        ("TARGET_ADDRESS", ""),
        ("WS_PORT", "3000"),
        ("HTTP_PORT", "tcp://10.0.0.1:80"),
        ("LOCAL_ADDRESS", "x"),
        ("WS_TIMEOUT", "x"),
        ("MAX_PAGE", "0"),
    ];
    let file = file("max-page = 0\nws-timeout = 0");
    let of_file = &file.path;
    for (args, env, warnings) in [
        (
            &args[..],
            &own[..],
            vec![
                "--webhook-http means nothing without --target-address".to_owned(),
                "--webhook-key means nothing without --target-address".to_owned(),
                "ROOMCAST_WEBHOOK_SECRET_FILE: --webhook-secret means nothing without \
                 --target-address"
                    .to_owned(),
            ],
        ),
        (
            &["--config", of_file],
            &[],
            vec![
                format!("{of_file}:2: --ws-timeout means nothing without --target-address"),
                format!("{of_file}:1: --max-page means nothing without --target-address"),
            ],
        ),
        // Another program may have set them, to anything.
        (&[], &others, vec![]),
    ] {
        let config = load(args, env).unwrap();
        assert_eq!(config.webhook, None);
        assert_eq!(config.warnings, warnings);
    }
}

#[test]
fn without_a_key_the_rest_side_is_for_this_machine_alone() {
    let keyed = ["--webhook-key", KEY];
    for (wanted, without, with) in [
        ("9", Some("127.0.0.1:9"), "0.0.0.0:9"),
        (":9", Some("127.0.0.1:9"), "0.0.0.0:9"),
        ("127.0.0.1:9", Some("127.0.0.1:9"), "127.0.0.1:9"),
        ("127.8.0.1:9", Some("127.8.0.1:9"), "127.8.0.1:9"),
        ("localhost:9", Some("127.0.0.1:9"), "127.0.0.1:9"),
        ("[::1]:9", Some("[::1]:9"), "[::1]:9"),
        (
            "[::ffff:127.0.0.1]:9",
            Some("[::ffff:127.0.0.1]:9"),
            "[::ffff:127.0.0.1]:9",
        ),
        ("0.0.0.0:9", None, "0.0.0.0:9"),
        ("[::]:9", None, "[::]:9"),
        ("10.0.0.1:9", None, "10.0.0.1:9"),
    ] {
        let args = [TARGET, "--webhook-http", wanted];
        match without {
            Some(address) => assert_eq!(webhook(&args, &[]).http.to_string(), address),
            None => {
                let expected = format!(
                    "--webhook-http ({wanted}) is not for this machine alone, and needs \
                     --webhook-key"
                );
                assert_eq!(fails(&args, &[]), (expected, 2));
            }
        }
        let found = webhook(&[&args[..], &keyed].concat(), &[]);
        assert_eq!(found.http.to_string(), with);
        assert_eq!(found.local_address, None);
    }
    // A key that is wrong was meant to be one: nothing more is said.
    let args = [TARGET, "--webhook-http=0.0.0.0:9", "--webhook-key=short"];
    let (found, _) = fails(&args, &[]);
    assert!(found.starts_with("--webhook-key: a token"), "{found}");
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn what_is_wrong_is_said_at_once_and_secrets_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "whsec_hunter2\n").unwrap();
    let path = path.to_str().unwrap();
    for (args, env, messages) in [
        (
            &["--target-address=http://me:hunter2@a.example"][..],
            &[("MAX_PAGE", "129"), ("WS_TIMEOUT", "99")][..],
            &[
                "--target-address: a URL takes no user:password@",
                "WS_TIMEOUT: `99` is not a whole number of milliseconds from 100 to 600000",
                "MAX_PAGE: `129` is not a whole number of pages from 0 to 128",
            ][..],
        ),
        (
            &[TARGET, "--webhook-retry=2d", "--max-page=x"],
            &[("LOCAL_ADDRESS", "http://hunter2@localhost")],
            &[
                "LOCAL_ADDRESS: a URL takes no user:password@",
                "--webhook-retry: `2d` is no time span",
                "--max-page: `x` is not",
            ],
        ),
        (
            &[TARGET, "--webhook-key=hunter2"],
            &[("ROOMCAST_WEBHOOK_SECRET", "hunter2")],
            &[
                "--webhook-key: a token has",
                "ROOMCAST_WEBHOOK_SECRET: a signing secret begins with whsec_",
            ],
        ),
        (
            &[TARGET],
            &[("ROOMCAST_WEBHOOK_SECRET_FILE", path)],
            &["ROOMCAST_WEBHOOK_SECRET_FILE: a signing secret is base64"],
        ),
        (
            &[],
            &[("TARGET_ADDRESS", "localhost:3000?hunter2")],
            &["TARGET_ADDRESS: it is no URL"],
        ),
    ] {
        let error = load(args, env).unwrap_err();
        let said = error.to_string();
        for message in messages {
            assert!(said.contains(message), "{said}\nnot {message}");
        }
        assert_eq!(said.lines().count(), messages.len(), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    fs::write(path, format!("{SECRET}\n")).unwrap();
    let env = [("ROOMCAST_WEBHOOK_SECRET_FILE", path)];
    let config = load(&[TARGET, "--webhook-key", KEY], &env).unwrap();
    for shown in [format!("{config:?}"), config.summary(&[])] {
        assert!(!shown.contains(KEY) && !shown.contains(SECRET), "{shown}");
    }
    let found = config.webhook.unwrap().secret.unwrap();
    assert_eq!(found.bytes(), b"0123456789abcdef01234567");
}

#[test]
fn the_summary_says_who_reaches_it_and_what_is_signed() {
    let secret = ["--webhook-secret", SECRET, "--webhook-key", KEY];
    let query = "--target-address=https://a.example/x?token=hunter2";
    for (args, expected) in [
        (
            &[TARGET][..],
            "http://localhost:5000/websocket, clients at ws://0.0.0.0:8080, \
             REST at http://127.0.0.1:8081 (this machine only), not signed",
        ),
        (
            &[&[query][..], &secret].concat(),
            "https://a.example/x?..., clients at ws://0.0.0.0:8080, \
             REST at http://0.0.0.0:8081 (key needed), signed",
        ),
    ] {
        let summary = load(args, &[]).unwrap().summary(&[]);
        let line = summary.lines().find(|line| line.starts_with("webhook "));
        let text = line.unwrap().trim_start_matches("webhook").trim_start();
        assert_eq!(text, expected);
    }
    let off = load(&[], &[]).unwrap().summary(&[]);
    assert!(!off.contains("webhook"), "{off}");
}

#[test]
fn a_backend_elsewhere_needs_a_way_to_the_rest_side() {
    let key = "--webhook-key=0123456789abcdef";
    for (args, warned) in [
        (&["--local-address=http://gw.example:8081"][..], true),
        (&["--local-address=http://gw.example:8081", key], false),
        (&["--local-address=http://localhost:1"], false),
        (&["--local-address=http://[::1]:1"], false),
        (&["--local-address=http://127.0.0.2"], false),
        (&[], false),
    ] {
        let found = load(&[&[TARGET], args].concat(), &[]).unwrap();
        let warning = "is not of this machine";
        let is_warned = found.warnings.iter().any(|text| text.contains(warning));
        assert_eq!(is_warned, warned, "{args:?}: {:?}", found.warnings);
    }
}
