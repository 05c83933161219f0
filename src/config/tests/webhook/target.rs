//! Tests of where the webhook door's listeners and its target can not be.

use super::*;

#[test]
fn its_ports_are_nobody_elses() {
    for (args, both) in [
        (
            &["--webhook-http", "3000"][..],
            ["--webhook-http", "--port"],
        ),
        (&["--port", "8080"], ["--port", "--webhook-ws"]),
        (
            &["--webhook-ws", "8081"],
            ["--webhook-ws", "--webhook-http"],
        ),
        (
            &["--gateway-listen", "8081"],
            ["--gateway-listen", "--webhook-http"],
        ),
        (
            &["--push", "--push-http", "8080"],
            ["--push-http", "--webhook-ws"],
        ),
    ] {
        let (found, code) = fails(&[&[TARGET], args].concat(), &[]);
        let [first, second] = both;
        assert!(found.starts_with(&format!("{first} (")), "{found}");
        assert!(found.contains(&format!(" and {second} (")), "{found}");
        assert!(found.contains("can't both listen on port"), "{found}");
        assert_eq!((found.lines().count(), code), (1, 2), "{found}");
    }
    // Where the door is off its ports are free.
    assert!(load(&["--port", "8080"], &[]).is_ok());
}

#[test]
fn a_listener_is_not_the_target_itself() {
    for (target, args, flag) in [
        ("http://localhost:3000", &["-p", "3000"][..], Some("port")),
        ("http://localhost:3000/websocket", &["-p", "3001"], None),
        ("http://LOCALHOST:3000", &["-p3000"], Some("port")),
        ("http://127.0.0.1:3000", &["-p3000"], Some("port")),
        ("http://127.8.0.1:3000", &["-p3000"], Some("port")),
        ("http://0.0.0.0:3000", &["-p3000"], Some("port")),
        ("http://localhost", &["-p", "80"], Some("port")),
        ("https://localhost", &["-p", "443"], Some("port")),
        ("https://localhost", &["-p", "80"], None),
        ("http://localhost:80", &["-p", "0"], None),
        ("http://localhost:8080", &[], Some("webhook-ws")),
        ("http://localhost:8081/x", &[], Some("webhook-http")),
        ("http://localhost:1234", &[], Some("zetta-listen")),
        ("http://localhost:1234", &["--zetta-listen=off"], None),
        (
            "http://localhost:5",
            &["--gateway-listen=5"],
            Some("gateway-listen"),
        ),
        ("http://localhost:5222", &["--push"], Some("push-ws")),
        ("http://localhost:5223", &["--push"], Some("push-http")),
        ("http://localhost:5223", &[], None),
        // IPv6, and listeners that are on one address only.
        ("http://[::1]:3000", &["-p3000"], None),
        ("http://[::1]:3000", &["-p3000", "--host=::"], Some("port")),
        ("http://[::]:3000", &["-p3000", "--host=::1"], Some("port")),
        (
            "http://127.0.0.1:3000",
            &["-p3000", "--host=::"],
            Some("port"),
        ),
        ("http://[::ffff:127.0.0.1]:3000", &["-p3000"], Some("port")),
        (
            "http://localhost:3000",
            &["-p3000", "--host=::1"],
            Some("port"),
        ),
        ("http://127.0.0.1:3000", &["-p3000", "--host=::1"], None),
        (
            "http://localhost:3000",
            &["-p3000", "--host=192.0.2.1"],
            None,
        ),
        (
            "http://192.0.2.1:3000",
            &["-p3000", "--host=192.0.2.1"],
            Some("port"),
        ),
        // Whose these are only their machines know.
        ("http://192.0.2.1:3000", &[], None),
        ("http://a.example:3000", &[], None),
    ] {
        let args = [&["--target-address", target], args].concat();
        let Some(flag) = flag else {
            let config = load(&args, &[]);
            assert!(config.is_ok(), "{args:?}: {config:?}");
            continue;
        };
        let (found, code) = fails(&args, &[]);
        assert!(
            found.starts_with(&format!("--{flag} (")),
            "{args:?}: {found}"
        );
        let words = format!("points: choose another --{flag}");
        assert!(found.ends_with(&words), "{args:?}: {found}");
        assert_eq!((found.lines().count(), code), (1, 2), "{found}");
    }
}

/// The backend of a target on this machine has the default port: the main port moves.
#[test]
fn the_main_port_makes_room_for_the_backend_unless_it_was_chosen() {
    for (target, args, port) in [
        ("http://localhost:3000/websocket", &[][..], 3001),
        ("http://127.8.0.1:3000", &[], 3001),
        ("http://0.0.0.0:3000", &[], 3001),
        ("http://[::1]:3000", &[], 3001),
        ("http://localhost:3000", &["--host=127.0.0.1"], 3001),
        ("http://localhost:3000", &["--gateway-listen=3001"], 3002),
        ("http://localhost:3000", &["--push", "--push-ws=3001"], 3002),
        ("http://localhost:3001", &[], 3000),
        ("http://192.0.2.1:3000", &[], 3000),
        ("http://a.example:3000", &[], 3000),
        ("http://localhost:3000", &["-p3005"], 3005),
    ] {
        let args = [&["--target-address", target], args].concat();
        let config = load(&args, &[]).unwrap();
        assert_eq!(config.listen.port(), port, "{args:?}");
        let moved = (port == 3001 || port == 3002).then_some(3000);
        assert_eq!(config.backend_port, moved, "{args:?}");
    }
}

#[test]
fn the_message_says_which_listener_and_which_target() {
    let target = "http://localhost:3000/websocket?hunter2";
    let expected = "ROOMCAST_PORT: --port (0.0.0.0:3000) is where --target-address \
                    (http://localhost:3000/websocket?...) points: choose another --port";
    let given = [("TARGET_ADDRESS", target), ("ROOMCAST_PORT", "3000")];
    assert_eq!(fails(&[], &given), (expected.to_owned(), 2));
}
