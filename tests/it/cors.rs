//! Web pages of other origins: what browsers are told, and which pages can't connect.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::client::Client;
use crate::http::{self, Answer, header};
use crate::polling::{open, poll_until};
use crate::server::TestServer;

const PAGE: &str = "https://app.example";
const OTHER: &str = "https://other.example";

/// Names an origin beside the one of the page, so that there is one to find.
const LISTED: &[&str] = &[
    "--cors-origin",
    "capacitor://localhost",
    "--cors-origin",
    "HTTPS://App.Example:443",
];

async fn ask(server: &TestServer, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    http::ask(TcpStream::connect(server.address).await.unwrap(), &request).await
}

fn origin(page: Option<&str>) -> String {
    page.map_or(String::new(), |page| format!("Origin: {page}\r\n"))
}

/// Who may read the answer, whether with credentials, and on what that depends.
fn told(answer: &Answer) -> [Option<&str>; 3] {
    [
        header(answer, "access-control-allow-origin"),
        header(answer, "access-control-allow-credentials"),
        header(answer, "vary"),
    ]
}

fn says_nothing(answer: &Answer) -> bool {
    !answer.head.to_lowercase().contains("access-control")
}

const ALL: [Option<&str>; 3] = [Some("*"), None, None];
const ECHO: [Option<&str>; 3] = [Some(PAGE), None, Some("Origin")];
const CREDENTIALS: [Option<&str>; 3] = [Some(PAGE), Some("true"), Some("Origin")];
const NOBODY: [Option<&str>; 3] = [None, None, Some("Origin")];

