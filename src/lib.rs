//! roomcast: a small server that holds rooms. What happens in one reaches
//! everybody in it at once, whatever they connected with.
//!
//! [`Server::bind`] opens everything that a [`Config`] asks for, so that what
//! is wrong is known before anything is served; [`Server::serve`] runs it.
//! ARCHITECTURE.md has the map.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod core;
pub mod document;
pub mod doors;
pub mod healthcheck;
pub mod ingest;
pub mod logging;
pub mod metrics;
pub mod namespaces;
pub mod net;
pub mod nowplaying;
mod opening;
mod ports;
pub mod problem;
pub mod report;
pub mod simulate;
pub mod store;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{info, warn};

use crate::config::Config;
use crate::core::broker::Memory;
use crate::core::hub::Hub;
use crate::doors::cors::Cors;
use crate::doors::webhook::Webhook;
use crate::ingest::programme::Programme;
use crate::ingest::rooms::Rooms;
use crate::ingest::zetta;
use crate::net::{Connections, Limits, tls};
use crate::nowplaying::Station;
use crate::nowplaying::feed::Feed;
use crate::ports::Ports;
use crate::store::{Opened, Store, Writing};

/// How long clients may take to go when the server stops: what a supervisor
/// usually grants, and half of the deadline of a single stalled write.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long clients have for what they were told before the engine ends those
/// polls that are left: more than a round trip to a phone.
const BY_THEMSELVES: Duration = Duration::from_secs(1);

/// A server that has everything it needs open, and serves nothing yet.
pub struct Server {
    hub: Arc<Hub>,
    store: Option<Store>,
    writing: Option<Writing>,
    ports: Ports,
    tls: Option<tls::Acceptor>,
    webhook: Option<Arc<Webhook>>,
    feed: Arc<Feed>,
    connections: Connections,
    connections_most: usize,
    config: Config,
}

/// Loads everything but opens nothing; says what would run.
///
/// # Errors
/// Something can't be loaded; the text says what and where. A self-signed
/// certificate is not made here.
pub fn check(config: &Config) -> anyhow::Result<String> {
    if let Some(ca) = config.webhook.as_ref().and_then(|door| door.ca.as_ref()) {
        doors::webhook::check_ca(ca).context("--target-ca")?;
    }
    opening::check(config)
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many connections had to be cut, since they did not end by themselves.
    pub cut: usize,
}

