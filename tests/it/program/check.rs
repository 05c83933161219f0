//! `server check`, what it finds wrong, and which setting wins.

use std::fs;

use super::{FREE, command, run, taken};

#[tokio::test]
async fn what_would_run_is_printed_and_no_port_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, port) = taken();
    let zetta = format!("127.0.0.1:{port}");
    for (options, expected) in [
        (
            &["--port", &port, "--zetta-listen", "off"][..],
            &[&format!("http://127.0.0.1:{port}, "), "zetta         off"][..],
        ),
        (
            &["--port", "0", "--zetta-listen", &zetta, "--https"],
            &["https://127.0.0.1:0, ", &format!("tcp://{zetta} from ")],
        ),
    ] {
        let arguments = [&["check", "--host", "127.0.0.1"], options].concat();
        let ended = run(command(folder.path(), &arguments)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr, "");
        for words in expected.iter().chain(&["/metadata     room; JOIN "]) {
            assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
        }
    }
    // Not even a certificate is made.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Both ways of starting say the same of a file that is wrong.
#[tokio::test]
async fn a_wrong_file_is_named_with_line_key_and_the_nearest_right_key() {
    let bus = "protocol = \"room\"\nhistroy = 3\n";
    for (file, text, options, expected) in [
        (
            "spaces/bus.toml",
            bus,
            ["--namespaces", "spaces"],
            "spaces/bus.toml:2: unknown key `histroy`; did you mean `history`?",
        ),
        (
            "my.toml",
            "https = true\n\nstation_txt = \"x\"\n",
            ["--config", "my.toml"],
            "my.toml:3: unknown key `station_txt`; did you mean `station-text`?",
        ),
        (
            "my.toml",
            "timezone = \"America/Chicgo\"\n",
            ["--config", "my.toml"],
            "my.toml:1: timezone: `America/Chicgo` is not a time zone; \
             did you mean `America/Chicago`?",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        for subcommand in [&["check"][..], &[]] {
            let arguments = [subcommand, &FREE, &options].concat();
            let ended = run(command(folder.path(), &arguments)).await;
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            assert!(ended.stderr.contains(expected), "{}", ended.stderr);
            assert_eq!(ended.stdout, "");
        }
    }
}

#[tokio::test]
async fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("my.toml"),
        "station-text = \"of the file\"\n",
    )
    .unwrap();
    let file = ["check", "--config", "my.toml"];
    let flag = ["check", "--config", "my.toml", "--station-text", "a flag's"];
    for (arguments, variable, expected) in [
        (&flag[..], "of the environment", "a flag's"),
        (&file, "of the environment", "of the environment"),
        // An empty variable counts as not set.
        (&file, "", "of the file"),
        (&file[..1], "", "You are listening to college radio"),
    ] {
        let mut command = command(folder.path(), arguments);
        command.env("ROOMCAST_STATION_TEXT", variable);
        let ended = run(command).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let line = format!("station text  {expected}");
        assert!(
            ended.stdout.lines().any(|found| found == line),
            "{expected}: {}",
            ended.stdout
        );
    }
}
