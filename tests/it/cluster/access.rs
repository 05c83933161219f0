//! A Redis that does not let everybody in, is reached by TLS, or is full.

use std::fs;

use serde_json::{Value, json};

use super::bus::post;
use super::flow::is_joined;
use super::nodes::{node_at, node_with};
use super::redis::{Keeps, Redis, Reply, free};
use crate::api::BEARER;
use crate::client::Client;
use crate::http::{get, post_with};
use crate::net::tls;
use crate::server::TestServer;
use crate::source::Source;

async fn set(redis: &Redis, words: &[&str]) {
    let reply = redis.ask(words).await;
    assert_eq!(reply, Reply::Text("OK".to_owned()), "{words:?}");
}

/// What is published at each node is heard at the other.
async fn are_one(nodes: &[TestServer; 2]) {
    for node in nodes {
        is_joined(node, true).await;
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let mut source = Source::open(nodes[to].address, "/events/bus/hall", "").await;
        assert_eq!(source.told().await.event, "joined");
        post(&nodes[from], "/api/bus/hall", &from.into()).await;
        assert_eq!(source.told().await.data["message"], from);
    }
}

/// The words of the line in the documentation that says what a node's user needs.
fn documented_user() -> Vec<String> {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scaling.md");
    let docs = fs::read_to_string(docs).unwrap();
    let line = docs
        .lines()
        .find(|line| line.starts_with("user roomcast on "));
    let line = line.unwrap().replace("PASSWORD", "secret");
    line.split(' ').skip(1).map(str::to_owned).collect()
}

/// All that the scripts call, as the ACL names it.
fn called_by_scripts() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis/script");
    let mut called = Vec::new();
    for script in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(script.unwrap().path()).unwrap();
        let calls = text.split("redis.call('").skip(1);
        called.extend(calls.map(|call| call.split('\'').next().unwrap().to_lowercase()));
    }
    assert!(called.len() > 50, "{} calls", called.len());
    called
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_user_may_do_all_that_is_done() {
    let user = documented_user();
    for command in called_by_scripts() {
        assert!(
            user.contains(&format!("+{command}")),
            "{command} is not documented"
        );
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let words = ["ACL", "SETUSER"].into_iter();
    let words: Vec<_> = words.chain(user.iter().map(String::as_str)).collect();
    set(&redis, &words).await;
    let url = format!("redis://roomcast:secret@{}", redis.address());
    let nodes = [
        node_with(&url, &["--push"]).await,
        node_with(&url, &["--push"]).await,
    ];
    are_one(&nodes).await;
    let token = crate::push::create(&nodes[0], "news").await;
    let mut io = Client::connect(nodes[1].address, "/push").await.unwrap();
    assert_eq!(io.join("news").await["status"], "ok");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let answer = post_with(nodes[1].address, "/api/push/news", &bearer, "1").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(io.next().await["message"], 1);
    let refused = redis.ask(&["ACL", "LOG"]).await;
    assert_eq!(refused, Reply::Many(Vec::new()), "{refused:?}");
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_password_is_let_in() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address();
    let user = [
        "ACL",
        "SETUSER",
        "cast",
        "on",
        ">secret",
        "~roomcast:*",
        "&roomcast:*",
        "+@all",
    ];
    set(&redis, &[&user[..], &["-@admin"]].concat()).await;
    set(&redis, &["CONFIG", "SET", "requirepass", "secret"]).await;
    let by_user = format!("redis://cast@{at}");
    let nodes = [
        node_at(&format!("redis://:secret@{at}")).await,
        node_with(&by_user, &["--redis-password", "secret"]).await,
    ];
    are_one(&nodes).await;
    for wrong in [format!("redis://{at}"), format!("redis://cast:wrong@{at}")] {
        let node = node_at(&wrong).await;
        is_joined(&node, false).await;
        node.stop().await;
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authority_that_is_named() {
    let redis = Redis::start(Keeps::Nothing).await;
    let folder = tempfile::tempdir().unwrap();
    tls::self_signed(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file(tls::CERT_FILE), file(tls::KEY_FILE));
    let port = free().await.port().to_string();
    let tls = [
        "tls-cert-file",
        &cert,
        "tls-key-file",
        &key,
        "tls-ca-cert-file",
        &cert,
    ];
    let tls = [
        &["CONFIG", "SET", "tls-port", &port, "tls-auth-clients", "no"],
        &tls[..],
    ];
    set(&redis, &tls.concat()).await;
    let at = format!("rediss://localhost:{port}");
    let nodes = [
        node_with(&at, &["--redis-ca", &cert]).await,
        node_with(&at, &["--redis-ca", &cert]).await,
    ];
    are_one(&nodes).await;
    // Nobody else has signed it.
    let stranger = tempfile::tempdir().unwrap();
    tls::self_signed(stranger.path());
    let other = stranger.path().join(tls::CERT_FILE);
    let node = node_with(&at, &["--redis-ca", other.to_str().unwrap()]).await;
    is_joined(&node, false).await;
    node.stop().await;
    for node in nodes {
        node.stop().await;
    }
    assert!(fs::exists(&cert).unwrap(), "it was there all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_and_goes_on() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let nodes = [node_at(&at).await, node_at(&at).await];
    let mut source = Source::open(nodes[1].address, "/events/bus/hall", "").await;
    source.told().await;
    let mut client = Client::connect(nodes[0].address, "/bus").await.unwrap();
    assert_eq!(client.join("hall").await["clients"], 2);
    set(
        &redis,
        &[
            "CONFIG",
            "SET",
            "maxmemory-policy",
            "noeviction",
            "maxmemory",
            "1",
        ],
    )
    .await;
    let said = client
        .ask("NOTIFY", json!({"room": "hall", "message": 1}))
        .await;
    assert_eq!(said["code"], "full", "{said}");
    let answer = post_with(nodes[0].address, "/api/bus/hall", BEARER, "1").await;
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["code"], "full", "{problem}");
    let listed = client.ask("CLIENTS", json!({"room": "hall"})).await;
    assert_eq!(listed["total"], 2, "{listed}");
    for node in &nodes {
        is_joined(node, true).await;
    }
    set(&redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    post(&nodes[0], "/api/bus/hall", &2.into()).await;
    assert_eq!(source.told().await.data["message"], 2);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_tell_of_the_broker() {
    let mut redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let program = crate::program::Program::start(&["--redis", &at]).await;
    let figure = async |line: &str| {
        let figures = get(program.address, "/metrics", "").await.body;
        figures.lines().any(|figure| figure == line)
    };
    super::flow::says(program.address, true).await;
    assert!(figure("roomcast_broker_connected 1").await);
    let mut source = Source::open(program.address, "/events/bus/hall", "").await;
    source.told().await;
    redis.kill().await;
    super::flow::says(program.address, false).await;
    assert!(figure("roomcast_broker_connected 0").await);
    assert!(figure("roomcast_broker_outages_total 1").await);
    let answer = post_with(program.address, "/bus-message/hall", "", "1").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert_eq!(source.told().await.data["message"], 1);
    assert!(figure("roomcast_broker_waiting 1").await);
    redis.restart().await;
    super::flow::says(program.address, true).await;
}
