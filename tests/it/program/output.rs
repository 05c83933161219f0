//! Output that cannot be written: stdout is a pipe without a reader, or a full disk.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use tokio::process::Command;

use super::{Program, command, run};
use crate::server::song;

/// A pipe without a reader.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// Runs a command with this stdout; returns its exit code and stderr.
async fn printed_to(stdout: Stdio, mut command: Command) -> (Option<i32>, String) {
    command.stdout(stdout).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}

#[tokio::test]
async fn a_closed_stdout_is_read_enough_and_a_full_one_an_error() {
    let program = Program::start(&[]).await;
    program.feed(&song(1, "One")).await;
    let state = program.folder.path().join("state");
    crate::store::killed::written(&state, 1).await;
    let port = program.address.port().to_string();
    let zetta = program.zetta.to_string();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["check"],
        &["check", "--help"],
        &["simulate", "--help"],
        &["history"],
        &["history", "--csv"],
        &["healthcheck", "--host", "127.0.0.1", "--port", &port],
        &["simulate", &zetta, "--items", "2", "--speed", "3600"],
    ] {
        let command = || command(program.folder.path(), arguments);
        let (code, stderr) = printed_to(closed(), command()).await;
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        let (code, stderr) = printed_to(full(), command()).await;
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("server: ") && last.contains("No space left on device"),
            "{arguments:?}: {stderr}"
        );
    }
}

/// If stderr cannot be written either, the exit code still tells the result.
#[tokio::test]
async fn the_exit_code_tells_the_result_if_stderr_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.toml");
    writeln!(File::create(&wrong).unwrap(), "nothing = 1").unwrap();
    let wrong = wrong.to_str().unwrap();
    for (arguments, expected) in [
        (&["--nothing"][..], 2),
        (&["check", "--config", wrong], 1),
        (&["--config", wrong], 1),
        (&["history", "--state", "elsewhere"], 1),
        (&["healthcheck", "--host", "127.0.0.1", "--port", "1"], 1),
        (&["--host", "192.0.2.1"], 1),
    ] {
        for stderr in [closed(), full()] {
            let mut command = command(folder.path(), arguments);
            command.stdout(Stdio::null()).stderr(stderr);
            let code = run_code(command).await;
            assert_eq!(code, Some(expected), "{arguments:?}");
        }
    }
    let ended = run(command(folder.path(), &["--help"])).await;
    assert_eq!(ended.code, Some(0));
}

async fn run_code(mut command: Command) -> Option<i32> {
    command.spawn().unwrap().wait().await.unwrap().code()
}
