//! Tests of Redis's password: where it may stand, and that it is not repeated.

use super::*;

#[test]
fn the_password_is_a_secret_in_the_url_or_an_option() {
    let folder = tempfile::tempdir().unwrap();
    let [password, windows, url] = ["password", "windows", "url"].map(|name| {
        let path = folder.path().join(name);
        path.to_str().unwrap().to_owned()
    });
    fs::write(&password, format!("{SECRET}\n")).unwrap();
    fs::write(&windows, format!("{SECRET}\r\n")).unwrap();
    fs::write(&url, format!("{CODED}\n")).unwrap();
    for file in [&password, &windows, &url] {
        set_mode(file.as_ref(), 0o600);
    }
    let in_config = file(&format!(
        "redis = \"a.example\"\nredis-password = \"{SECRET}\""
    ));
    for (args, env, seen) in [
        (&["--redis", CODED][..], &[][..], vec!["redis"]),
        (
            &["--redis=a.example", "--redis-password", SECRET],
            &[],
            vec!["redis-password"],
        ),
        (
            &["--redis", CODED, "--redis-password", SECRET],
            &[],
            vec!["redis", "redis-password"],
        ),
        (
            &["--redis=a.example"],
            &[("ROOMCAST_REDIS_PASSWORD", SECRET)],
            vec![],
        ),
        (
            &["--redis=a.example"],
            &[("ROOMCAST_REDIS_PASSWORD_FILE", &password)],
            vec![],
        ),
        (
            &["--redis=me@a"],
            &[("ROOMCAST_REDIS_PASSWORD_FILE", &windows)],
            vec![],
        ),
        (&[], &[("ROOMCAST_REDIS", CODED)], vec![]),
        (&[], &[("ROOMCAST_REDIS_FILE", &url)], vec![]),
        (&["--config", &in_config.path], &[], vec![]),
    ] {
        assert_eq!(revealed(&redis(args, env)), Some(SECRET), "{args:?}");
        let config = load(args, env).unwrap();
        let flags = config.warnings.iter().map(|text| {
            let (flag, _) = text.split_once(' ').unwrap();
            flag.trim_start_matches("--")
        });
        assert_eq!(flags.collect::<Vec<_>>(), seen, "{args:?}");
        let shown = format!("{config:?} {} {:?}", config.summary(&[]), config.warnings);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    // What is no newline at the end belongs to it.
    let blanks = [("ROOMCAST_REDIS_PASSWORD", " a b ")];
    assert_eq!(revealed(&redis(&["-ra"], &blanks)), Some(" a b "));
}

#[test]
fn what_is_wrong_is_said_at_once_and_the_password_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hunter2");
    fs::write(&path, "hunter2\nhunter2\n").unwrap();
    let path = path.to_str().unwrap();
    let filed = file("redis = \"http://:hunter2@a\"");
    let [variable, by_file] = ["ROOMCAST_REDIS_PASSWORD", "ROOMCAST_REDIS_PASSWORD_FILE"];
    for (args, env, messages) in [
        (
            &["--redis=redis://me:hunter2@a:x", "-dx"][..],
            &[(variable, "hunter2\t")][..],
            &[
                "--redis: it is no URL of Redis",
                "--redis-database: it is not a whole number",
                "ROOMCAST_REDIS_PASSWORD: a password is one line",
            ][..],
        ),
        (
            &[],
            &[("ROOMCAST_REDIS", "redis://me:hunter2@@a")],
            &["ROOMCAST_REDIS: an @ stands once"],
        ),
        (
            &[],
            &[("ROOMCAST_REDIS_FILE", "redis://me:hunter2@a")],
            &["ROOMCAST_REDIS_FILE: the file can't be read"],
        ),
        (
            &[],
            &[("ROOMCAST_REDIS", CODED), ("ROOMCAST_REDIS_FILE", path)],
            &["ROOMCAST_REDIS_FILE: --redis comes from ROOMCAST_REDIS as well"],
        ),
        (
            &["--config", &filed.path],
            &[],
            &[":1: redis: a URL of Redis begins with redis://"],
        ),
        (
            &["--redis=a.example"],
            &[(by_file, path)],
            &["ROOMCAST_REDIS_PASSWORD_FILE: a password is one line"],
        ),
        (
            &["--redis=a.example"],
            &[(variable, "")],
            &["ROOMCAST_REDIS_PASSWORD: it is set to nothing"],
        ),
        (
            &["--redis", CODED],
            &[(variable, "hunter23")],
            &["ROOMCAST_REDIS_PASSWORD: --redis-password is not the password in --redis"],
        ),
        // Most likely the password, where the user stands.
        (
            &["--redis=hunter2@a"],
            &[],
            &["--redis has a user, and there is no password: set ROOMCAST_REDIS_PASSWORD;"],
        ),
        (
            &["--redis=hunter2@a"],
            &[(by_file, path)],
            &["ROOMCAST_REDIS_PASSWORD_FILE: a password is one line"],
        ),
        // The URL where the number stands.
        (
            &["--redis=a.example", "-d", CODED],
            &[],
            &["--redis-database: it is not a whole number"],
        ),
        (&["--rediss", CODED], &[], &["--rediss"]),
        (&["--redis", CODED, "-r", CODED], &[], &["--redis"]),
        (
            &["--redis=a.example", "--redis-ca=ca.pem"],
            &[],
            &["--redis-ca is for TLS, and --redis is without: write rediss://"],
        ),
    ] {
        let error = load(args, env).unwrap_err();
        let said = error.to_string();
        for message in messages {
            assert!(said.contains(message), "{said}\nnot {message}");
        }
        if let ConfigError::Settings(Problems(all)) = &error {
            assert_eq!(all.len(), messages.len(), "{said}");
        }
        for said in [said, format!("{error:?}")] {
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
