//! Tests of the push door's settings.

use super::*;

/// Long enough for a token.
const KEY: &str = "0123456789abcdef";

#[test]
fn it_is_off_unless_it_is_asked_for() {
    for args in [&[][..], &["--push=false"], &["--push=off", "check"]] {
        assert_eq!(load(args, &[]).unwrap().push, None, "{args:?}");
    }
    let push = Push {
        http: "0.0.0.0:5223".parse().unwrap(),
        ws: "0.0.0.0:5222".parse().unwrap(),
        key: None,
        rate: 1000,
    };
    // A port alone means every address, whatever --host says, as for the gateway.
    for args in [&["--push"][..], &["--push", "--host", "127.0.0.1"]] {
        let config = load(args, &[]).unwrap();
        assert_eq!(config.push.as_ref(), Some(&push), "{args:?}");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
    let elsewhere = Push {
        http: "127.0.0.1:0".parse().unwrap(),
        ws: "[::1]:1".parse().unwrap(),
        key: Some(Token::parse(KEY).unwrap()),
        rate: 100_000,
    };
    let args = [
        "--push",
        "--push-http=localhost:0",
        "--push-ws=[::1]:1",
        "--push-key=0123456789abcdef",
        "--push-rate=100000",
    ];
    assert_eq!(load(&args, &[]).unwrap().push, Some(elsewhere));
}

#[test]
fn what_means_nothing_without_it_is_warned_of_but_for_aliases() {
    let file = file("\npush-ws = 1\npush-rate = 0");
    let (in_file, of_file) = (["--config", &file.path], &file.path);
    for (args, env, warnings) in [
        (
            &["--push-http", "x", "--push-key", "x"][..],
            &[][..],
            vec![
                "--push-http means nothing without --push".to_owned(),
                "--push-key means nothing without --push".to_owned(),
            ],
        ),
        (
            &in_file,
            &[],
            vec![
                format!("{of_file}:2: --push-ws means nothing without --push"),
                format!("{of_file}:3: --push-rate means nothing without --push"),
            ],
        ),
        (
            &[],
            &[("ROOMCAST_PUSH_KEY_FILE", "/nowhere/key")],
            vec!["ROOMCAST_PUSH_KEY_FILE: --push-key means nothing without --push".to_owned()],
        ),
        // Another program may have set them, to anything.
        (
            &[],
            &[
                ("PORT_HTTP", "tcp://10.0.0.1:80"),
                ("PORT_WS", "3000"),
                ("PUSH_KEY", "x"),
                ("PUSH_KEY_FILE", "/nowhere/key"),
            ],
            vec!["PORT_HTTP and PORT_WS mean nothing without --push".to_owned()],
        ),
        (&[], &[("PORT_HTTP", "3000"), ("PUSH_KEY", "x")], vec![]),
    ] {
        let config = load(args, env).unwrap();
        assert_eq!(config.push, None);
        assert_eq!(config.warnings, warnings);
    }
}

#[test]
fn a_rate_is_a_whole_number_in_bounds() {
    for rate in ["0", "100001", "-1", "1.5", "many"] {
        let (found, code) = fails(&["--push", &format!("--push-rate={rate}")], &[]);
        let expected = format!("--push-rate: `{rate}` is not a whole number from 1 to 100000");
        assert_eq!((found, code), (expected, 2));
    }
}

#[test]
fn its_ports_are_nobody_elses() {
    for (args, both) in [
        (&["--push-http", "3000"][..], ["--push-http", "--port"]),
        (&["--port", "5222"], ["--port", "--push-ws"]),
        (&["--push-ws", "5223"], ["--push-ws", "--push-http"]),
        (
            &["--zetta-listen", "5223"],
            ["--zetta-listen", "--push-http"],
        ),
        (
            &["--gateway-listen", "127.0.0.1:5222"],
            ["--gateway-listen", "--push-ws"],
        ),
    ] {
        let (found, code) = fails(&[&["--push"], args].concat(), &[]);
        let [first, second] = both;
        assert!(found.starts_with(&format!("{first} (")), "{found}");
        assert!(found.contains(&format!(" and {second} (")), "{found}");
        assert!(found.contains("can't both listen on port"), "{found}");
        assert_eq!((found.lines().count(), code), (1, 2), "{found}");
    }
    // Where the door is off its ports are free.
    for args in [&["--port", "5222"][..], &["--push", "--push-ws", "5224"]] {
        assert!(load(args, &[]).is_ok(), "{args:?}");
    }
}

#[test]
fn the_summary_says_who_creates_channels() {
    let rate = "1000 requests per second from one address at most";
    let open = "channels are created from private addresses only";
    for (args, who) in [(&[][..], open), (&["--push-key", KEY], "key needed")] {
        let config = load(&[&["--push"], args].concat(), &[]).unwrap();
        let summary = config.summary(&[]);
        for line in [
            format!("push http     0.0.0.0:5223, {who}, {rate}"),
            "push ws       0.0.0.0:5222".to_owned(),
        ] {
            assert!(summary.lines().any(|l| l == line), "{summary}\nnot {line}");
        }
    }
    let off = load(&[], &[]).unwrap().summary(&[]);
    assert!(!off.contains("push"), "{off}");
}

#[test]
fn a_key_that_is_set_to_nothing_is_no_open_door() {
    for variable in ["PUSH_KEY", "ROOMCAST_PUSH_KEY", "PUSH_KEY_FILE"] {
        let (found, code) = fails(&["--push"], &[(variable, "")]);
        let expected =
            format!("{variable}: it is set to nothing, and --push-key is a secret: unset it");
        assert_eq!((found, code), (expected, 2));
        let with_other = [(variable, ""), ("ROOMCAST_PUSH_RATE", "")];
        assert!(
            load(&[], &with_other).is_ok(),
            "{variable}: the door is off"
        );
        assert!(load(&["--push", "--push-key", KEY], &with_other).is_ok());
    }
}
