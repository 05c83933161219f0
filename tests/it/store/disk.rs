//! A disk that refuses: everything goes on in memory, and health says so; what
//! is not ours is left alone.

use std::fs::{Permissions, read_dir, set_permissions};
use std::os::unix::fs::PermissionsExt;
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
pub async fn health(server: &TestServer, ok: bool) {
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

/// Whatever the mode of the folder and of the files in it.
#[tokio::test]
async fn nobody_else_reads_the_files() {
    let state = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(state.path(), 0o755);
    for round in ["made", "found"] {
        let server = TestServer::start_in(state.path(), &[]).await;
        let mut names = Vec::new();
        for file in read_dir(state.path()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let about = file.metadata().unwrap();
            assert_eq!(about.permissions().mode() & 0o777, 0o600, "{round} {name}");
            names.push(name);
        }
        names.sort();
        let all = ["lock", "roomcast.db", "roomcast.db-shm", "roomcast.db-wal"];
        assert_eq!(names, all, "{round}");
        server.stop().await;
        for file in read_dir(state.path()).unwrap() {
            mode(&file.unwrap().path(), 0o644);
        }
    }
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

/// A folder that can't be made, and one that can't be locked.
#[tokio::test]
async fn without_a_disk_everything_goes_on_in_memory() {
    type Break = fn(&TempDir) -> std::path::PathBuf;
    let cases: [(&str, Break); 2] = [
        ("a file where a folder should be", |folder| {
            let file = folder.path().join("file");
            std::fs::write(&file, "").unwrap();
            file.join("state")
        }),
        ("a folder where the lock should be", |folder| {
            std::fs::create_dir(folder.path().join("lock")).unwrap();
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
        let undo = "PRAGMA user_version = 2";
        database(state.path()).execute_batch(undo).unwrap();
    }
}

/// What `change` does to the file or the folder while no server runs.
async fn comes_back_after(change: impl FnOnce(&Path, &Path)) -> (bool, Vec<String>, String) {
    let (state, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut since = String::new();
    for start in 1..=3 {
        if start == 2 {
            for name in ["roomcast.db", "lock"] {
                std::fs::copy(state.path().join(name), copy.path().join(name)).unwrap();
            }
        }
        let server = TestServer::start_in(state.path(), &[]).await;
        let mut zetta = server.zetta().await;
        let (mut source, _) = listener(&server, "").await;
        play(&mut zetta, &song(start, &format!("Song {start}"))).await;
        while track(&mut source).await != format!("Song {start}") {}
        if start == 1 {
            since.clone_from(&source.last_id);
        }
        drop((source, zetta));
        server.stop().await;
    }
    change(state.path(), copy.path());
    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut source, recovered) = listener(&server, &since).await;
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(9, "Live")).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|title| title != "Live") {
        heard.push(track(&mut source).await);
    }
    let id = source.last_id.clone();
    drop((source, zetta));
    server.stop().await;
    (recovered, heard, format!("{} {}", &since[..12], &id[..12]))
}

/// Offsets that were given since an older copy was made are not given again.
#[tokio::test]
async fn an_older_copy_that_is_put_back_begins_another_epoch() {
    let (recovered, heard, epochs) = comes_back_after(|_, _| ()).await;
    assert!(recovered);
    assert_eq!(heard, ["Song 2", "Song 3", "Live"]);
    let (before, after) = epochs.split_once(' ').unwrap();
    assert_eq!(before, after);
    for names in [&["roomcast.db"][..], &["roomcast.db", "lock"]] {
        let back = |state: &Path, copy: &Path| {
            for name in names {
                std::fs::copy(copy.join(name), state.join(name)).unwrap();
            }
        };
        let (recovered, heard, epochs) = comes_back_after(back).await;
        assert!(!recovered);
        assert_eq!(heard, ["Song 1", "Live"], "what there is");
        let (before, after) = epochs.split_once(' ').unwrap();
        assert_ne!(before, after);
    }
}

/// Somebody tidies up; the server goes on, and writes all there is anew.
#[tokio::test]
async fn a_folder_that_is_removed_is_made_again_with_all_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let (state, notes) = (
        folder.path().join("state"),
        folder.path().join("notes.toml"),
    );
    let text = "protocol = \"room\"\nverbs = [\"JOIN\"]\npublishers = [\"http\"]\nretain = [\"last\"]\ndurable = true";
    std::fs::write(notes, text).unwrap();
    let options = ["--namespaces", folder.path().to_str().unwrap()];
    let server = TestServer::start_in(&state, &options).await;
    for room in ["a", "b"] {
        server.publish("/notes", room, json!(room));
    }
    let rooms = || {
        let db = database(&state);
        let sql = "SELECT count(*) FROM events";
        db.query_row(sql, [], |row| row.get::<_, u32>(0))
            .unwrap_or(0)
    };
    let written = async |expected: u32| {
        let mut look = interval(Duration::from_millis(5));
        let written = async {
            while !state.join("roomcast.db").exists() || rooms() < expected {
                look.tick().await;
            }
        };
        timeout(SOON, written).await.expect("it is not written");
    };
    written(2).await;
    std::fs::remove_dir_all(&state).unwrap();
    server.publish("/notes", "b", json!("again"));
    written(3).await;
    let options = ["--state", state.to_str().unwrap()];
    let second = Server::bind(config(&options)).await;
    assert!(second.is_err(), "the new folder is taken as well");
    health(&server, true).await;
    server.stop().await;
}

/// What can't be read at the start, and can later, is not written over.
#[tokio::test]
async fn what_was_not_read_at_the_start_is_read_later() {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut zetta = server.zetta().await;
    let (mut source, _) = listener(&server, "").await;
    play(&mut zetta, &song(1, "One")).await;
    track(&mut source).await;
    drop((source, zetta));
    server.stop().await;
    let file = state.path().join("roomcast.db");
    let away = state.path().join("away");
    std::fs::rename(&file, &away).unwrap();
    std::fs::create_dir(&file).unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    health(&server, false).await;
    let (mut source, _) = listener(&server, "").await;
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&away, &file).unwrap();
    health(&server, true).await;
    let (mut newcomer, _) = listener(&server, "").await;
    assert_eq!(track(&mut newcomer).await, "One");
    assert_eq!(
        track(&mut source).await,
        "One",
        "who came before it was read"
    );
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(2, "Two")).await;
    assert_eq!(track(&mut source).await, "Two");
    drop((source, newcomer, zetta));
    server.stop().await;
}
