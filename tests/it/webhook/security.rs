//! Who is believed: calls by their signature, the backend by its certificate, and who
//! comes to the REST side by the key. What is secret stays so.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{Method, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ring::hmac;
use roomcast::doors::webhook::Needs;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

use super::backend::{Backend, Called, Does, ok};
use super::door::{Door, needs};
use super::{Client, answered, rest};

/// 24 bytes, the fewest that a secret may have.
const SECRET: [u8; 24] = *b"what only the two know..";

fn signs(call: &Called) -> bool {
    let signed = [
        call.header("webhook-id").as_bytes(),
        b".",
        call.header("webhook-timestamp").as_bytes(),
        b".",
        &call.body,
    ];
    let signature = call.header("webhook-signature").strip_prefix("v1,");
    let signature = BASE64_STANDARD.decode(signature.unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    hmac::verify(&key, &signed.concat(), &signature).is_ok()
}

/// Whether `roomcast-signature` is that of a call with this method and path.
fn signs_as(call: &Called, method: &str, path: &str) -> bool {
    let (id, time) = (call.header("webhook-id"), call.header("webhook-timestamp"));
    let head = format!("{id}\n{time}\n{method}\n{path}\n");
    let signature = call.header("roomcast-signature").strip_prefix("v1,");
    let signature = BASE64_STANDARD.decode(signature.unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let signed = [head.as_bytes(), &call.body].concat();
    hmac::verify(&key, &signed, &signature).is_ok()
}

#[tokio::test]
async fn a_message_can_not_pose_as_a_notice() {
    let backend = Backend::start().await;
    let mut needs = needs(&backend);
    needs.backend.target = format!("{}?a=b.c", backend.target()).parse().unwrap();
    let secret = format!("whsec_{}", BASE64_STANDARD.encode(SECRET));
    needs.backend.secret = Some(secret.parse().unwrap());
    let door = Door::open(needs).unwrap();
    let mut client = Client::connect(door.ws).await.unwrap();
    let id = backend.called(1).await[0].id.clone();
    let notice = format!(r#"{{"code":"CONNECTION_CLOSE","ws_uri":"http://gateway.example/{id}"}}"#);
    client.send(&*notice).await;
    // The text that would be signed for a notice if its parts were joined by dots.
    let posing = format!("DELETE./websocket/{id}?a=b.c.{notice}");
    client.send(&*posing).await;
    backend.called(3).await;
    drop(client);
    let calls = backend.called(4).await;
    assert_eq!(calls[3].text(), notice);
    for call in &calls {
        let path = format!("{}?a=b.c", call.path);
        for method in ["POST", "PUT", "DELETE"] {
            let is_it = call.method.as_str() == method;
            assert_eq!(signs_as(call, method, &path), is_it, "{method} {call:?}");
        }
        let other = path.replace(&id, &id.replace(char::is_alphabetic, "0"));
        assert!(other == path || !signs_as(call, call.method.as_str(), &other));
        // The standard signature, which libraries check, does not tell them apart.
        assert!(signs(call));
        assert_ne!(
            call.header("webhook-signature"),
            call.header("roomcast-signature")
        );
    }
}

#[tokio::test]
async fn every_call_is_signed_with_the_time_of_its_try() {
    let backend = Backend::start().await;
    let mut needs = needs(&backend);
    let secret = format!("whsec_{}", BASE64_STANDARD.encode(SECRET));
    needs.backend.secret = Some(secret.parse().unwrap());
    let door = Door::open(needs).unwrap();
    let mut client = Client::connect(door.ws).await.unwrap();
    let failed = AtomicBool::new(false);
    backend.does(
        move |call| match call.body == "again" && !failed.swap(true, Ordering::Relaxed) {
            true => Does::Wants(503, Some(2)),
            false => ok(),
        },
    );
    for message in [
        Message::text(r#"{"a": 1.50}"#),
        Message::binary(vec![0, 255, 1]),
        Message::text(""),
        Message::text("again"),
    ] {
        client.send(message).await;
    }
    let tried = backend.called(6).await;
    drop(client);
    let calls = backend.called(7).await;
    let methods: Vec<_> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(
        methods,
        ["POST", "PUT", "PUT", "PUT", "PUT", "PUT", "DELETE"]
    );
    for call in &calls {
        assert!(signs(call), "{call:?}");
        let changed = Called {
            body: [&call.body[..], b" "].concat().into(),
            ..call.clone()
        };
        assert!(!signs(&changed));
    }
    let [.., first, second] = &tried[..] else {
        panic!("{tried:?}");
    };
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    let time = |call: &Called| call.header("webhook-timestamp").parse::<u64>().unwrap();
    assert!(time(second) > time(first), "{first:?} {second:?}");
}

#[tokio::test]
async fn without_the_key_nothing_is_done() {
    const KEY: &str = "0123456789abcdef";
    let backend = Backend::start().await;
    let door = Door::open(Needs {
        key: Some(KEY.parse().unwrap()),
        ..needs(&backend)
    });
    let door = door.unwrap();
    let mut client = Client::connect(door.ws).await.unwrap();
    let id = backend.called(1).await[0].id.clone();
    let [own, room] = [format!("/{id}"), format!("/{id}/rooms/bus/r1")];
    let routes = [
        ("GET", &own),
        ("PUT", &own),
        ("DELETE", &own),
        ("PUT", &room),
        ("DELETE", &room),
    ];
    for (authorization, status) in [
        ("", 401),
        ("Authorization: Basic MDEyMzQ1Njc4OWFiY2RlZg==\r\n", 401),
        ("Authorization: Bearer 0123456789abcdeF\r\n", 403),
        ("Authorization: Bearer \r\n", 401),
        ("Authorization: Bearer 0123456789abcdef0\r\n", 403),
    ] {
        for (method, path) in routes {
            let answer = rest(door.rest, method, path, authorization, "x").await;
            let code = if status == 401 {
                "UNAUTHORIZED"
            } else {
                "FORBIDDEN"
            };
            let expected = (status, code.to_owned());
            assert_eq!(answered(&answer), expected, "{method} {authorization}");
        }
    }
    let key = format!("Authorization: Bearer {KEY}\r\n");
    let about = rest(door.rest, "GET", &own, &key, "").await.body;
    assert!(about.contains(r#""rooms":[]"#), "{about}");
    // The first that comes is the first that was allowed.
    rest(door.rest, "PUT", &own, &key, "hello").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn without_a_key_web_pages_and_strangers_are_refused() {
    let backend = Backend::start().await;
    let door = Door::open(needs(&backend)).unwrap();
    let mut client = Client::connect(door.ws).await.unwrap();
    let path = format!("/{}", backend.called(1).await[0].id);
    for method in ["GET", "PUT", "DELETE"] {
        for headers in [
            "Origin: http://localhost\r\n",
            // A web page by DNS rebinding, and a proxy before the port.
            "Host: evil.example\r\n",
            "X-Forwarded-For: 127.0.0.1\r\n",
        ] {
            let answer = rest(door.rest, method, &path, headers, "x").await;
            let refused = (403, "FORBIDDEN".into());
            assert_eq!(answered(&answer), refused, "{method} {headers}");
        }
    }
    rest(door.rest, "PUT", &path, "", "hello").await;
    assert_eq!(client.text().await, "hello");
}

#[tokio::test]
async fn a_backend_is_who_its_authority_says_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let [known, unknown] = ["known.pem", "unknown.pem"].map(|name| folder.path().join(name));
    authority(&unknown);
    let issuer = authority(&known);
    let backend = Backend::start().await;
    for (name, ca, status) in [
        ("localhost", Some(&known), None),
        ("127.0.0.1", Some(&known), Some(502)),
        ("localhost", Some(&unknown), Some(502)),
        ("localhost", None, Some(502)),
    ] {
        let front = tls_before(backend.address, &issuer).await;
        let target = format!("https://{name}:{}/websocket", front.port());
        let mut needs = needs(&backend);
        needs.backend.target = target.parse::<Uri>().unwrap();
        needs.backend.ca = ca.cloned();
        let door = Door::open(needs).unwrap();
        let mut client = Client::connect(door.ws).await;
        assert_eq!(client.as_ref().err().copied(), status, "{name} {ca:?}");
        if let Ok(client) = &mut client {
            client.send("hello").await;
            let calls = backend.called(2).await;
            assert_eq!(
                (&calls[1].method, &*calls[1].text()),
                (&Method::PUT, "hello")
            );
        }
    }
    // Who was refused has reached nobody.
    let asked = backend
        .calls()
        .into_iter()
        .filter(|call| call.method == Method::POST);
    assert_eq!(asked.count(), 1);
}

#[tokio::test]
async fn an_authority_that_cannot_be_read_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let [missing, empty] = ["missing.pem", "empty.pem"].map(|name| folder.path().join(name));
    std::fs::write(&empty, "nothing").unwrap();
    for file in [missing, empty] {
        let mut needs = needs(&Backend::start().await);
        needs.backend.ca = Some(file.clone());
        let error = Door::open(needs).err().unwrap().to_string();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
    }
}

/// Makes an authority, whose certificate is in the file.
fn authority(file: &Path) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

/// Speaks TLS as `localhost`, for who does not itself.
async fn tls_before(backend: SocketAddr, issuer: &Issuer<'static, KeyPair>) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // Who does not trust it goes away.
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let mut plain = TcpStream::connect(backend).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut tls, &mut plain).await });
            }
        }
    });
    address
}
