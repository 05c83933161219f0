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
#[cfg(test)]
mod fuzz;
pub mod healthcheck;
mod hint;
pub mod ingest;
pub mod logging;
pub mod metrics;
mod more_doors;
pub mod namespaces;
pub mod net;
pub mod nowplaying;
mod opening;
mod ports;
pub mod problem;
pub mod redis;
pub mod report;
pub mod signals;
pub mod simulate;
mod stopping;
pub mod store;
pub mod supervise;
pub mod watchdog;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::Config;
use crate::core::broker::Memory;
use crate::core::hub::Hub;
use crate::doors::cors::Cors;
use crate::doors::socketio::ClientScript;
use crate::doors::webhook::Webhook;
use crate::ingest::programme::Programme;
use crate::ingest::rooms::Rooms;
use crate::ingest::zetta;
use crate::net::{Addresses, Connections, Limits, tls};
use crate::nowplaying::feed::Feed;
use crate::nowplaying::{Airing, Station};
use crate::ports::{Ports, address};
use crate::redis::RedisBroker;
pub use crate::stopping::Stopped;
use crate::stopping::{StopClock, stop};
use crate::store::{Store, Writing};
use crate::supervise::Supervisor;

/// A server that has everything it needs open, and serves nothing yet.
pub struct Server {
    hub: Arc<Hub>,
    store: Option<Store>,
    /// The last airings before this start; the store reads them before the server serves anything.
    stored: Vec<Airing>,
    writing: Option<Writing>,
    ports: Ports,
    tls: Option<tls::Acceptor>,
    webhook: Option<Arc<Webhook>>,
    /// What joins this node with others, if anything does.
    node: Option<redis::Node>,
    /// The Socket.IO client that pages load, if there is one.
    script: Option<ClientScript>,
    feed: Arc<Feed>,
    connections: Connections,
    connections_most: usize,
    supervisor: Supervisor,
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
    check_redis(config)?;
    client_script(config)?;
    opening::check(config)
}

fn check_redis(config: &Config) -> anyhow::Result<()> {
    let ca = config.redis.as_ref().and_then(|redis| redis.ca.as_ref());
    ca.map_or(Ok(()), |ca| redis::check_ca(ca))
        .context("--redis-ca")
}

/// Reads the Socket.IO client that pages load, if the settings name one.
fn client_script(config: &Config) -> anyhow::Result<Option<ClientScript>> {
    let file = config.socketio_client.as_ref();
    let script = file.map(|file| {
        let why = || format!("--socketio-client: {} can't be read", file.display());
        ClientScript::load(file).with_context(why)
    });
    script.transpose()
}

/// The descriptors of everything that is configured, except clients' connections.
fn descriptors(config: &Config) -> usize {
    let is_on = |is_on: bool, descriptors: usize| if is_on { descriptors } else { 0 };
    let listeners = 1
        + is_on(config.gateway_listen.is_some(), 1)
        + is_on(config.push.is_some(), 2)
        + is_on(config.webhook.is_some(), 2);
    listeners * net::LISTENER_DESCRIPTORS
        + is_on(config.zetta_listen.is_some(), zetta::DESCRIPTORS)
        + is_on(config.webhook.is_some(), doors::webhook::DESCRIPTORS)
        + is_on(config.redis.is_some(), redis::DESCRIPTORS)
        + store::DESCRIPTORS
}

