//! Tests of secrets: the tokens of namespaces, and options that are one.

use super::*;

/// Long enough for a token.
const KEY: &str = "0123456789abcdef";

/// What a file says.
const FILED: &str = "fedcba9876543210";

#[test]
fn tokens_come_from_the_environment_or_from_files_and_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "fedcba9876543210\n").unwrap();
    let file = file.to_str().unwrap();
    let env = [
        ("ROOMCAST_TOKEN_BUS", "0123456789abcdef"),
        ("ROOMCAST_TOKEN_NOW_PLAYING_FILE", file),
    ];
    let tokens = load(&[], &env).unwrap().tokens;
    let names: Vec<_> = tokens.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["/bus", "/now-playing"]);
    let fits = |name: &str, token: &str| tokens[name].is(token);
    assert!(fits("/bus", "0123456789abcdef"));
    assert!(fits("/now-playing", "fedcba9876543210"));
    for (name, value, words) in [
        ("ROOMCAST_TOKEN_BUS", "hunter2", "16 characters"),
        ("ROOMCAST_TOKEN_BUS", "hunter2hunter2 hunter2", "no blanks"),
        (
            "ROOMCAST_TOKEN_BUS_FILE",
            "hunter2hunter2hunter2",
            "can't be read",
        ),
        ("ROOMCAST_TOKEN_", "0123456789abcdef", "a-z, 0-9"),
    ] {
        let error = load(&[], &[(name, value)]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{name}");
        let said = error.to_string();
        assert!(said.contains(name) && said.contains(words), "{said}");
        assert!(!said.contains("hunter2hunter2"), "{said}");
    }
}

#[test]
fn a_namespace_has_one_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "fedcba9876543210\n").unwrap();
    let variables = ["ROOMCAST_TOKEN_BUS", "ROOMCAST_TOKEN_BUS_FILE"];
    let env = [
        (variables[0], "0123456789abcdef"),
        (variables[1], file.to_str().unwrap()),
    ];
    let error = load(&[], &env).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let said = error.to_string();
    for name in variables {
        // The one is a part of the other.
        let mut words = said.split([' ', ':']);
        assert!(words.any(|word| word == name), "{name} is not in: {said}");
    }
}

#[test]
fn a_secret_is_a_value_or_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, format!("{FILED}\n")).unwrap();
    let path = path.to_str().unwrap();
    let config = file(&format!("push-key = \"{KEY}\""));
    let in_config = ["--config", &config.path];
    let wrong = "/nowhere/key";
    for (args, env, key) in [
        (&["--push-key", KEY][..], &[][..], KEY),
        (&in_config, &[], KEY),
        (&[], &[("ROOMCAST_PUSH_KEY", KEY)], KEY),
        (&[], &[("ROOMCAST_PUSH_KEY_FILE", path)], FILED),
        (&[], &[("PUSH_KEY", KEY)], KEY),
        (&[], &[("PUSH_KEY_FILE", path)], FILED),
        // The order is that of all options, and what does not count is not read.
        (&in_config, &[("PUSH_KEY_FILE", path)], FILED),
        (
            &[],
            &[("ROOMCAST_PUSH_KEY_FILE", path), ("PUSH_KEY", KEY)],
            FILED,
        ),
        (
            &[],
            &[("ROOMCAST_PUSH_KEY", KEY), ("PUSH_KEY_FILE", wrong)],
            KEY,
        ),
        (
            &["--push-key", KEY],
            &[("ROOMCAST_PUSH_KEY_FILE", wrong)],
            KEY,
        ),
        (
            &[],
            &[("ROOMCAST_PUSH_KEY_FILE", ""), ("PUSH_KEY", KEY)],
            KEY,
        ),
    ] {
        let args = [&["--push"], args].concat();
        let push = load(&args, env).unwrap().push.unwrap();
        assert!(push.key.unwrap().is(key), "{args:?} {env:?}");
    }
}

#[test]
fn a_secret_is_not_set_by_value_and_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, FILED).unwrap();
    for name in ["ROOMCAST_PUSH_KEY", "PUSH_KEY"] {
        let by_file = format!("{name}_FILE");
        let env = [(name, KEY), (&by_file, path.to_str().unwrap())];
        let expected = format!("{by_file}: --push-key comes from {name} as well: set one of them");
        assert_eq!(fails(&["--push"], &env), (expected, 2));
    }
}

