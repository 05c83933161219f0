//! Whether the main port speaks TLS: `--https` and the options beside it.
//! Knows no certificate: it says where one is.

use std::path::PathBuf;

use super::layers::Layers;
use super::value;
use crate::net::tls::KEY_FILE;
use crate::problem::{Fault, Origin};

/// The names under which the 2-IMMERSE websocket-service has its certificate and key in `certs`.
const ORIGINAL: [&str; 2] = ["server.crt", "server.pem"];

/// Whether the main port speaks TLS, and with which certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// A certificate of our own, made in this folder where there is none.
    SelfSigned {
        /// The folder.
        folder: PathBuf,
    },
    /// The user's certificate, or that of the 2-IMMERSE websocket-service.
    Files {
        /// The chain, in PEM.
        cert: PathBuf,
        /// The private key, in PEM.
        key: PathBuf,
    },
}

impl Tls {
    /// What all ports speak: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Off => "http",
            Self::SelfSigned { .. } | Self::Files { .. } => "https",
        }
    }

    /// The same for WebSockets: `ws` or `wss`.
    pub fn websocket_scheme(&self) -> &'static str {
        match self {
            Self::Off => "ws",
            Self::SelfSigned { .. } | Self::Files { .. } => "wss",
        }
    }
}

/// Reads the options of it; what is wrong is noted.
pub(super) fn read(layers: &mut Layers) -> Tls {
    let https = layers.required("https", value::boolean);
    let folder = layers.required("certs", value::path);
    let cert = layers.optional("cert", value::path);
    let key = layers.optional("key", value::path);
    let original = ORIGINAL.map(|name| folder.join(name));
    let has_original = original.iter().any(|file| file.exists());
    let found = match has_original {
        true => original[1].clone(),
        false => folder.join(KEY_FILE),
    };
    layers.warn_of_exposed("the private key of TLS", key.as_ref().unwrap_or(&found));
    let refused = layers.origin("https") != Origin::Default && !https;
    match (cert, key) {
        (Some(_), Some(_)) if refused => {
            layers.warn("--cert and --key are not used, since --https is off".to_owned());
            Tls::Off
        }
        // Who gives a certificate means it to be used.
        (Some(cert), Some(key)) => Tls::Files { cert, key },
        (Some(_), None) => lonely(layers, "cert", "--cert needs --key, its private key"),
        (None, Some(_)) => lonely(layers, "key", "--key needs --cert, the certificate of it"),
        (None, None) if https && has_original => {
            let [cert, key] = original;
            Tls::Files { cert, key }
        }
        (None, None) if https => Tls::SelfSigned { folder },
        (None, None) => Tls::Off,
    }
}

fn lonely(layers: &mut Layers, name: &'static str, why: &str) -> Tls {
    // Unless the other one is there and wrong, which was said already.
    let other = if name == "cert" { "key" } else { "cert" };
    if layers.origin(other) == Origin::Default {
        let origin = layers.origin(name);
        layers.note(origin, Fault::WrongOption(why.to_owned()));
    }
    Tls::Off
}
