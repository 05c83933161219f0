//! A non-blocking connection, with TLS or without. Knows no protocol above.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::{Domain, Socket, Type};

/// Connections from one address: well below the 28,232 ports that Linux gives.
const PER_ADDRESS: usize = 20_000;

/// Where to connect to, and how.
#[derive(Clone)]
pub struct Peer {
    /// The address.
    pub address: SocketAddr,
    /// The settings of TLS; none: plain.
    pub tls: Option<Arc<ClientConfig>>,
}

/// TLS that trusts the certificate in a file. Sessions are not resumed: the
/// clients stand for phones that have never been here.
pub fn trusting(cert: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).context("the certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// One connection.
pub struct Transport {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Transport {
    /// Begins to connect, as the `index`-th of many; the poll says by `token`
    /// when it is writable, that is connected.
    pub fn connect(
        peer: &Peer,
        index: usize,
        registry: &Registry,
        token: Token,
    ) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Bound only where it is needed: an address that is connected without
        // gives each of its ports once per server, and finds one sooner.
        let host = u8::try_from(1 + index / PER_ADDRESS).context("too many clients")?;
        if host > 1 {
            let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
            socket.bind(&from.into())?;
        }
        // The answer is "in progress"; what came of it is seen later.
        let _ = socket.connect(&peer.address.into());
        let mut tcp = TcpStream::from_std(socket.into());
        registry.register(&mut tcp, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = match &peer.tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from("localhost")?;
                Some(Box::new(ClientConnection::new(config.clone(), name)?))
            }
        };
        Ok(Self { tcp, tls })
    }

    /// Looks whether the connection has come about; `false` is not yet.
    pub fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.tcp.take_error()? {
            return Err(error);
        }
        match self.tcp.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends something small, that surely fits into the socket's buffer.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { tcp, tls } = self;
        match tls {
            None => tcp.write_all(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                flush(tcp, tls)
            }
        }
    }

    /// Reads what there is; `WouldBlock` when there is nothing, 0 at the end.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Self { tcp, tls } = self;
        let Some(tls) = tls else {
            return tcp.read(into);
        };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(tcp)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            flush(tcp, tls)?;
        }
    }

    /// Whether a read that did not fill its buffer has taken all there was.
    pub fn short_read_is_all(&self) -> bool {
        self.tls.is_none()
    }
}

fn flush(tcp: &mut TcpStream, tls: &mut ClientConnection) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(tcp)?;
    }
    Ok(())
}