#[test]
fn a_secret_is_never_repeated() {
    // Wrong as a key, each for another reason, and what they all have in common.
    let (short, blank, secret) = ("hunter2", "hunter2 hunter2 hunter2", "hunter2");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, blank).unwrap();
    let path = path.to_str().unwrap();
    let text = file("push-key = \"hunter2\"");
    let bare = file("push-key = hunter2");
    let list = file("push-key = [\"hunter2\"]");
    let from = |file: &File| file.path.clone();
    let (text, bare, list) = (
        (from(&text), text),
        (from(&bare), bare),
        (from(&list), list),
    );
    for (args, env, words) in [
        (&["--push-key", short][..], &[][..], "--push-key: a token"),
        (&["--push-key", blank], &[], "no blanks"),
        (&["--push-kye=hunter2"], &[], "--push-kye"),
        (
            &["--push-key=hunter2", "--push-key=hunter2"],
            &[],
            "--push-key",
        ),
        (&["--config", &text.0], &[], "16 characters"),
        (&["--config", &bare.0], &[], "not TOML"),
        (&["--config", &list.0], &[], "expected a string"),
        (&[], &[("ROOMCAST_PUSH_KEY", short)], "ROOMCAST_PUSH_KEY: "),
        (&[], &[("PUSH_KEY", blank)], "PUSH_KEY: "),
        (&[], &[("PUSH_KEY_FILE", path)], "PUSH_KEY_FILE: a token"),
        // The secret itself where the path of its file should be.
        (
            &[],
            &[("ROOMCAST_PUSH_KEY_FILE", short)],
            "ROOMCAST_PUSH_KEY_FILE: the file can't be read",
        ),
    ] {
        let args = [&["--push"], args].concat();
        let error = load(&args, env).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(words), "{said}\nnot {words}");
        assert!(!said.contains(secret), "{said}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    let config = load(&["--push", "--push-key", KEY], &[]).unwrap();
    for shown in [format!("{config:?}"), config.summary(&[])] {
        assert!(!shown.contains(KEY), "{shown}");
    }
}

/// The warning contains neither the path nor the content of a secret's file.
#[test]
fn secret_files_that_other_users_can_read_cause_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let secret = folder.path().join("secret");
    fs::write(&secret, KEY).unwrap();
    let path = secret.to_str().unwrap();
    let secrets = file("push = true\npush-key = \"0123456789abcdef\"");
    let password = file("redis = \"redis://a:hunter2@a.example\"");
    let plain = file("port = 3");
    // The file, the options and variables that name it, and its name in the warning.
    type Case<'a> = (
        &'a Path,
        &'a [&'a str],
        &'a [(&'a str, &'a str)],
        Option<&'a str>,
    );
    let cases: &[Case<'_>] = &[
        (
            &secret,
            &[],
            &[("ROOMCAST_TOKEN_BUS_FILE", path)],
            Some("ROOMCAST_TOKEN_BUS_FILE"),
        ),
        (
            &secret,
            &["--push"],
            &[("PUSH_KEY_FILE", path)],
            Some("PUSH_KEY_FILE"),
        ),
        (
            &secret,
            &["--cert", "c", "--key", path],
            &[],
            Some("the private key of TLS"),
        ),
        (
            secrets.path.as_ref(),
            &["--config", &secrets.path],
            &[],
            Some(&secrets.path),
        ),
        (
            password.path.as_ref(),
            &["--config", &password.path],
            &[],
            Some(&password.path),
        ),
        (plain.path.as_ref(), &["--config", &plain.path], &[], None),
    ];
    for (exposed, options, env, what) in cases {
        set_mode(exposed.parent().unwrap(), 0o755);
        for (mode, is_said) in [(0o644, true), (0o640, true), (0o600, false)] {
            set_mode(exposed, mode);
            let warnings = load(options, env).unwrap().warnings.concat();
            let said = what.filter(|_| is_said).map_or(String::new(), |what| {
                format!(
                    "{what}: other users of this machine can read the file (mode {mode:04o}): \
                     make it readable to the server's user only, with chmod 600"
                )
            });
            assert_eq!(warnings, said, "{options:?} {env:?}");
        }
    }
}
