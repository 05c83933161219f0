//! The Socket.IO client that pages load from the server: `/socket.io/socket.io.js`.

use std::fs;

use tokio::net::TcpStream;

use crate::http::{self, Answer, header};
use crate::server::TestServer;

const SCRIPT: &str = "window.io = () => 'a client';\n";

async fn ask(server: &TestServer, method: &str, target: &str, headers: &str) -> Answer {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    let stream = TcpStream::connect(server.address).await.unwrap();
    http::ask(stream, request).await
}

#[tokio::test]
async fn a_page_loads_the_client_of_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("socket.io.js");
    fs::write(&file, SCRIPT).unwrap();
    let server = TestServer::start_with(&["--socketio-client", file.to_str().unwrap()]).await;
    let mut tag = String::new();
    for (method, target, body) in [
        ("GET", "/socket.io/socket.io.js", SCRIPT),
        ("GET", "/socket.io/socket.io.js?v=2", SCRIPT),
        ("GET", "/socket.io/socket.io.min.js", SCRIPT),
        ("HEAD", "/socket.io/socket.io.js", ""),
    ] {
        let answer = ask(&server, method, target, "Origin: https://a.example\r\n").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
        let length = SCRIPT.len().to_string();
        for (name, value) in [
            ("content-type", "application/javascript; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("content-length", &length),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{method} {target}");
        }
        tag = header(&answer, "etag").unwrap().to_owned();
    }
    let known = format!("If-None-Match: {tag}\r\n");
    let answer = ask(&server, "GET", "/socket.io/socket.io.js", &known).await;
    assert_eq!((answer.status, answer.body.as_str()), (304, ""));
    assert_eq!(header(&answer, "etag"), Some(&*tag));
    server.stop().await;
}

#[tokio::test]
async fn without_the_option_the_answer_says_what_to_do() {
    let server = TestServer::start().await;
    for (method, target, status) in [
        ("GET", "/socket.io/socket.io.js", 404),
        ("HEAD", "/socket.io/socket.io.min.js?v=2", 404),
        // As for every other request that Engine.IO does not know.
        ("POST", "/socket.io/socket.io.js", 400),
        ("GET", "/socket.io/socket.io.js.map", 400),
        ("GET", "/socket.io/", 400),
    ] {
        let answer = ask(&server, method, target, "").await;
        assert_eq!(answer.status, status, "{method} {target}");
        if status == 404 {
            let kind = header(&answer, "content-type");
            assert_eq!(kind, Some("text/plain; charset=utf-8"));
        }
        if method == "GET" && status == 404 {
            assert!(answer.body.contains("--socketio-client FILE"));
        }
    }
    server.stop().await;
}
