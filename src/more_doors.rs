//! The doors that have ports of their own, made of what a [`Config`] asks for. Nothing
//! is served here.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use http::Uri;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::core::hub::Hub;
use crate::doors::webhook::Webhook;
use crate::doors::{push, webhook, websocket};
use crate::namespaces;
use crate::net::Essential;
use crate::ports::{MorePorts, Ports};
use crate::store::Store;

/// What answers on which of the ports.
pub(crate) fn routers(
    ports: MorePorts,
    config: Config,
    hub: &Arc<Hub>,
    store: Option<Store>,
    webhook: Option<&Arc<Webhook>>,
) -> Vec<(TcpListener, Router, Option<Essential>)> {
    // All requests of publishers are served even when clients have filled the server.
    let all: Option<Essential> = Some(|_, _| true);
    let mut routers = Vec::new();
    let access = config.private_access();
    if let Some(listener) = ports.gateway {
        routers.push((listener, websocket::gateway(hub.clone()), None));
    }
    if let (Some(ports), Some(settings)) = (ports.push, config.push) {
        let channels = push::Channels {
            hub: hub.clone(),
            namespace: namespaces::PUSH.name(),
        };
        let publishers = push::publishers(push::Publishers {
            channels: channels.clone(),
            store,
            access,
            key: settings.key,
            rate: settings.rate,
        });
        routers.push((ports.http, publishers, all));
        routers.push((ports.ws, push::subscribers(channels), None));
    }
    if let (Some(ports), Some(webhook)) = (ports.webhook, webhook) {
        routers.push((ports.ws, webhook.clients(), None));
        routers.push((ports.rest, webhook.rest(), all));
    }
    routers
}

/// The webhook door, where there is a backend.
pub(crate) fn webhook(
    config: &Config,
    ports: &Ports,
    hub: &Arc<Hub>,
) -> anyhow::Result<Option<Arc<Webhook>>> {
    let (Some(settings), Some(ports)) = (&config.webhook, &ports.more.webhook) else {
        return Ok(None);
    };
    let local_address = match &settings.local_address {
        Some(address) => address.clone(),
        None => {
            let port = ports.rest.local_addr()?.port();
            format!("{}://localhost:{port}", config.tls.scheme())
        }
    };
    let needs = webhook::Needs {
        hub: hub.clone(),
        namespace: namespaces::WEBHOOK.name(),
        backend: webhook::Settings {
            target: settings.target.clone(),
            timeout: settings.timeout,
            retry: settings.retry,
            ca: settings.ca.clone(),
            secret: settings.secret.clone(),
        },
        local_address,
        message_most: settings.message_most,
        is_wsaas: settings.is_wsaas,
        key: settings.key.clone(),
        access: match settings.local_address.as_deref().and_then(host_of) {
            // The operator has told the backend to use this name.
            Some(host) => config.private_access().also(&host),
            None => config.private_access(),
        },
    };
    let door = Webhook::new(needs).context("--target-ca")?;
    Ok(Some(door))
}

/// The host of a URL.
fn host_of(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    url.host().map(str::to_owned)
}
