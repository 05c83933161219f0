//! TLS: the certificate, its exchange while running, and the acceptor. Knows
//! nothing of what is spoken inside.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::certificate::{self, Certificate};
pub use super::certificate::{CERT_FILE, KEY_FILE, TlsError};

/// How often the files are looked at. A change is taken when it has been the
/// same twice, so that a file half written is not read.
pub const WATCH: Duration = Duration::from_secs(2);

/// Time between attempts to renew where one has failed.
const RETRY: Duration = Duration::from_secs(3600);

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// One's own: PEM files, the chain with the server's certificate first.
    Files {
        /// The certificate chain.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Self-signed, made in this folder at first use and renewed there.
    SelfSigned(PathBuf),
}

impl Source {
    fn paths(&self) -> (PathBuf, PathBuf) {
        match self {
            Self::Files { cert, key } => (cert.clone(), key.clone()),
            Self::SelfSigned(dir) => (dir.join(CERT_FILE), dir.join(KEY_FILE)),
        }
    }
}

/// The certificate in use, and the acceptor that shows it; clones are the same.
#[derive(Clone)]
pub struct Acceptor {
    acceptor: tokio_rustls::TlsAcceptor,
    current: Arc<Current>,
    source: Source,
}

impl Acceptor {
    /// Loads the certificate; a self-signed one is made or renewed if need be.
    ///
    /// Reads files, so it blocks for a moment.
    ///
    /// # Errors
    /// [`TlsError`], which names the file and what is wrong with it.
    pub fn load(source: Source) -> Result<Self, TlsError> {
        let current = Arc::new(Current {
            loaded: RwLock::new(read(&source)?),
        });
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        // No h2: WebSockets and the engine speak HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Keeps no session here: all clients of a restarted proxy come back
        // at once, and a cache of them would be too small or too big.
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self {
            acceptor: tokio_rustls::TlsAcceptor::from(Arc::new(config)),
            current,
            source,
        })
    }

    /// When the certificate in use ends.
    #[must_use]
    pub fn not_after(&self) -> DateTime<Utc> {
        self.current.get().0.not_after
    }

    /// Whether the certificate is the operator's own, and not made by this server.
    #[must_use]
    pub fn is_certified(&self) -> bool {
        matches!(self.source, Source::Files { .. })
    }

    /// The files of the certificate and of its key.
    #[must_use]
    pub fn paths(&self) -> (PathBuf, PathBuf) {
        self.source.paths()
    }

    /// Loads the files again; connections that are open stay as they are.
    ///
    /// Reads files, so it blocks for a moment.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate in use stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let loaded = read(&self.source)?;
        *self
            .current
            .loaded
            .write()
            .unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// As [`reload`](Self::reload), off the async threads; logs the outcome.
    pub async fn reload_and_log(&self) {
        let this = self.clone();
        let outcome = tokio::task::spawn_blocking(move || this.reload()).await;
        let (cert, _) = self.paths();
        match outcome {
            Ok(Ok(())) => {
                info!(file = %cert.display(), until = %self.not_after(), "certificate exchanged");
            }
            Ok(Err(error)) => error!(%error, "certificate not exchanged; the old one stays"),
            Err(error) => error!(%error, "certificate not exchanged; the old one stays"),
        }
    }

    /// Watches the files, looking every `every`, until `shutdown`.
    ///
    /// Also renews a self-signed certificate in time.
    pub async fn watch(self, every: Duration, shutdown: CancellationToken) {
        // A change that was refused is tried once, a renewal once an hour.
        let mut refused = None;
        let mut renewed: Option<Instant> = None;
        let mut before = self.current.get().1;
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = self.stamps().await;
            let settled = now == before;
            before = now;
            let changed = settled && now != self.current.get().1 && Some(now) != refused;
            let due = self.is_due() && renewed.is_none_or(|at| at.elapsed() >= RETRY);
            if due {
                renewed = Some(Instant::now());
            }
            if changed || due {
                self.reload_and_log().await;
                refused = Some(now);
            }
        }
    }

    pub(super) async fn accept<T>(&self, io: T) -> io::Result<TlsStream<T>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(io).await
    }

    fn is_due(&self) -> bool {
        matches!(self.source, Source::SelfSigned(_)) && self.current.get().0.is_due(Utc::now())
    }

    async fn stamps(&self) -> Stamps {
        let source = self.source.clone();
        let stamps = tokio::task::spawn_blocking(move || stamps(&source)).await;
        // The runtime is ending: nothing has changed.
        stamps.unwrap_or(self.current.get().1)
    }
}

/// The certificate that new connections are shown.
#[derive(Debug)]
struct Current {
    /// Guards the exchange; held for the clone of an `Arc` only. The stamps
    /// are those of the files before they were read.
    loaded: RwLock<(Certificate, Stamps)>,
}

impl Current {
    fn get(&self) -> (Certificate, Stamps) {
        self.loaded
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().0.key)
    }
}

/// By what a changed file is known: its time and its length, of both.
type Stamps = [Option<(SystemTime, u64)>; 2];

fn read(source: &Source) -> Result<(Certificate, Stamps), TlsError> {
    let (cert, key) = source.paths();
    let loaded = match source {
        Source::Files { .. } => {
            let stamps = stamps(source);
            (certificate::load(&cert, &key)?, stamps)
        }
        Source::SelfSigned(dir) => {
            let certificate = certificate::load_or_make(dir, Utc::now())?;
            // After: they may have been made just now.
            (certificate, stamps(source))
        }
    };
    if let Some(why) = loaded.0.untimely(Utc::now()) {
        warn!(file = %cert.display(), "{why}: clients refuse it");
    }
    Ok(loaded)
}

fn stamps(source: &Source) -> Stamps {
    let (cert, key) = source.paths();
    [cert, key].map(|path| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    })
}
