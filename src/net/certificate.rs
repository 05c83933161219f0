//! Certificate files: reading a pair, and making a self-signed one. Knows
//! neither connections nor when to look again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tracing::{info, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::pem_file::PemFile;

/// The file of the self-signed certificate in its folder.
pub const CERT_FILE: &str = "cert.pem";

/// The file of its private key.
pub const KEY_FILE: &str = "key.pem";

/// What is wrong with a certificate; the text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A self-signed certificate could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The pair does not belong together.
    #[error("the private key in {} is not that of the certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// One of the two self-signed files is missing.
    #[error("{} is missing beside {}; delete that too to have a new pair made", missing.display(), there.display())]
    Half {
        /// The file that is missing.
        missing: PathBuf,
        /// The file that is there.
        there: PathBuf,
    },
    /// A self-signed certificate could not be made.
    #[error("cannot make a self-signed certificate: {0}")]
    Make(rcgen::Error),
    /// The TLS library refused its settings.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// A certificate that is ready for use.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
    /// Made by this server, so that it may also replace it.
    ours: bool,
}

impl Certificate {
    /// Whether it is to be renewed by this server now.
    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.ours && self.not_after - now < TimeDelta::days(RENEW_DAYS)
    }

    /// Returns why clients refuse the certificate now, if it has expired or is not valid yet.
    pub(super) fn untimely(&self, now: DateTime<Utc>) -> Option<String> {
        if now > self.not_after {
            return Some(format!("the certificate expired on {}", self.not_after));
        }
        let is_early = now < self.not_before;
        is_early.then(|| format!("the certificate is not valid before {}", self.not_before))
    }
}

/// Loads a pair of PEM files.
pub(super) fn load(cert: &Path, key: &Path) -> Result<Certificate, TlsError> {
    let content = |path: &Path, reason: String| TlsError::Content {
        path: path.to_owned(),
        reason,
    };
    let texts = [(cert, PemFile::Certificates), (key, PemFile::Key)].map(|(path, kind)| {
        let text = read(path)?;
        match kind.fault(&text) {
            Some(reason) => Err(content(path, reason)),
            None => Ok(text),
        }
    });
    let [cert_text, key_text] = texts;
    let chain = CertificateDer::pem_slice_iter(&cert_text?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(cert, format!("not a PEM file: {}", no_bytes(&error))))?;
    let certificates = chain
        .iter()
        .map(|der| X509Certificate::from_der(der).map(|(_, certificate)| certificate))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| content(cert, "a certificate cannot be read".to_owned()))?;
    let Some(leaf) = certificates.first() else {
        return Err(content(cert, "holds no certificate".to_owned()));
    };
    if let Some(reason) = disorder(&certificates) {
        return Err(content(cert, reason));
    }
    let [not_before, not_after] = [leaf.validity().not_before, leaf.validity().not_after]
        .map(|time| DateTime::from_timestamp(time.timestamp(), 0));
    let not_before = not_before.unwrap_or(DateTime::<Utc>::MIN_UTC);
    let not_after = not_after.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let ours = leaf.subject() == leaf.issuer()
        && leaf
            .subject()
            .iter_common_name()
            .any(|name| name.as_str() == Ok(COMMON_NAME));
    let private = PrivateKeyDer::from_pem_slice(&key_text?).map_err(|error| match error {
        pem::Error::NoItemsFound => content(key, "holds no private key".to_owned()),
        error => content(key, format!("not a PEM file: {}", no_bytes(&error))),
    })?;
    let certified = CertifiedKey::from_der(chain, private, &ring::default_provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
        },
        rustls::Error::InvalidCertificate(_) => content(cert, error.to_string()),
        error => content(key, format!("the private key cannot be used: {error}")),
    })?;
    Ok(Certificate {
        key: Arc::new(certified),
        not_before,
        not_after,
        ours,
    })
}

