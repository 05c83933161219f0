//! The listeners that a [`Config`] asks for, opened together; none is served here.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::net::{BindError, bind_next, bind_when_free};

/// What the server listens on.
pub(crate) struct Ports {
    pub(crate) main: TcpListener,
    pub(crate) zetta: Option<TcpListener>,
    pub(crate) more: MorePorts,
}

/// What doors listen on that have ports of their own.
pub(crate) struct MorePorts {
    /// One more for raw WebSockets.
    pub(crate) gateway: Option<TcpListener>,
    pub(crate) push: Option<PushPorts>,
    pub(crate) webhook: Option<WebhookPorts>,
}

/// What the push door listens on.
pub(crate) struct PushPorts {
    /// For publishers.
    pub(crate) http: TcpListener,
    /// For subscribers.
    pub(crate) ws: TcpListener,
}

/// What the webhook door listens on.
pub(crate) struct WebhookPorts {
    /// For clients.
    pub(crate) ws: TcpListener,
    /// For the backend.
    pub(crate) rest: TcpListener,
}

impl Ports {
    /// Opens all listeners concurrently: a listener that waits for its port does not delay the
    /// others, and one that can't be opened ends the wait of all.
    pub(crate) async fn open(config: &Config) -> Result<Self, BindError> {
        let push = config.push.as_ref();
        let webhook = config.webhook.as_ref();
        let (zetta, gateway, push_http, push_ws, webhook_ws, webhook_http, main) = tokio::try_join!(
            open(config.zetta_listen, "--zetta-listen"),
            open(config.gateway_listen, "--gateway-listen"),
            open(push.map(|push| push.http), "--push-http"),
            open(push.map(|push| push.ws), "--push-ws"),
            open(webhook.map(|webhook| webhook.ws), "--webhook-ws"),
            open(webhook.map(|webhook| webhook.http), "--webhook-http"),
            // Last: it may take the next port that the others have left free.
            open_main(config),
        )?;
        let push = push_http.zip(push_ws);
        let webhook = webhook_ws.zip(webhook_http);
        Ok(Self {
            main,
            zetta,
            more: MorePorts {
                gateway,
                push: push.map(|(http, ws)| PushPorts { http, ws }),
                webhook: webhook.map(|(ws, rest)| WebhookPorts { ws, rest }),
            },
        })
    }
}

/// Opens the main listener. If the backend has the default port, opens the next port that is free.
async fn open_main(config: &Config) -> Result<TcpListener, BindError> {
    match config.backend_port {
        Some(_) => bind_next(config.listen, "--port"),
        None => bind_when_free(config.listen, "--port").await,
    }
}

/// Opens a listener, if it has an address.
async fn open(
    address: Option<SocketAddr>,
    flag: &'static str,
) -> Result<Option<TcpListener>, BindError> {
    match address {
        Some(address) => bind_when_free(address, flag).await.map(Some),
        None => Ok(None),
    }
}

impl MorePorts {
    /// What listens where, with the schemes of HTTP and of WebSockets.
    pub(crate) fn summary(&self, http: &str, ws: &str) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(gateway) = &self.gateway {
            let url = format!("{ws}://{}/?target=metadata", address(gateway));
            lines.push(("gateway", url));
        }
        if let Some(push) = &self.push {
            lines.push(("push http", format!("{http}://{}/", address(&push.http))));
            lines.push(("push ws", format!("{ws}://{}/", address(&push.ws))));
        }
        if let Some(webhook) = &self.webhook {
            lines.push(("webhook ws", format!("{ws}://{}/", address(&webhook.ws))));
            let rest = format!("{http}://{}/", address(&webhook.rest));
            lines.push(("webhook REST", rest));
        }
        lines
    }
}

/// Where it listens, for people.
pub(crate) fn address(listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) => address.to_string(),
        Err(error) => error.to_string(),
    }
}