impl Server {
    /// Loads the namespaces and the certificate, opens the ports, and the state.
    ///
    /// # Errors
    /// Something can't be loaded or opened; the text says what and where.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        let connections_most = opening::connections_most(config.max_connections);
        let mut namespaces = opening::namespaces(&config)?;
        if let Some(webhook) = &config.webhook {
            doors::webhook::fit(&mut namespaces, webhook.message_most);
        }
        let ports = Ports::open(&config)?;
        let tls = match opening::source(&config.tls) {
            Some(source) => Some(tls::Acceptor::load(source)?),
            None => None,
        };
        // Last, so that a start that fails leaves the state as it was.
        let (hub, store) = match opening::store(&config, &namespaces)? {
            Some(Opened { store, rooms }) => {
                let keeper = store.keeper();
                let hub = Hub::durable(namespaces, Memory, keeper, rooms);
                (hub, Some(store))
            }
            None => (Hub::new(namespaces, Memory), None),
        };
        let webhook = webhook(&config, &ports, &hub)?;
        let writing = match &store {
            Some(store) => Some(store.start(hub.clone())?),
            None => None,
        };
        Ok(Self {
            hub,
            store,
            writing,
            ports,
            tls,
            webhook,
            feed: Arc::default(),
            connections: Connections::new(),
            connections_most,
            config,
        })
    }

    /// Where the main port listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.ports.main.local_addr()
    }

    /// Where the Zetta port listens, if it does.
    pub fn zetta_address(&self) -> Option<SocketAddr> {
        self.ports.zetta.as_ref()?.local_addr().ok()
    }

    /// Where the port more for raw WebSockets listens, if there is one.
    pub fn gateway_address(&self) -> Option<SocketAddr> {
        self.ports.gateway.as_ref()?.local_addr().ok()
    }

    /// Where publishers and subscribers of the push door connect, if they can.
    pub fn push_addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let push = self.ports.push.as_ref()?;
        Some((push.http.local_addr().ok()?, push.ws.local_addr().ok()?))
    }

    /// Where clients and the backend of the webhook door connect, if they can.
    pub fn webhook_addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let webhook = self.ports.webhook.as_ref()?;
        Some((
            webhook.ws.local_addr().ok()?,
            webhook.rest.local_addr().ok()?,
        ))
    }

    /// The certificate in use, for whoever wants to have it loaded anew.
    pub fn tls(&self) -> Option<tls::Acceptor> {
        self.tls.clone()
    }

    /// The rooms.
    pub fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    /// What listens where, for the log at start-up.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let scheme = self.config.tls.scheme();
        let address = |listener: &TcpListener| match listener.local_addr() {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        };
        let main = address(&self.ports.main);
        let namespaces = self.hub.namespaces();
        let namespaces = namespaces.filter(|namespace| doors::socketio::is_served(namespace));
        let namespaces: Vec<_> = namespaces.map(|n| n.name.as_str()).collect();
        let mut lines = vec![
            ("page", format!("{scheme}://{main}/")),
            ("Socket.IO", format!("{scheme}://{main}/socket.io/")),
            ("health", format!("{scheme}://{main}/health")),
            ("namespaces", namespaces.join(" ")),
            ("connections", format!("{} at most", self.connections_most)),
        ];
        if self.store.is_some() {
            lines.push(("state", self.config.state.display().to_string()));
        }
        if let Some(tls) = &self.tls {
            let (cert, _) = tls.paths();
            let until = tls.not_after().format("%Y-%m-%d");
            lines.push(("certificate", format!("{}, until {until}", cert.display())));
        }
        let ws = self.config.tls.websocket_scheme();
        if let Some(gateway) = &self.ports.gateway {
            let url = format!("{ws}://{}/?target=metadata", address(gateway));
            lines.push(("gateway", url));
        }
        if let Some(push) = &self.ports.push {
            lines.push(("push http", format!("{scheme}://{}/", address(&push.http))));
            lines.push(("push ws", format!("{ws}://{}/", address(&push.ws))));
        }
        if let Some(webhook) = &self.ports.webhook {
            lines.push(("webhook ws", format!("{ws}://{}/", address(&webhook.ws))));
            lines.push((
                "webhook REST",
                format!("{scheme}://{}/", address(&webhook.rest)),
            ));
        }
        let zetta = self
            .ports
            .zetta
            .as_ref()
            .map_or("off".to_owned(), |listener| {
                format!("tcp://{}", address(listener))
            });
        lines.push(("Zetta", zetta));
        lines
    }

    /// Serves until `shutdown`, then lets everybody go.
    pub async fn serve(self, shutdown: CancellationToken) -> Stopped {
        let tasks = TaskTracker::new();
        let station = Station {
            timezone: self.config.timezone,
            text: self.config.station_text.clone(),
        };
        let programme = Programme::new(
            Rooms::new(self.hub.clone()),
            self.store.clone(),
            station.clone(),
            self.config.stale_after,
        );
        tasks.spawn(programme.clone().run(shutdown.clone()));
        let router = metrics::status::router(metrics::status::Sources {
            hub: self.hub.clone(),
            store: self.store.clone(),
            feed: self.feed.clone(),
            trusted: self.config.trusted_proxies.clone().into(),
        });
        let router = router.merge(doors::api::router(doors::api::Api {
            hub: self.hub.clone(),
            store: self.store.clone(),
            station,
            tracks: programme.publish(),
            readers: Arc::new(Semaphore::new(doors::api::READERS)),
            trusted: self.config.trusted_proxies.clone().into(),
        }));
        let router = router
            .merge(doors::websocket::router(self.hub.clone()))
            .merge(doors::sse::router(self.hub.clone()))
            .merge(doors::page::router());
        let limits = doors::socketio::Limits {
            sessions: self.connections_most,
            trusted: self.config.trusted_proxies.clone().into(),
        };
        let (service, io) = doors::socketio::service(&self.hub, limits, router);
        let closed = &[metrics::status::EXPOSITION];
        let service = Cors::new(service, self.config.cors_origins.clone(), closed);
        if let Some(tls) = &self.tls {
            tasks.spawn(tls.clone().watch(tls::WATCH, shutdown.clone()));
        }
        if let Some(listener) = self.ports.zetta {
            let config = zetta::Config {
                allow: self.config.zetta_allow.clone(),
            };
            let publish = programme.publish();
            let feed = self.feed.clone();
            tasks.spawn(zetta::run(
                listener,
                config,
                programme.went_on(),
                publish,
                feed,
                shutdown.clone(),
            ));
        }
        let limits = Limits {
            connections: self.connections_most,
            ..Limits::default()
        };
        let connections = self.connections.clone();
        let mut others = Vec::new();
        if let Some(listener) = self.ports.gateway {
            others.push((listener, doors::websocket::gateway(self.hub.clone())));
        }
        if let (Some(ports), Some(push)) = (self.ports.push, self.config.push) {
            let channels = doors::push::Channels {
                hub: self.hub.clone(),
                namespace: namespaces::push(),
            };
            let publishers = doors::push::publishers(doors::push::Publishers {
                channels: channels.clone(),
                store: self.store.clone(),
                trusted: self.config.trusted_proxies.clone().into(),
                key: push.key,
                rate: push.rate,
            });
            others.push((ports.http, publishers));
            others.push((ports.ws, doors::push::subscribers(channels)));
        }
        if let (Some(ports), Some(webhook)) = (self.ports.webhook, &self.webhook) {
            others.push((ports.ws, webhook.clients()));
            others.push((ports.rest, webhook.rest()));
        }
        for (listener, router) in others {
            let service = router.map_request(|request: Request<Incoming>| request.map(Body::new));
            let service = Cors::new(service, self.config.cors_origins.clone(), &[]);
            tasks.spawn(net::serve(
                listener,
                self.tls.clone(),
                limits.clone(),
                service,
                shutdown.clone(),
                connections.clone(),
            ));
        }
        net::serve(
            self.ports.main,
            self.tls,
            limits,
            service,
            shutdown,
            connections.clone(),
        )
        .await;
        tasks.close();
        tasks.wait().await;
        let stopping = Instant::now();
        let stopped = stop(&self.hub, io, &connections).await;
        if let Some(webhook) = self.webhook {
            webhook
                .stop(STOP_LIMIT.saturating_sub(stopping.elapsed()))
                .await;
        }
        if let Some(writing) = self.writing {
            writing.close().await;
        }
        stopped
    }
}

