//! TLS on the same listener: versions, plain HTTP by mistake, new certificates.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roomcast::net::tls::{Acceptor, Source};
pub use roomcast::net::tls::{CERT_FILE, KEY_FILE};
use roomcast::net::{Limits, tls::TlsError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::served::{Served, ask, long, read_all};

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

pub fn self_signed(dir: &Path) -> Acceptor {
    Acceptor::load(Source::SelfSigned(dir.to_owned())).unwrap()
}

/// Connects as one who trusts the certificate in `dir`, and no other.
pub async fn connect(
    served: &Served,
    dir: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    handshake(served.connect().await, &dir.join(CERT_FILE), versions).await
}

/// Greets a server as one who trusts the certificate in a file, and no other.
pub async fn handshake(
    tcp: TcpStream,
    cert: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(cert).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    long(connector.connect(name, tcp)).await
}

#[tokio::test]
async fn both_versions_are_spoken_and_only_http_1() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(Limits::default(), Some(self_signed(dir.path())));
    for (versions, version) in [
        (&[&TLS12], ProtocolVersion::TLSv1_2),
        (&[&TLS13], ProtocolVersion::TLSv1_3),
    ] {
        let mut client = connect(&served, dir.path(), versions).await.unwrap();
        assert_eq!(client.get_ref().1.protocol_version(), Some(version));
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = ask(&mut client, GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(Limits::default(), Some(self_signed(dir.path())));
    let mut client = served.connect().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    assert!(answer.contains("This port speaks HTTPS"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        handshake: Duration::from_millis(100),
        ..Limits::default()
    };
    let served = Served::new(limits, Some(self_signed(dir.path())));
    let mut silent = served.connect().await;
    let mut begun = served.connect().await;
    begun.write_all(&[0x16, 3, 1]).await.unwrap();
    for client in [&mut silent, &mut begun] {
        assert_eq!(read_all(client).await, "");
    }
}

#[tokio::test]
async fn one_connection_too_many_gets_503_inside_tls() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        connections: 0,
        ..Limits::default()
    };
    let served = Served::new(limits, Some(self_signed(dir.path())));
    let mut client = connect(&served, dir.path(), BOTH).await.unwrap();
    client.write_all(GET.as_bytes()).await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

fn copy(from: &Path, to: &Path) {
    for file in [CERT_FILE, KEY_FILE] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_only() {
    let [dir, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (dir, new) = (dir.path(), new.path());
    let acceptor = self_signed(dir);
    self_signed(new);
    let served = Served::new(Limits::default(), Some(acceptor.clone()));
    let mut old = connect(&served, dir, BOTH).await.unwrap();
    ask(&mut old, GET).await;

    // Only one of the two: the pair in use stays.
    std::fs::copy(new.join(KEY_FILE), dir.join(KEY_FILE)).unwrap();
    let error = acceptor.reload().unwrap_err();
    assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
    connect(&served, dir, BOTH).await.unwrap();

    std::fs::copy(new.join(CERT_FILE), dir.join(CERT_FILE)).unwrap();
    acceptor.reload().unwrap();
    let answer = ask(&mut old, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut client = connect(&served, new, BOTH).await.unwrap();
    ask(&mut client, GET).await;
}

#[tokio::test]
async fn changed_files_are_found_by_the_watch() {
    let [dir, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let acceptor = Acceptor::load(Source::Files {
        cert: {
            self_signed(dir.path());
            dir.path().join(CERT_FILE)
        },
        key: dir.path().join(KEY_FILE),
    })
    .unwrap();
    self_signed(new.path());
    let served = Served::new(Limits::default(), Some(acceptor.clone()));
    let stop = CancellationToken::new();
    let watch = acceptor.watch(Duration::from_millis(10), stop.clone());
    let watch = tokio::spawn(watch);
    connect(&served, dir.path(), BOTH).await.unwrap();
    copy(new.path(), dir.path());
    let seen = async { while connect(&served, new.path(), BOTH).await.is_err() {} };
    long(seen).await;
    stop.cancel();
    long(watch).await.unwrap();
}
