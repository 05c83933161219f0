//! The HTTP client by which the backend is called: its connections, and whose
//! certificates it believes. Knows no call.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::Scheme;
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as PooledClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::backend::IDLE_MOST;
use super::settings::Settings;
use crate::net::PemFile;

/// How long an idle connection to the backend is kept: less than most servers keep
/// theirs, so that a call does not meet its end.
const IDLE: Duration = Duration::from_secs(4);

/// How long a connection may take: a backend that lets none come is down, and one that
/// is slow to answer is not.
const CONNECT_MOST: Duration = Duration::from_secs(5);

pub(super) type Client = PooledClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The certificates of `--target-ca` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The file can't be read, or holds no certificate.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system's can't be read.
    #[error("the system's certificate authorities can't be read: {0}")]
    System(#[from] io::Error),
}

/// Whether these authorities can be used.
///
/// # Errors
/// They can't.
pub fn check_ca(file: &Path) -> Result<(), CaError> {
    read_roots(file).map(drop)
}

pub(super) fn client(settings: &Settings) -> Result<Client, CaError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(settings.limit().min(CONNECT_MOST)));
    let connector = HttpsConnectorBuilder::new();
    let connector = match &settings.ca {
        Some(file) => connector.with_tls_config(trusting(read_roots(file)?)),
        None if settings.target.scheme() == Some(&Scheme::HTTPS) => {
            connector.with_native_roots()?
        }
        // Nothing is verified, and there may be a system without authorities.
        None => connector.with_tls_config(trusting(RootCertStore::empty())),
    };
    let connector = connector
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(PooledClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MOST)
        .build(connector))
}

fn read_roots(file: &Path) -> Result<RootCertStore, CaError> {
    let wrong = |why: String| CaError::File {
        file: file.to_owned(),
        why,
    };
    let mut roots = RootCertStore::empty();
    let text = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    if let Some(why) = PemFile::Certificates.fault(&text) {
        return Err(wrong(why));
    }
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let added = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(added).map_err(|e| wrong(e.to_string()))?;
    }
    Ok(roots)
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions();
    let config = config.expect("ring knows TLS 1.2 and 1.3");
    config.with_root_certificates(roots).with_no_client_auth()
}