/// The webhook door, where there is a backend.
fn webhook(config: &Config, ports: &Ports, hub: &Arc<Hub>) -> anyhow::Result<Option<Arc<Webhook>>> {
    let (Some(webhook), Some(ports)) = (&config.webhook, &ports.webhook) else {
        return Ok(None);
    };
    let local_address = match &webhook.local_address {
        Some(address) => address.clone(),
        None => {
            let port = ports.rest.local_addr()?.port();
            format!("{}://localhost:{port}", config.tls.scheme())
        }
    };
    let needs = doors::webhook::Needs {
        hub: hub.clone(),
        namespace: namespaces::webhook(),
        backend: doors::webhook::Settings {
            target: webhook.target.clone(),
            timeout: webhook.timeout,
            retry: webhook.retry,
            ca: webhook.ca.clone(),
            secret: webhook.secret.clone(),
        },
        local_address,
        message_most: webhook.message_most,
        key: webhook.key.clone(),
        trusted: config.trusted_proxies.clone().into(),
    };
    let door = Webhook::new(needs).context("--target-ca")?;
    Ok(Some(door))
}

/// Tells every client, and waits for them up to [`STOP_LIMIT`].
async fn stop(hub: &Arc<Hub>, io: socketioxide::SocketIo, connections: &Connections) -> Stopped {
    let open = connections.open();
    info!(clients = hub.client_count(), connections = open, "stopping");
    hub.stop().await;
    let gone = async {
        // By themselves first: the engine would say Engine.IO's goodbye between
        // the last word and the end, after which some SDKs stay away.
        if timeout(BY_THEMSELVES, connections.wait_closed())
            .await
            .is_ok()
        {
            return;
        }
        // The engine waits for the slowest of its writers: nobody waits for it.
        let closing = async {
            io.close().await;
            pending().await
        };
        tokio::select! {
            () = connections.wait_closed() => {}
            () = closing => {}
        }
    };
    let cut = match timeout(STOP_LIMIT, gone).await {
        Ok(()) => 0,
        Err(_) => connections.kill_all(),
    };
    if cut > 0 {
        warn!(cut, "connections did not end in time and were cut");
    }
    Stopped { cut }
}