impl Server {
    /// Loads the namespaces and the certificate, opens the ports, and the state.
    ///
    /// # Errors
    /// Something can't be loaded or opened; the text says what and where.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        let beside = descriptors(&config);
        let connections_most = opening::connections_most(config.max_connections, beside)?;
        check_redis(&config)?;
        let script = client_script(&config)?;
        let mut namespaces = opening::namespaces(&config)?;
        if let Some(webhook) = &config.webhook {
            doors::webhook::fit(&mut namespaces, webhook.message_most);
        }
        let ports = Ports::open(&config).await?;
        let tls = match opening::source(&config.tls) {
            Some(source) => Some(tls::Acceptor::load(source)?),
            None => None,
        };
        // Last, so that a start that fails leaves the state as it was.
        let opened = opening::store(&config, &namespaces).await?;
        let (store, rooms, begin) = match opened {
            Some(opened) => (Some(opened.store), opened.rooms, Some(opened.begin)),
            None => (None, Vec::new(), None),
        };
        let (hub, node) = match (&config.redis, &store) {
            // What the rooms have is then there, and not here; the play log is.
            (Some(settings), _) => {
                let (broker, node) = RedisBroker::new(settings.clone());
                (Hub::new(namespaces, broker), Some(node))
            }
            (None, Some(store)) => {
                let hub = Hub::durable(namespaces, Memory, store.keeper(), rooms);
                (hub, None)
            }
            (None, None) => (Hub::new(namespaces, Memory), None),
        };
        let webhook = more_doors::webhook(&config, &ports, &hub)?;
        let (writing, stored) = match begin {
            Some(begin) => {
                let (writing, stored) = begin.write(hub.clone()).await;
                (Some(writing), stored)
            }
            None => (None, Vec::new()),
        };
        Ok(Self {
            hub,
            store,
            stored,
            writing,
            ports,
            tls,
            webhook,
            node,
            script,
            feed: Arc::default(),
            connections: Connections::new(),
            connections_most,
            supervisor: Supervisor::default(),
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
        self.ports.more.gateway.as_ref()?.local_addr().ok()
    }

    /// Where publishers and subscribers of the push door connect, if they can.
    pub fn push_addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let push = self.ports.more.push.as_ref()?;
        Some((push.http.local_addr().ok()?, push.ws.local_addr().ok()?))
    }