#[tokio::test]
async fn every_answer_says_which_page_may_read_it() {
    // options, origin -> with EIO 3, with EIO 4 and all that is not Socket.IO
    for (options, page, old, new) in [
        (&[][..], Some(PAGE), CREDENTIALS, ALL),
        (&[], None, NOBODY, ALL),
        (&["--cors-origin", "*"], Some(PAGE), CREDENTIALS, ALL),
        (LISTED, Some(PAGE), CREDENTIALS, ECHO),
        (LISTED, None, NOBODY, NOBODY),
    ] {
        let server = TestServer::start_with(options).await;
        let headers = origin(page);
        for (eio, expected) in [(3, old), (4, new)] {
            let opening = format!("/socket.io/?EIO={eio}&transport=polling");
            let session = open(&server, eio).await;
            let bus = if eio == 3 { "7:40/bus," } else { "40/bus," };
            let unknown = format!("{opening}&sid=AAAAAAAAAAAAAAAA");
            // In this order: the answer to the poll is there after the POST.
            for (method, target, body, status) in [
                ("GET", &opening, "", 200),
                ("POST", &session, bus, 200),
                ("GET", &session, "", 200),
                ("GET", &unknown, "", 400),
            ] {
                let answer = ask(&server, method, target, &headers, body).await;
                assert_eq!(answer.status, status, "{method} {target} {}", answer.body);
                let said = told(&answer);
                assert_eq!(said, expected, "{options:?} {page:?} {method} {target}");
            }
        }
        for (method, target, status) in [
            ("GET", "/health", 200),
            ("GET", "/healthcheck", 200),
            // The version is Socket.IO's word.
            ("GET", "/health?EIO=3", 200),
            ("POST", "/health", 405),
            ("GET", "/nothing", 404),
        ] {
            let answer = ask(&server, method, target, &headers, "").await;
            assert_eq!(answer.status, status, "{method} {target}");
            assert_eq!(told(&answer), new, "{options:?} {page:?} {method} {target}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_preflight_is_answered_with_what_it_asks_for() {
    let asks = "Access-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: content-type, x-own\r\n";
    let socketio = |eio| format!("/socket.io/?EIO={eio}&transport=polling&sid=A");
    for (options, old, new) in [(&[][..], CREDENTIALS, ALL), (LISTED, CREDENTIALS, ECHO)] {
        let server = TestServer::start_with(options).await;
        for (target, expected) in [
            (socketio(3), old),
            (socketio(4), new),
            ("/health".to_owned(), new),
            ("/bus-message/r".to_owned(), new),
        ] {
            let headers = format!("{}{asks}", origin(Some(PAGE)));
            let answer = ask(&server, "OPTIONS", &target, &headers, "").await;
            assert_eq!(answer.status, 204, "{target}");
            assert_eq!(told(&answer), expected, "{options:?} {target}");
            for (name, value) in [
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-headers", "content-type, x-own"),
                ("access-control-max-age", "7200"),
            ] {
                assert_eq!(header(&answer, name), Some(value), "{target}");
            }
        }
        // Not of a page, so no question of a browser.
        let answer = ask(&server, "OPTIONS", "/health", "", "").await;
        assert_eq!(answer.status, 405);
        server.stop().await;
    }
    let server = TestServer::start_with(LISTED).await;
    let headers = format!("{}{asks}", origin(Some(OTHER)));
    for (target, status) in [("/health", 204), (&socketio(4), 403)] {
        let answer = ask(&server, "OPTIONS", target, &headers, "").await;
        assert_eq!(answer.status, status, "{target}");
        assert!(says_nothing(&answer), "{target}: {}", answer.head);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_is_not_let_in_gets_no_session_and_none_of_others() {
    let server = TestServer::start_with(LISTED).await;
    for eio in [3, 4] {
        let opening = format!("/socket.io/?EIO={eio}&transport=polling");
        let session = open(&server, eio).await;
        let no_slash = opening.replace("/?", "?");
        for page in [
            OTHER,
            "null",
            "http://app.example",
            "https://app.example:8443",
        ] {
            for (method, target) in [
                ("GET", &opening),
                ("GET", &no_slash),
                ("GET", &session),
                ("POST", &session),
            ] {
                let answer = ask(&server, method, target, &origin(Some(page)), "").await;
                assert_eq!(answer.status, 403, "{page} {method} {target}");
                assert!(says_nothing(&answer), "{}", answer.head);
                let kind = header(&answer, "content-type");
                assert_eq!(kind, Some("application/json"));
                let error: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(error["code"], 4);
                let message = error["message"].as_str().unwrap();
                assert!(message.contains("--cors-origin"), "{message}");
            }
        }
        // The session is still its owner's, who is no web page.
        let bus = if eio == 3 { "7:40/bus," } else { "40/bus," };
        assert_eq!(ask(&server, "POST", &session, "", bus).await.status, 200);
        poll_until(&server, &session, "40/bus").await;
        // What is no Socket.IO is answered, but no page of elsewhere reads it.
        let answer = ask(&server, "GET", "/health", &origin(Some(OTHER)), "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(told(&answer), NOBODY);
    }
    server.stop().await;
}

/// The status that the request for a WebSocket is answered with.
pub async fn upgrade(server: SocketAddr, target: &str, page: Option<&str>) -> u16 {
    let url = format!("ws://{server}{target}");
    let mut request = url.into_client_request().unwrap();
    if let Some(page) = page {
        let page = page.parse().unwrap();
        request.headers_mut().insert("origin", page);
    }
    let tcp = TcpStream::connect(server).await.unwrap();
    match client_async(request, tcp).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(Error::Http(answer)) => {
            let headers = answer.headers();
            assert!(!headers.contains_key("access-control-allow-origin"));
            answer.status().as_u16()
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_websocket_is_for_the_pages_that_are_let_in_and_for_what_is_none() {
    for (options, page, status) in [
        (&[][..], None, 101),
        (&[], Some(PAGE), 101),
        (&[], Some("null"), 101),
        (LISTED, None, 101),
        (LISTED, Some(PAGE), 101),
        (LISTED, Some("capacitor://localhost"), 101),
        // No page: Swift's SDK, which says where it connects to.
        (LISTED, Some("ws://127.0.0.1:3000"), 101),
        (LISTED, Some("wss://radio.example"), 101),
        (LISTED, Some(OTHER), 403),
        (LISTED, Some("http://app.example"), 403),
        (LISTED, Some("null"), 403),
    ] {
        let server = TestServer::start_with(options).await;
        for eio in [3, 4] {
            let begins = format!("/socket.io/?EIO={eio}&transport=websocket");
            let session = open(&server, eio).await;
            let goes_on = session.replace("transport=polling", "transport=websocket");
            for target in [begins, goes_on] {
                let found = upgrade(server.address, &target, page).await;
                assert_eq!(found, status, "{options:?} {page:?} {target}");
            }
        }
        // Whatever else a WebSocket is asked of.
        let elsewhere = if status == 101 { 404 } else { status };
        assert_eq!(upgrade(server.address, "/elsewhere", page).await, elsewhere);
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_for_pages_stays_closed_to_them() {
    for options in [&[][..], LISTED] {
        let server = TestServer::start_with(options).await;
        let mut client = Client::connect(server.address, "/bus").await.unwrap();
        client.join("r").await;
        let headers = origin(Some(PAGE));
        for (method, status) in [("GET", 200), ("OPTIONS", 405)] {
            let answer = ask(&server, method, "/metrics", &headers, "").await;
            assert_eq!(answer.status, status, "{method}");
            assert!(says_nothing(&answer), "{method} {}", answer.head);
        }
        // The page may read why, and that is all.
        let answer = ask(&server, "POST", "/bus-message/r", &headers, "1").await;
        assert_eq!(answer.status, 403);
        let answer = ask(&server, "POST", "/bus-message/r", "", "2").await;
        assert_eq!(answer.status, 200);
        assert_eq!(client.next().await["message"], 2);
        server.stop().await;
    }
}
