//! Tests of aliases: the variables of programs that roomcast stands in for.

use super::*;

#[test]
fn an_alias_comes_after_our_own_variable_and_before_the_file() {
    let file = file("push = true\npush-http = 1");
    let [own, alias] = ["ROOMCAST_PUSH_HTTP", "PORT_HTTP"];
    let both = [(own, "3"), (alias, "2")];
    for (flags, env, port) in [
        (&["--push-http", "4"][..], &both[..], 4),
        (&[], &both, 3),
        (&[], &both[1..], 2),
        // An empty one counts as not set.
        (&[], &[(own, ""), (alias, "2")], 2),
        (&[], &[(own, ""), (alias, "")], 1),
        (&["--push-http", "4"], &[], 4),
    ] {
        let args = [&["--config", &file.path], flags].concat();
        let push = load(&args, env).unwrap().push.unwrap();
        assert_eq!(push.http.port(), port, "{flags:?} {env:?}");
    }
    let push = load(&["--push"], &[(alias, "")]).unwrap().push.unwrap();
    assert_eq!(push.http.port(), 5223);
}

#[test]
fn what_is_wrong_names_the_variable_that_was_set() {
    for (env, message) in [
        (
            &[("PORT_HTTP", "70000")][..],
            "PORT_HTTP: `70000` is neither a port",
        ),
        (
            &[("ROOMCAST_PUSH_HTTP", "x"), ("PORT_HTTP", "70000")],
            "ROOMCAST_PUSH_HTTP: `x` is neither a port",
        ),
        (
            &[("PORT_WS", "3000")],
            "PORT_WS: --push-ws (0.0.0.0:3000) and --port (0.0.0.0:3000)",
        ),
        (
            &[("PORT_WS", "tcp://10.0.0.1:80")],
            "turn enableServiceLinks off",
        ),
    ] {
        let (found, code) = fails(&["--push"], env);
        assert!(found.contains(message), "{found}\nnot {message}");
        assert_eq!((found.lines().count(), code), (1, 2), "{found}");
    }
}

#[test]
fn every_variable_sets_one_option_and_only_ours_begin_as_ours_do() {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut aliases = 0;
    for option in &options::OPTIONS {
        for (n, variable) in option.variables().into_iter().enumerate() {
            aliases += n;
            for name in variable {
                assert_eq!(name.starts_with(opt::PREFIX), n == 0, "{name}");
                assert!(!tokens::is_one(&name), "{name} is a namespace's");
                let other = seen.insert(name.clone(), option.name);
                assert_eq!(other, None, "{name} is of {} as well", option.name);
            }
        }
    }
    assert!(aliases > 0);
}

#[test]
fn aliases_are_no_slips_and_slips_in_them_are_left_alone() {
    let env = [
        ("PORT_HTTP", "1"),
        ("PUSH_KEY_FILE", "x"),
        ("PORT_HTP", "1"),
        ("PUSH_KYE", "x"),
        ("ROOMCAST_PORT_HTTP", "1"),
        ("ROOMCAST_PUSH_HTP", "1"),
        ("ROOMCAST_PUSH_KEY_FIEL", "x"),
    ];
    assert_eq!(
        load(&[], &env).unwrap().warnings,
        [
            "ROOMCAST_PUSH_HTP means nothing here; did you mean ROOMCAST_PUSH_HTTP?",
            "ROOMCAST_PUSH_KEY_FIEL means nothing here; did you mean ROOMCAST_PUSH_KEY_FILE?",
        ]
    );
}