    /// Where clients and the backend of the webhook door connect, if they can.
    pub fn webhook_addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let webhook = self.ports.more.webhook.as_ref()?;
        Some((
            webhook.ws.local_addr().ok()?,
            webhook.rest.local_addr().ok()?,
        ))
    }

    /// The certificate in use, for whoever wants to have it loaded anew.
    pub fn tls(&self) -> Option<tls::Acceptor> {
        self.tls.clone()
    }

    /// The supervisor of the tasks that live as long as the server.
    pub fn supervisor(&self) -> Supervisor {
        self.supervisor.clone()
    }

    /// The rooms.
    pub fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    /// What listens where, for the log at start-up.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let scheme = self.config.tls.scheme();
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
        let moved = self
            .address()
            .ok()
            .and_then(|at| self.config.moved(at.port()));
        lines.extend(moved.map(|text| ("main port", text)));
        if self.store.is_some() {
            lines.push(("state", self.config.state.display().to_string()));
        }
        if let Some(tls) = &self.tls {
            let (cert, _) = tls.paths();
            let until = tls.not_after().format("%Y-%m-%d");
            lines.push(("certificate", format!("{}, until {until}", cert.display())));
        }
        let ws = self.config.tls.websocket_scheme();
        lines.extend(self.ports.more.summary(scheme, ws));
        let zetta = self
            .ports
            .zetta
            .as_ref()
            .map_or("off".to_owned(), |listener| {
                format!("tcp://{}", address(listener))
            });
        lines.push(("Zetta", zetta));
        if let Some(redis) = &self.config.redis {
            lines.push(("Redis", redis.to_string()));
        }
        lines
    }

    /// Serves until `shutdown`, then lets everybody go.
    pub async fn serve(self, shutdown: CancellationToken) -> Stopped {
        let supervisor = self.supervisor;
        let node = match self.node {
            Some(node) => Some(node.start(self.hub.clone(), &supervisor).await),
            None => None,
        };
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
        let mut tasks = vec![supervisor.restart("programme", {
            let (programme, shutdown) = (programme.clone(), shutdown.clone());
            move || programme.clone().run(shutdown.clone())
        })];
        let access = self.config.private_access();
        let router = metrics::status::router(metrics::status::Sources {
            hub: self.hub.clone(),
            store: self.store.clone(),
            feed: self.feed.clone(),
            supervisor: supervisor.clone(),
            access: access.clone(),
        });
        let router = router.merge(doors::api::router(doors::api::Api {
            hub: self.hub.clone(),
            store: self.store.clone(),
            station,
            tracks: programme.publish(),
            readers: Arc::new(Semaphore::new(doors::api::READERS)),
            access: (!self.config.require_token).then_some(access),
        }));
        let router = router
            .merge(doors::websocket::router(self.hub.clone()))
            .merge(doors::sse::router(self.hub.clone()))
            .merge(doors::page::router());
        let trusted = self.config.trusted_proxies.clone().into();
        let mut of_address = self.config.address.limits;
        // One address never takes all there are, however few the system allows.
        let three_quarters = self.connections_most - self.connections_most / 4;
        of_address.connections = of_address.connections.min(three_quarters);
        let addresses = Addresses::new(of_address, trusted);
        let limits = doors::socketio::Limits {
            sessions: self.connections_most,
            addresses: addresses.clone(),
            trusted: self.config.trusted_proxies.clone().into(),
        };
        let (service, io) = doors::socketio::service(&self.hub, limits, self.script, router);
        let closed = &[metrics::status::EXPOSITION];
        let service = Cors::new(service, self.config.cors_origins.clone(), closed);
        if let Some(tls) = &self.tls {
            let (tls, shutdown) = (tls.clone(), shutdown.clone());
            tasks.push(supervisor.restart("certificate", move || {
                tls.clone().watch(tls::WATCH, shutdown.clone())
            }));
        }
        if let Some(listener) = self.ports.zetta {
            let config = zetta::Config {
                allow: self.config.zetta_allow.clone(),
            };
            let publish = programme.publish();
            let feed = self.feed.clone();
            let listening = zetta::run(
                listener,
                config,
                self.stored,
                publish,
                feed,
                shutdown.clone(),
            );
            tasks.push(supervisor.run("feed port", listening));
        }
        let limits = Limits {
            connections: self.connections_most,
            addresses,
            ..Limits::default()
        };
        let connections = self.connections.clone();
        let others = more_doors::routers(
            self.ports.more,
            self.config.clone(),
            &self.hub,
            self.store.clone(),
            self.webhook.as_ref(),
        );
        for (listener, router, essential) in others {
            let service = router.map_request(|request: Request<Incoming>| request.map(Body::new));
            let service = Cors::new(service, self.config.cors_origins.clone(), &[]);
            let serving = net::serve(
                listener,
                self.tls.clone(),
                Limits {
                    essential,
                    ..limits.clone()
                },
                service,
                shutdown.clone(),
                connections.clone(),
            );
            tasks.push(supervisor.run("port", serving));
        }
        let serving = net::serve(
            self.ports.main,
            self.tls,
            Limits {
                essential: Some(metrics::status::is_essential),
                ..limits
            },
            service,
            shutdown.clone(),
            connections.clone(),
        );
        tasks.push(supervisor.run("main port", serving));
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = supervisor.failed() => shutdown.cancel(),
        }
        let clock = StopClock::start(self.config.shutdown_timeout);
        clock.step("all tasks had ended", join_all(tasks)).await;
        let stopped = stop(&self.hub, io, &connections, clock).await;
        if let Some(webhook) = self.webhook {
            // Half of the time that is left: other steps follow.
            webhook.stop(clock.left() / 2).await;
        }
        // Last of all that publishes: who leaves is told to the other nodes.
        if let Some(node) = node {
            clock.step("the other nodes were told", node.stop()).await;
        }
        if let Some(writing) = self.writing {
            writing.close(clock.left()).await;
        }
        Stopped {
            failed: supervisor.has_failed(),
            ..stopped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_for_everything_that_is_on() {
        let of = |options: &[&str]| {
            let arguments = [&["server"], options].concat();
            let config = Config::load(arguments.into_iter().map(Into::into), None);
            descriptors(&config.unwrap())
        };
        let least = of(&["--zetta-listen", "off"]);
        let port = net::LISTENER_DESCRIPTORS;
        for (options, more) in [
            (&[][..], zetta::DESCRIPTORS),
            (&["--zetta-listen", "off", "--gateway-listen", "1"], port),
            (&["--zetta-listen", "off", "--push"], 2 * port),
            (
                &["--zetta-listen=off", "--target-address=http://a.example/"],
                // Questions, messages, and idle connections.
                2 * port + 64 + 256 + 256,
            ),
            (&["--zetta-listen=off", "--redis=a"], redis::DESCRIPTORS),
        ] {
            assert_eq!(of(options), least + more, "{options:?}");
        }
    }
}
