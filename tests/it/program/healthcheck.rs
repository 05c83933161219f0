//! `server healthcheck`: what it asks, what it makes of the answer, and its exit code.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::{Ended, Program, command, run};
use crate::server::TestServer;

async fn healthcheck(folder: &Path, options: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = command(folder, &[&["healthcheck"], options].concat());
    command.envs(env.iter().copied());
    run(command).await
}

/// Where it asks follows the flags, the environment and the file, as the server does.
#[tokio::test]
async fn a_server_that_runs_is_well() {
    for (scheme, https) in [("http", &[][..]), ("https", &["--https"])] {
        let program = Program::start(https).await;
        let folder = program.folder.path();
        let port = program.address.port().to_string();
        let file = format!("port = {port}\nhttps = {}\n", !https.is_empty());
        std::fs::write(folder.join("my.toml"), file).unwrap();
        let variable = if https.is_empty() { "" } else { "true" };
        let by_flags = [&["--port", &port][..], https].concat();
        for (options, env) in [
            (&by_flags[..], &[][..]),
            (&["--config", "my.toml"], &[]),
            (
                &[],
                &[("ROOMCAST_PORT", &*port), ("ROOMCAST_HTTPS", variable)],
            ),
        ] {
            // It listens at 127.0.0.1, and is asked there by default.
            let ended = healthcheck(folder, options, env).await;
            assert_eq!(ended.code, Some(0), "{options:?} {env:?}: {}", ended.stderr);
            let said = format!("{scheme}://127.0.0.1:{port}/health answers 200 OK\n");
            assert_eq!((&*ended.stdout, &*ended.stderr), (&*said, ""));
        }
    }
}

#[tokio::test]
async fn the_scheme_has_to_be_that_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    for (server, asked, reason) in [
        (&[][..], &["--https"][..], "no TLS at https://127.0.0.1:"),
        (&["--https"], &[], "/health answers 400 Bad Request"),
    ] {
        let program = Program::start(server).await;
        let port = program.address.port().to_string();
        let options = [&["--port", &port], asked].concat();
        let ended = healthcheck(folder.path(), &options, &[]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_server_that_stops_is_not_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start().await;
    server.hub.stop().await;
    let address = server.address.to_string();
    let ended = healthcheck(folder.path(), &["--port", &address], &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    let said = format!("server: http://{address}/health answers 503 Service Unavailable\n");
    assert_eq!((&*ended.stderr, &*ended.stdout), (&*said, ""));
    server.stop().await;
}

#[tokio::test]
async fn nobody_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // Bound and not listening: nobody else gets the port meanwhile.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    for (port, reason) in [
        (&*port, "/health can't be reached: "),
        ("0", "--port 0 takes any port that is free"),
    ] {
        let ended = healthcheck(folder.path(), &["--port", port], &[]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

/// What else may listen there: it is told from the server, and never waited for
/// longer than a probe waits.
#[tokio::test]
async fn somebody_else_is_not_the_server() {
    let folder = tempfile::tempdir().unwrap();
    for (says, https, reason) in [
        ("", &[][..], "/health does not answer within 3 s"),
        ("", &["--https"], "/health does not answer within 3 s"),
        ("HTTP/1.1 200", &[], "/health does not answer within 3 s"),
        ("SSH-2.0-x\r\n", &[], "no HTTP answer from http://"),
        ("SSH-2.0-x\r\n", &["--https"], "no TLS at https://"),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n",
            &[],
            "/health answers 404 Not Found",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /health\r\n\r\n",
            &[],
            "/health answers 302 Found",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let other = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
            stream.write_all(says.as_bytes()).await.unwrap();
            // Held open, until the one who asks has gone.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let options = [&["--port", &port], https].concat();
        let ended = healthcheck(folder.path(), &options, &[]).await;
        assert_eq!(ended.code, Some(1), "{says:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(reason), "{says:?}: {}", ended.stderr);
        other.await.unwrap();
    }
}

/// A setting that is wrong is wrong here as well.
#[tokio::test]
async fn wrong_usage_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let ended = healthcheck(folder.path(), &["--port", "x"], &[]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}
