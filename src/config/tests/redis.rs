//! Tests of the settings of Redis.

mod password;

use super::*;

/// A password that has to be written otherwise in a URL.
const SECRET: &str = "hunter2/@";

/// The same in a URL.
const CODED: &str = "redis://me:hunter2%2F%40@a.example";

/// What the list of processes shows is warned of.
const SEEN: &str = "shows a password to everybody on this machine";

/// The end of the warning for a single word.
const NAME: &str = "is taken as the host of Redis";

fn redis(args: &[&str], env: &[(&str, &str)]) -> Redis {
    let config = load(args, env).unwrap();
    let is_other = |text: &&String| !text.contains(SEEN) && !text.contains(NAME);
    let other: Vec<_> = config.warnings.iter().filter(is_other).collect();
    assert!(other.is_empty(), "{other:?}");
    config.redis.unwrap()
}

fn revealed(redis: &Redis) -> Option<&str> {
    redis.password.as_ref().map(RedisPassword::reveal)
}

#[test]
fn a_node_is_alone_unless_it_is_told_of_redis() {
    let empty = [("ROOMCAST_REDIS", ""), ("ROOMCAST_REDIS_FILE", "")];
    for env in [&[][..], &empty, &[("REDIS", "a")]] {
        assert_eq!(load(&[], env).unwrap().redis, None, "{env:?}");
    }
    let defaults = Redis {
        servers: vec![("a.example".to_owned(), 6379)],
        cluster: false,
        tls: false,
        ca: None,
        user: None,
        password: None,
        database: 0,
    };
    for args in [&["--redis", "a.example"][..], &["-ra.example", "-d0"]] {
        assert_eq!(redis(args, &[]), defaults, "{args:?}");
    }
    let elsewhere = Redis {
        servers: vec![("a".to_owned(), 1), ("::1".to_owned(), 6379)],
        cluster: true,
        tls: true,
        ca: Some("ca.pem".into()),
        user: Some("me".to_owned()),
        ..defaults
    };
    let args = ["-r=rediss-cluster://me@a:1,[::1]", "--redis-ca=ca.pem"];
    let mut found = redis(&args, &[("ROOMCAST_REDIS_PASSWORD", SECRET)]);
    assert_eq!(revealed(&found), Some(SECRET));
    found.password = None;
    assert_eq!(found, elsewhere);
}

#[test]
fn the_database_is_in_the_url_or_an_option() {
    for (args, database) in [
        (&["--redis=a"][..], 0),
        (&["--redis=a/0"], 0),
        (&["--redis=redis://a/3"], 3),
        (&["--redis=a", "--redis-database=3"], 3),
        (&["--redis=a/", "--database", "3"], 3),
        (&["check", "-r", "a", "-d", "2147483646"], 2_147_483_646),
        (&["--redis=a/3", "-d3"], 3),
        (&["--redis=redis-cluster://a,b/0", "-d0"], 0),
    ] {
        assert_eq!(redis(args, &[]).database, database, "{args:?}");
    }
    let by_file = file("redis = \"a/1\"\nredis-database = 2");
    let of_file = format!("{}:2", by_file.path);
    let cluster = "says database 2, and a cluster has 0 only";
    for (args, env, expected) in [
        (
            &["--redis=a/1", "--database=2"][..],
            &[][..],
            "--redis-database says 2 and --redis says 1: give the database once".to_owned(),
        ),
        (
            &["--redis=a/1"],
            &[("ROOMCAST_REDIS_DATABASE", "0")],
            "ROOMCAST_REDIS_DATABASE: --redis-database says 0 and --redis says 1: give the \
             database once"
                .to_owned(),
        ),
        (
            &["--config", &by_file.path],
            &[],
            format!(
                "{of_file}: --redis-database says 2 and --redis says 1: give the database once"
            ),
        ),
        (
            &["--redis=redis-cluster://a/2"],
            &[],
            format!("--redis {cluster}"),
        ),
        (
            &["--redis=redis-cluster://a", "-d2"],
            &[],
            format!("--redis-database {cluster}"),
        ),
        (
            &["--redis=a", "-d=-1"],
            &[],
            "--redis-database: it is not a whole number from 0 to 2147483646".to_owned(),
        ),
    ] {
        let (found, code) = fails(args, env);
        assert_eq!(found, expected, "{args:?}");
        let in_file = args[0] == "--config";
        assert_eq!(code, if in_file { 1 } else { 2 });
    }
}

#[test]
fn what_means_nothing_without_it_is_warned_of() {
    let args = ["--redis-ca=x", "--database=x", "--redis-password=x"];
    let idle = |option: &str| format!("--{option} means nothing without --redis");
    for (args, env, warnings) in [
        (
            &args[..],
            &[][..],
            ["redis-database", "redis-password", "redis-ca"]
                .map(idle)
                .to_vec(),
        ),
        (
            &[],
            &[("ROOMCAST_REDIS_PASSWORD_FILE", "/nowhere")],
            vec![format!(
                "ROOMCAST_REDIS_PASSWORD_FILE: {}",
                idle("redis-password")
            )],
        ),
        // Of other programs, and what an orchestrator sets for a service of that name.
        (
            &[],
            &[
                ("REDIS_PASSWORD", "x"),
                ("ROOMCAST_REDIS_PORT", "tcp://10.0.0.1:6379"),
                ("ROOMCAST_REDIS_SERVICE_HOST", "10.0.0.1"),
            ],
            vec![],
        ),
    ] {
        let config = load(args, env).unwrap();
        assert_eq!(config.redis, None);
        assert_eq!(config.warnings, warnings);
    }
}

#[test]
fn the_summary_says_where_it_is_and_not_who_enters() {
    let password = [("ROOMCAST_REDIS_PASSWORD", SECRET)];
    for (args, expected) in [
        (&["--redis=a"][..], "redis://a:6379/0"),
        (&["--redis", CODED, "-d7"], "redis://a.example:6379/7"),
        (&["--redis=valkeys://me@[::1]:1/2"], "rediss://[::1]:1/2"),
        (
            &["--redis=redis-cluster://me@a:1,[::1]"],
            "redis-cluster://a:1,[::1]:6379/0",
        ),
        (&["--redis=rediss-cluster://a"], "rediss-cluster://a:6379/0"),
    ] {
        let summary = load(args, &password).unwrap().summary(&[]);
        let line = summary.lines().find(|line| line.starts_with("redis "));
        let text = line.unwrap().trim_start_matches("redis").trim_start();
        assert_eq!(text, expected);
    }
    let off = load(&[], &[]).unwrap().summary(&[]);
    assert!(!off.contains("redis"), "{off}");
}

#[test]
fn the_help_names_its_flags() {
    let (help, _) = fails(&["--help"], &[]);
    let help: String = help.split_whitespace().collect();
    for words in ["-r,--redis<URL>", "-d,--redis-database<N>", "--database]"] {
        assert!(help.contains(words), "{words} is missing");
    }
}
