//! A disk that refuses: everything goes on in memory, and health says so; what
//! is not ours is left alone.

use std::path::Path;
use std::time::Duration;

use roomcast::Server;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use super::{database, listener, track};
use crate::client::SOON;
use crate::http::get;
use crate::server::{TestServer, config, play, song};

/// Waits until health says this of the store.
async fn health(server: &TestServer, ok: bool) {
    let mut look = interval(Duration::from_millis(20));
    let said = async {
        loop {
            look.tick().await;
            let health = get(server.address, "/health", "").await;
            assert_eq!(health.status, 200);
            let health: Value = serde_json::from_str(&health.body).unwrap();
            let status = if ok { "ok" } else { "degraded" };
            if health["store"] == json!({ "ok": ok }) && health["status"] == status {
                break;
            }
        }
    };
    timeout(SOON, said).await.expect("health says otherwise");
}

#[tokio::test]
async fn what_a_disk_refuses_for_a_while_is_written_later() {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut zetta = server.zetta().await;
    let (mut source, _) = listener(&server, "").await;
    play(&mut zetta, &song(1, "Before")).await;
    assert_eq!(track(&mut source).await, "Before");
    let first = source.last_id.clone();
    health(&server, true).await;
    // Somebody with a shell.
    let db = database(state.path());
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    for start in 2..=4 {
        play(&mut zetta, &song(start, &format!("Meanwhile {start}"))).await;
        assert_eq!(track(&mut source).await, format!("Meanwhile {start}"));
    }
    health(&server, false).await;
    db.execute_batch("ROLLBACK").unwrap();
    health(&server, true).await;
    drop((source, zetta));
    server.stop().await;
    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut source, recovered) = listener(&server, &first).await;
    assert!(recovered);
    for start in 2..=4 {
        assert_eq!(track(&mut source).await, format!("Meanwhile {start}"));
    }
    drop(source);
    server.stop().await;
}

/// A folder that can't be made, and a file that is no database.
#[tokio::test]
async fn without_a_disk_everything_goes_on_in_memory() {
    type Break = fn(&TempDir) -> std::path::PathBuf;
    let cases: [(&str, Break); 2] = [
        ("a file where a folder should be", |folder| {
            let file = folder.path().join("file");
            std::fs::write(&file, "").unwrap();
            file.join("state")
        }),
        ("rubbish", |folder| {
            let rubbish = "rubbish ".repeat(1_000);
            std::fs::write(folder.path().join("roomcast.db"), rubbish).unwrap();
            folder.path().to_owned()
        }),
    ];
    for (case, broken) in cases {
        let folder = tempfile::tempdir().unwrap();
        let state = broken(&folder);
        let before = std::fs::read(state.join("roomcast.db")).ok();
        let server = TestServer::start_in(&state, &[]).await;
        health(&server, false).await;
        let mut zetta = server.zetta().await;
        let (mut source, _) = listener(&server, "").await;
        play(&mut zetta, &song(1, "One")).await;
        assert_eq!(track(&mut source).await, "One", "{case}");
        let since = source.last_id.clone();
        play(&mut zetta, &song(2, "Two")).await;
        assert_eq!(track(&mut source).await, "Two", "{case}");
        let (mut back, recovered) = listener(&server, &since).await;
        assert!(recovered, "{case}");
        assert_eq!(track(&mut back).await, "Two", "{case}");
        drop((source, back, zetta));
        server.stop().await;
        let after = std::fs::read(state.join("roomcast.db")).ok();
        assert!(before == after, "{case}: it was left alone");
    }
}

#[tokio::test]
async fn what_is_not_ours_to_use_is_refused_with_the_reason() {
    async fn refused(state: &Path) -> String {
        let options = ["--state", state.to_str().unwrap()];
        let refused = Server::bind(config(&options)).await;
        refused.err().expect("it starts").to_string()
    }
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let said = refused(state.path()).await;
    assert!(said.contains("in use by another process"), "{said}");
    server.stop().await;
    for (sql, words) in [
        ("PRAGMA user_version = 99", "newer version (schema 99"),
        ("PRAGMA application_id = 1", "is not of roomcast"),
    ] {
        database(state.path()).execute_batch(sql).unwrap();
        let said = refused(state.path()).await;
        assert!(said.contains(words), "{said}");
        let undo = "PRAGMA user_version = 1";
        database(state.path()).execute_batch(undo).unwrap();
    }
}
