//! The door alone, with settings that a test names one by one. Knows no command line.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use roomcast::core::broker::Memory;
use roomcast::core::hub::Hub;
use roomcast::doors::webhook::{CaError, Needs, Settings, Webhook};
use roomcast::namespaces;
use roomcast::net::access::PrivateAccess;
use roomcast::net::{self, Connections, Limits};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::backend::Backend;

/// A door that is open, until this is dropped.
pub struct Door {
    pub ws: SocketAddr,
    pub rest: SocketAddr,
    shutdown: CancellationToken,
}

/// What the door of these tests needs; a test changes what it is about.
pub fn needs(backend: &Backend) -> Needs {
    Needs {
        hub: Hub::new(namespaces::load(None).unwrap(), Memory),
        namespace: namespaces::WEBHOOK.name(),
        backend: Settings {
            target: backend.target().parse().unwrap(),
            timeout: Some(Duration::from_secs(30)),
            retry: Duration::from_secs(30),
            ca: None,
            secret: None,
        },
        local_address: "http://gateway.example".to_owned(),
        message_most: 128 * 1024,
        is_wsaas: false,
        key: None,
        access: PrivateAccess::new(&[], &[]),
    }
}

impl Door {
    pub fn open(needs: Needs) -> Result<Self, CaError> {
        let door = Webhook::new(needs)?;
        let shutdown = CancellationToken::new();
        Ok(Self {
            ws: listen(door.clients(), &shutdown),
            rest: listen(door.rest(), &shutdown),
            shutdown,
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn listen(router: Router, shutdown: &CancellationToken) -> SocketAddr {
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), "--port").unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.map_request(|request: Request<Incoming>| request.map(Body::new));
    let connections = Connections::new();
    let (limits, shutdown) = (Limits::default(), shutdown.clone());
    tokio::spawn(net::serve(
        listener,
        None,
        limits,
        service,
        shutdown,
        connections,
    ));
    address
}
