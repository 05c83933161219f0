//! Tests of what a URL of Redis says.

use super::*;

/// One server without TLS.
fn plain(host: &str, port: u16) -> Address {
    Address {
        servers: vec![(host.to_owned(), port)],
        cluster: false,
        tls: false,
        user: None,
        password: None,
        is_name: false,
        database: None,
    }
}

fn cluster(tls: bool, servers: &[(&str, u16)]) -> Address {
    let owned = |(host, port): &(&str, u16)| ((*host).to_owned(), *port);
    Address {
        servers: servers.iter().map(owned).collect(),
        cluster: true,
        tls,
        ..plain("", 0)
    }
}

fn entered(user: Option<&str>, password: Option<&str>) -> Address {
    Address {
        user: user.map(str::to_owned),
        password: password.map(|text| RedisPassword::parse(text).unwrap()),
        ..plain("a.example", PORT)
    }
}

#[test]
fn servers_and_database() {
    let tls = Address {
        tls: true,
        ..plain("a.example", PORT)
    };
    let third = Address {
        database: Some(3),
        ..plain("a.example", 1)
    };
    for (text, expected) in [
        ("a.example", plain("a.example", PORT)),
        ("a.example:1", plain("a.example", 1)),
        ("192.0.2.1:65535", plain("192.0.2.1", 65_535)),
        ("[::1]", plain("::1", PORT)),
        ("[::1]:1", plain("::1", 1)),
        // As a service of a compose file is called.
        ("redis:6379", plain("redis", 6379)),
        ("unix:6379", plain("unix", 6379)),
        ("a.example:1/3", third),
        ("redis://a_b-c:1", plain("a_b-c", 1)),
        ("redis://[2001:db8::1]:1/", plain("2001:db8::1", 1)),
        ("REDIS://A.example", plain("A.example", PORT)),
        ("valkey://a.example\n", plain("a.example", PORT)),
        ("redis://@a.example/", plain("a.example", PORT)),
        ("redis://:@a.example/", plain("a.example", PORT)),
        ("valkeys://a.example/", tls),
        ("redis-cluster://a", cluster(false, &[("a", PORT)])),
        (
            "rediss-cluster://a:1,b,[::1]:2,[::2]",
            cluster(true, &[("a", 1), ("b", PORT), ("::1", 2), ("::2", PORT)]),
        ),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
    let (rediss, valkeys) = (parse("rediss://a/0"), parse("valkeys://a/0"));
    assert_eq!(rediss, valkeys);
    assert_eq!(rediss.unwrap().database, Some(0));
}

#[test]
fn user_and_password_are_decoded() {
    for (text, user, password) in [
        ("me:hunter2", Some("me"), Some("hunter2")),
        (":hunter2", None, Some("hunter2")),
        ("me", Some("me"), None),
        ("me:", Some("me"), None),
        ("m%65:%68unter2", Some("me"), Some("hunter2")),
        // All that has a meaning in a URL, and more bytes than one.
        ("a%3Ab:%40%2f%3F%23%25%3A%2C", Some("a:b"), Some("@/?#%:,")),
        (":%C3%A9", None, Some("é")),
        (":é a,b+c:d", None, Some("é a,b+c:d")),
    ] {
        let found = parse(&format!("redis://{text}@a.example"));
        assert_eq!(found, Ok(entered(user, password)), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_without_the_url() {
    let schemes = "begins with redis://, rediss:// (with TLS), redis-cluster://, \
                   rediss-cluster:// (with TLS), valkey://, valkeys:// (with TLS)";
    let wrong = "is no URL of Redis, as redis://USER";
    let port = "a port is a number from 1 to 65535";
    let database = "the database behind the host: it is not a whole number";
    let coded = "two hexadecimal digits";
    let unix = "Unix sockets are not supported";
    let at = "an @ stands once";
    for (text, words) in [
        ("", wrong),
        ("redis://", wrong),
        ("redis://:hunter2@", wrong),
        ("redis://:1", wrong),
        ("redis://a.example:", port),
        ("redis://hunter2@a.example:0", port),
        ("redis://a.example:65536", port),
        ("redis://a.example:hunter2", wrong),
        ("redis://a.example:+1", wrong),
        ("redis://a b", wrong),
        ("redis://a.ex%61mple", wrong),
        ("redis://::1", "brackets"),
        ("redis://::1:6379", "brackets"),
        ("redis://[::1", wrong),
        ("redis://[::1]6379", wrong),
        ("redis://[hunter2]", wrong),
        ("redis-cluster://a:1,", wrong),
        ("redis-cluster://a,,b", wrong),
        ("redis://a:1,b:2", "write redis-cluster://"),
        ("a:1,b:2", "write redis-cluster://"),
        ("redis://a.example/hunter2", database),
        ("redis://a.example/-1", database),
        ("redis://a.example/+1", database),
        ("redis://a.example/1/2", database),
        ("redis://a.example/2147483647", "from 0 to 2147483646"),
        ("redis://a.example/4294967296", database),
        ("redis://a.example?db=hunter2", "no query"),
        ("redis://a.example/0#insecure", "no fragment"),
        ("http://me:hunter2@a.example", schemes),
        ("hunter2://a.example", schemes),
        ("redis+tls://a.example", schemes),
        ("://a.example", schemes),
        ("redis://me:hunter2/2@a.example", at),
        ("redis://me:hunter2?2@a.example", at),
        ("redis://me:hunter2#2@a.example", at),
        ("redis://me:hunter2@2@a.example", at),
        ("redis-cluster://:hunter2@a,:hunter2@b", at),
        ("redis://:hunter2%@a.example", coded),
        ("redis://:hunter2%4@a.example", coded),
        ("redis://:hunter2%+4@a.example", coded),
        ("redis://hunter2%zz@a.example", coded),
        ("redis://:hunter2%é@a.example", coded),
        ("redis://:hunter2%ff@a.example", "not UTF-8"),
        ("redis://:hunter2%0a@a.example", "one line"),
        ("/run/redis/redis.sock", unix),
        ("run/redis.sock", unix),
        ("./redis", unix),
        ("unix:/run/redis", unix),
        ("unix://:hunter2@/run/redis", unix),
        ("UNIX:///run/redis", unix),
        ("redis+unix:///run/redis", unix),
        ("redis+socket://:hunter2@/run/redis", unix),
        ("redis:///run/redis", unix),
    ] {
        let why = parse(text).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
}
