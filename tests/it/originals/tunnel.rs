//! A local port that forwards to a server's TLS port, so that the tests' clients, which can't speak
//! TLS, reach it.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::net::tls::{BOTH, handshake};

/// Opens the port; the server's certificate is the one in this file.
pub async fn tunnel(server: SocketAddr, cert: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let cert = cert.clone();
            tokio::spawn(async move {
                let tcp = TcpStream::connect(server).await.unwrap();
                let mut tls = handshake(tcp, &cert, BOTH).await.unwrap();
                // Either side may close its connection without a TLS goodbye.
                let _ = copy_bidirectional(&mut plain, &mut tls).await;
            });
        }
    });
    address
}
