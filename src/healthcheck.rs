//! `server healthcheck`: asks the server that runs with the same settings how it
//! is. Knows where the main port listens and no more: neither settings nor rooms.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long the answer may take, from connecting on.
///
/// A server that works answers in milliseconds. Below what deploy/Dockerfile
/// grants its HEALTHCHECK, so that the reason is said before that gives up.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Where the server says how it is: 200 also when degraded, 503 while stopping.
const TARGET: &str = "/health";

/// Why a server does not count as well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// The port is chosen when the server starts, and known to nobody else.
    #[error("--port 0 takes any port that is free: say which one the server has taken")]
    AnyPort,
    /// Nobody listens there.
    #[error("{0} can't be reached")]
    Unreachable(String, #[source] io::Error),
    /// Who listens there does not speak TLS.
    #[error("no TLS at {0}")]
    NotTls(String, #[source] io::Error),
    /// TLS can't be set up at all.
    #[error("TLS can't be set up")]
    Setup(#[source] rustls::Error),
    /// Who listens there does not speak HTTP, or breaks off.
    #[error("no HTTP answer from {0}")]
    NotHttp(String, #[source] hyper::Error),
    /// Who listens there says nothing.
    #[error("{0} does not answer within {limit} s", limit = ANSWER_WITHIN.as_secs())]
    Silent(String),
    /// The answer is not 200.
    #[error("{0} answers {1}")]
    Status(String, StatusCode),
}

/// Asks the server that listens there; says in words what it answered.
///
/// # Errors
/// [`Unwell`], unless the answer is 200.
pub async fn ask(listen: SocketAddr, https: bool) -> Result<String, Unwell> {
    let address = reachable(listen);
    if address.port() == 0 {
        return Err(Unwell::AnyPort);
    }
    let scheme = if https { "https" } else { "http" };
    let url = format!("{scheme}://{address}{TARGET}");
    let asked = status(address, https, &url);
    let status = timeout(ANSWER_WITHIN, asked)
        .await
        .map_err(|_| Unwell::Silent(url.clone()))??;
    if status == StatusCode::OK {
        Ok(format!("{url} answers {status}"))
    } else {
        Err(Unwell::Status(url, status))
    }
}

/// Where this machine reaches what listens at an address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn status(address: SocketAddr, https: bool, url: &str) -> Result<StatusCode, Unwell> {
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|error| Unwell::Unreachable(url.to_owned(), error))?;
    let answer = if https {
        let connector = TlsConnector::from(Arc::new(client_config()?));
        let name = ServerName::from(address.ip());
        let tls = connector
            .connect(name, tcp)
            .await
            .map_err(|error| Unwell::NotTls(url.to_owned(), error))?;
        get(tls, address).await
    } else {
        get(tcp, address).await
    };
    answer.map_err(|error| Unwell::NotHttp(url.to_owned(), error))
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: SocketAddr,
) -> Result<StatusCode, hyper::Error> {
    let request = Request::get(TARGET)
        .header(header::HOST, host.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("a fixed target and an address are a valid head");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer?.status()),
        // It moves the bytes; that it has ended well says nothing of the answer.
        Err(error) = connection => Err(error),
    }
}

fn client_config() -> Result<ClientConfig, Unwell> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Unwell::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(config)
}

/// Takes whatever certificate is shown.
///
/// The address is one of this machine, and nothing secret is sent or believed:
/// who could answer in the server's place has its port, and so the machine. A
/// certificate is for the server's public name in any case, or self-signed.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_reached_on_this_machine() {
        for (listen, expected) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("192.168.1.2:80", "192.168.1.2:80"),
        ] {
            let reached = reachable(listen.parse().unwrap());
            assert_eq!(reached.to_string(), expected, "{listen}");
        }
    }
}
