//! The play log across restarts: no row twice, corrected in place, and given up
//! with its age.

use serde_json::Value;

use super::{database, listener, track};
use crate::http::get;
use crate::program::{Program, command, run};
use crate::server::{TestServer, config, feed, play, song};

pub async fn titles(server: &TestServer) -> Vec<String> {
    let answer = get(server.address, "/api/now-playing/history", "").await;
    let rows: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    let title = |row: &Value| row["track"].as_str().unwrap().to_owned();
    rows.iter().map(title).collect()
}

#[tokio::test]
async fn what_is_told_again_after_a_restart_has_its_row() {
    let state = tempfile::tempdir().unwrap();
    // A studio repeats what is on; here with a correction, and once by hand.
    let by_hand = song(200, "By hand").replace(r#"ZettaId="1200""#, r#"ZettaId="""#);
    let corrected = song(100, "Corrected");
    let rounds = [
        (
            vec![song(1, "One"), song(100, "Wrong")],
            vec!["Wrong", "One"],
        ),
        (vec![corrected], vec!["Corrected", "One"]),
        (vec![by_hand.clone()], vec!["By hand", "Corrected", "One"]),
        (
            vec![by_hand, song(300, "Two")],
            vec!["Two", "By hand", "Corrected", "One"],
        ),
    ];
    for (documents, expected) in rounds {
        let server = TestServer::start_in(state.path(), &[]).await;
        let (mut source, _) = listener(&server, "").await;
        let mut zetta = server.zetta().await;
        for document in documents {
            play(&mut zetta, &document).await;
        }
        while track(&mut source).await != expected[0] {}
        assert_eq!(titles(&server).await, expected);
        drop((source, zetta));
        server.stop().await;
        // Who copies the file has all of it.
        assert!(!state.path().join("roomcast.db-wal").exists());
    }
    let server = TestServer::start_in(state.path(), &[]).await;
    let all = ["Two", "By hand", "Corrected", "One"];
    assert_eq!(titles(&server).await, all, "without a word");
    server.stop().await;
}

/// What was started by hand may have neither id nor start nor length.
#[tokio::test]
async fn what_has_only_a_name_has_one_row_behind_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let bare = song(1, "By hand")
        .replace(r#"StartTime="2026-03-01T01:00:01Z""#, "")
        .replace(r#"ZettaId="1001""#, "")
        .replace("347.9", "0");
    let spot = bare.replace("SONG", "SPOT");
    for (document, title) in [
        (bare, "By hand"),
        (spot, "You are listening to college radio"),
    ] {
        let server = TestServer::start_in(state.path(), &[]).await;
        feed(server.zetta, &document).await;
        server.stop().await;
        // A minute has passed.
        let db = database(state.path());
        let sql = "UPDATE plays SET started = started - 60000;
            UPDATE events SET time = time - 60000, message =
                json_set(message, '$.timestampUTC',
                    strftime('%Y-%m-%dT%H:%M:%SZ', message ->> 'timestampUTC', '-60 seconds'))";
        db.execute_batch(sql).unwrap();
        drop(db);
        let server = TestServer::start_in(state.path(), &[]).await;
        feed(server.zetta, &document).await;
        let answer = get(server.address, "/api/now-playing/history?all=1", "").await;
        let rows: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
        let found = rows.iter().filter(|row| row["track"] == title).count();
        assert_eq!(found, 1, "{}", answer.body);
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_older_than_was_asked_for_is_removed_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let server = TestServer::start_in(&state, &[]).await;
    let (mut source, _) = listener(&server, "").await;
    let mut zetta = server.zetta().await;
    // Of March; what comes below is of now.
    play(&mut zetta, &song(1, "Old")).await;
    track(&mut source).await;
    drop((source, zetta));
    server.stop().await;
    let rows = || {
        let sql = "SELECT count(*) FROM plays";
        database(&state).query_row(sql, [], |row| row.get::<_, u32>(0))
    };
    for (days, left) in [("36500", 1), ("30", 0)] {
        let server = TestServer::start_in(&state, &["--history-days", days]).await;
        server.stop().await;
        assert_eq!(rows(), Ok(left), "{days}");
    }
}

/// A report is printed beside the server that writes, and without one.
#[tokio::test]
async fn reports_are_printed_from_the_folder() {
    let program = Program::start(&[]).await;
    for (start, title) in [(1, "One"), (60, "Two, \"too\"")] {
        let title = title.replace('"', "&quot;");
        program.feed(&song(start, &title)).await;
    }
    super::killed::written(&program.folder.path().join("state"), 2).await;
    let report = async |options: &[&str]| {
        let options = [&["history"], options].concat();
        let ended = run(command(program.folder.path(), &options)).await;
        (ended.code, ended.stdout, ended.stderr)
    };
    let (code, lines, _) = report(&[]).await;
    assert_eq!(code, Some(0));
    assert_eq!(
        lines,
        "2026-02-28 19:01:00    5:48  The Smiths: Two, \"too\" (The Queen Is Dead)\n\
         2026-02-28 19:00:01    5:48  The Smiths: One (The Queen Is Dead)\n"
    );
    let csv = [
        "--csv",
        "--from",
        "2026-02-28",
        "--to",
        "2026-03-01T01:00:30Z",
    ];
    let (code, lines, _) = report(&csv).await;
    assert_eq!(code, Some(0));
    assert_eq!(
        lines,
        "track,album,artist,length,timestampUTC,timestampCST\n\
         One,The Queen Is Dead,The Smiths,347900.0,2026-03-01T01:00:01Z,2026-02-28T19:00:01Z\n"
    );
    let (_, lines, _) = report(&["--limit", "1"]).await;
    assert_eq!(lines.lines().count(), 1);
    for (options, expected, words) in [
        (["--from", "monday"], 2, "--from"),
        (["--limit", "0"], 2, "--limit"),
        (["--state", "elsewhere"], 1, "elsewhere"),
    ] {
        let (code, _, said) = report(&options).await;
        assert_eq!(code, Some(expected), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

/// Files of earlier versions have the texts that publishers sent, with control characters.
#[tokio::test]
async fn a_report_of_older_rows_has_no_control_characters() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("state");
    TestServer::start_in(&folder, &[]).await.stop().await;
    let insert = "INSERT INTO plays (item, started, type, title, artist, album, length)
                  VALUES ('', 1767225600000, 'SONG', ?1, ?2, '', 0)";
    let texts = ["\u{1b}]0;x\u{7}One\r\nTwo", "A\u{9b}2J\u{202e}B"];
    database(&folder).execute(insert, texts).unwrap();
    for (options, expected) in [
        (&["history"][..], "  A2JB: ]0;xOne Two"),
        (&["history", "--csv"], "]0;xOne Two,,A2JB,0.0,"),
    ] {
        let ended = run(command(state.path(), options)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains(expected), "{:?}", ended.stdout);
        let is_wrong = |c: char| c.is_control() && c != '\n';
        assert!(!ended.stdout.contains(is_wrong), "{:?}", ended.stdout);
    }
}

#[test]
fn the_play_log_is_kept_for_four_years() {
    let days = config(&[]).history_keep.as_secs() / (24 * 60 * 60);
    assert_eq!(days, 4 * 365 + 1);
}
