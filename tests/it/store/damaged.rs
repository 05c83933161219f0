//! The server renames a damaged database and creates a new one, at the start and while it runs.
//! Health, the log and a metric say so.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{interval, timeout};

use super::disk::health;
use super::killed::end;
use super::{database, listener, track};
use crate::client::SOON;
use crate::http::get;
use crate::program::Program;
use crate::server::{TestServer, play, song};

/// The answer of `/health` once it reports a renamed file and the new one is written.
async fn moved(server: &TestServer) -> Value {
    let mut look = interval(Duration::from_millis(20));
    let said = async {
        loop {
            look.tick().await;
            let health = get(server.address, "/health", "").await;
            let health: Value = serde_json::from_str(&health.body).unwrap();
            if health["store"]["damagedFile"].is_string() && health["store"]["ok"] == true {
                return health;
            }
        }
    };
    timeout(SOON, said).await.expect("health does not say so")
}

/// The offset of the first page of a table, and the length of a page.
fn page(folder: &Path, table: &str) -> (u64, usize) {
    let db = database(folder);
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: u64 = db.query_row(sql, [table], |row| row.get(0)).unwrap();
    let size = db.pragma_query_value(None, "page_size", |row| row.get(0));
    let size: usize = size.unwrap();
    ((page - 1) * size as u64, size)
}

fn overwrite(folder: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(folder.join("roomcast.db"));
    file.unwrap().write_all_at(bytes, at).unwrap();
}

fn overwrite_page(folder: &Path, table: &str) {
    let (at, size) = page(folder, table);
    overwrite(folder, at, &vec![0; size]);
}

/// A folder in which one song was played.
async fn played() -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut source, _) = listener(&server, "").await;
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(1, "One")).await;
    assert_eq!(track(&mut source).await, "One");
    drop((source, zetta));
    server.stop().await;
    state
}

/// The only damaged file of a folder.
fn damaged(state: &Path) -> String {
    let names = fs::read_dir(state).unwrap();
    let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    let found: Vec<_> = names
        .filter(|name| name.starts_with("roomcast.db.damaged-"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[tokio::test]
async fn a_damaged_file_is_moved_away_at_the_start() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 5] = [
        ("rubbish", |state| {
            fs::write(state.join("roomcast.db"), "rubbish ".repeat(1_000)).unwrap();
        }),
        ("an overwritten header", |state| {
            overwrite(state, 0, &[0xff; 100])
        }),
        ("cut off in the middle", |state| {
            let file = File::options().write(true).open(state.join("roomcast.db"));
            let file = file.unwrap();
            let half = file.metadata().unwrap().len() / 2;
            file.set_len(half).unwrap();
        }),
        ("a lost page of the events", |state| {
            overwrite_page(state, "events")
        }),
        ("a lost page of the rooms", |state| {
            overwrite_page(state, "rooms")
        }),
    ];
    roomcast::metrics::install();
    for (case, damage) in cases {
        let state = played().await;
        damage(state.path());
        let before = fs::read(state.path().join("roomcast.db")).unwrap();
        let server = TestServer::start_in(state.path(), &[]).await;
        let health = moved(&server).await;
        assert_eq!(health["status"], "degraded", "{case}");
        let name = damaged(state.path());
        assert_eq!(health["store"]["damagedFile"], name, "{case}");
        assert!(
            fs::read(state.path().join(name)).unwrap() == before,
            "{case}"
        );
        let metrics = get(server.address, "/metrics", "").await;
        assert!(
            metrics
                .body
                .contains("\nroomcast_store_damaged_files_total ")
        );
        let (mut source, _) = listener(&server, "").await;
        let mut zetta = server.zetta().await;
        play(&mut zetta, &song(2, "Two")).await;
        assert_eq!(track(&mut source).await, "Two", "{case}");
        drop((source, zetta));
        server.stop().await;
        let server = TestServer::start_in(state.path(), &[]).await;
        let (mut source, _) = listener(&server, "").await;
        assert_eq!(track(&mut source).await, "Two", "{case}");
        let health = get(server.address, "/health", "").await;
        assert!(health.body.contains(r#""status":"ok""#), "{}", health.body);
        drop(source);
        server.stop().await;
    }
}

/// A reader of the play log finds the damage.
#[tokio::test]
async fn a_page_that_is_lost_while_the_server_runs_costs_the_play_log_and_no_room() {
    let state = played().await;
    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut source, _) = listener(&server, "").await;
    assert_eq!(track(&mut source).await, "One");
    let since = source.last_id.clone();
    health(&server, true).await;
    overwrite_page(state.path(), "plays");
    let history = "/api/now-playing/history";
    let found = get(server.address, history, "").await;
    assert_eq!(found.status, 503, "{}", found.body);
    let health = moved(&server).await;
    assert_eq!(health["store"]["damagedFile"], damaged(state.path()));
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(2, "Two")).await;
    assert_eq!(track(&mut source).await, "Two");
    let mut look = interval(Duration::from_millis(20));
    let read = async {
        loop {
            look.tick().await;
            let found = get(server.address, history, "").await;
            if found.status == 200 && found.body.contains("Two") {
                return found;
            }
        }
    };
    let found = timeout(SOON, read).await.expect("it can't be read");
    assert!(found.body.contains("Two") && !found.body.contains("One"));
    drop((source, zetta));
    server.stop().await;
    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut source, recovered) = listener(&server, &since).await;
    assert!(recovered);
    assert_eq!(track(&mut source).await, "Two");
    drop(source);
    server.stop().await;
}

#[tokio::test]
async fn a_database_that_is_missing_or_empty_is_a_warning_in_a_folder_that_had_one() {
    const WORDS: &str = "the database is missing or empty although this folder had one";
    type Damage = fn(&Path);
    let cases: [Damage; 3] = [
        |_| (),
        |file| fs::remove_file(file).unwrap(),
        |file| fs::write(file, "").unwrap(),
    ];
    let mut folder = tempfile::tempdir().unwrap();
    for (damage, warnings) in cases.into_iter().zip([0, 1, 1]) {
        let program = Program::start_in(folder, &[]).await;
        program.feed(&song(1, "One")).await;
        folder = end(program).await;
        damage(&folder.path().join("state/roomcast.db"));
        let program = Program::start_in(folder, &[]).await;
        let said = program.seen.iter().filter(|line| line.contains(WORDS));
        assert_eq!(said.count(), warnings, "{:#?}", program.seen);
        folder = end(program).await;
    }
}