/// Loads the pair of a folder; makes it if there is none or it is near its end.
///
/// A certificate that somebody else put there is used and never replaced.
pub(super) fn load_or_make(dir: &Path, now: DateTime<Utc>) -> Result<Certificate, TlsError> {
    let (cert, key) = (dir.join(CERT_FILE), dir.join(KEY_FILE));
    match (cert.exists(), key.exists()) {
        (true, true) => {}
        (false, false) => make(dir, now)?,
        (true, false) => {
            return Err(TlsError::Half {
                missing: key,
                there: cert,
            });
        }
        (false, true) => {
            return Err(TlsError::Half {
                missing: cert,
                there: key,
            });
        }
    }
    let certificate = load(&cert, &key)?;
    if !certificate.is_due(now) {
        return Ok(certificate);
    }
    match make(dir, now) {
        Ok(()) => load(&cert, &key),
        // A folder that cannot be written is no reason to stop before the end.
        Err(error) if now < certificate.not_after => {
            warn!(%error, until = %certificate.not_after, "certificate not renewed");
            Ok(certificate)
        }
        Err(error) => Err(error),
    }
}

/// How long a self-signed certificate lives: browsers take at most 398 days
/// (CA/Browser Forum, Baseline Requirements 6.3.2, as Apple enforces it).
const VALID_DAYS: i64 = 397;

/// Renewed when fewer days than this are left.
const RENEW_DAYS: i64 = 30;

/// The name by which the server knows its own certificates.
const COMMON_NAME: &str = "roomcast self-signed";

fn make(dir: &Path, now: DateTime<Utc>) -> Result<(), TlsError> {
    let key = KeyPair::generate().map_err(TlsError::Make)?;
    let cert = params(now)
        .and_then(|params| params.self_signed(&key))
        .map_err(TlsError::Make)?;
    fs::create_dir_all(dir).map_err(|source| TlsError::Write {
        path: dir.to_owned(),
        source,
    })?;
    // The key first: with a new key the old certificate is refused by name,
    // whereas a reader of the new certificate expects its key to be there.
    write(&dir.join(KEY_FILE), &key.serialize_pem(), 0o600)?;
    write(&dir.join(CERT_FILE), &cert.pem(), 0o644)?;
    info!(folder = %dir.display(), days = VALID_DAYS, "self-signed certificate made");
    Ok(())
}

fn params(now: DateTime<Utc>) -> Result<CertificateParams, rcgen::Error> {
    let fixed = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names = fixed.to_vec();
    // A host's name that fits no certificate is left out.
    if let Ok(host) = gethostname::gethostname().into_string()
        && !host.is_empty()
        && host.is_ascii()
        && !names.contains(&host)
    {
        names.push(host);
    }
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, COMMON_NAME);
    params.distinguished_name = subject;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day back: clients' clocks differ. Both ends lie at midnight.
    let [from, to] = [-1, VALID_DAYS - 1].map(|days| {
        let date = now + TimeDelta::days(days);
        let month = u8::try_from(date.month()).expect("a month is at most 12");
        let day = u8::try_from(date.day()).expect("a day is at most 31");
        rcgen::date_time_ymd(date.year(), month, day)
    });
    params.not_before = from;
    params.not_after = to;
    Ok(params)
}

/// Writes a file so that its name always stands for a whole file.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let failed = |source| TlsError::Write {
        path: path.to_owned(),
        source,
    };
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&draft).map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path))
        .map_err(failed)
}

/// Returns why a chain cannot be sent as it is: the file holds the issuer of a certificate, but not
/// directly after that certificate (RFC 5246, section 7.4.2). Further certificates do no harm.
fn disorder(chain: &[X509Certificate<'_>]) -> Option<String> {
    chain.iter().enumerate().find_map(|(at, certificate)| {
        let issuer = certificate.issuer();
        let has_issued = |other: &X509Certificate<'_>| other.subject() == issuer;
        let is_followed = chain.get(at + 1).is_some_and(has_issued);
        let is_elsewhere = chain.iter().any(has_issued);
        // As `cat cert.pem fullchain.pem` makes it: the same certificate twice.
        let is_repeated = chain.get(at + 1).is_some_and(|next| {
            next.issuer() == issuer && next.subject() == certificate.subject()
        });
        let is_wrong = !has_issued(certificate) && !is_followed && !is_repeated && is_elsewhere;
        is_wrong.then(|| {
            format!(
                "the certificates are in the wrong order: the server's comes first, and each one is \
                 followed by the one that issued it, but number {} is not followed by \"{issuer}\"",
                at + 1
            )
        })
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// What is wrong, without the bytes: they may be of a private key.
fn no_bytes(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section does not end",
        pem::Error::IllegalSectionStart { .. } => "a section begins wrongly",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::NoItemsFound => "nothing of use in it",
        _ => "it cannot be read",
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
