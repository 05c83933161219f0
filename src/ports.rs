//! The listeners that a [`Config`] asks for, opened together; none is served here.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::net::{BindError, bind, bind_next};

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
    pub(crate) fn open(config: &Config) -> Result<Self, BindError> {
        let optional = |address: Option<SocketAddr>, flag| {
            let bound = address.map(|address| bind(address, flag));
            bound.transpose()
        };
        let push = match &config.push {
            None => None,
            Some(push) => Some(PushPorts {
                http: bind(push.http, "--push-http")?,
                ws: bind(push.ws, "--push-ws")?,
            }),
        };
        let webhook = match &config.webhook {
            None => None,
            Some(webhook) => Some(WebhookPorts {
                ws: bind(webhook.ws, "--webhook-ws")?,
                rest: bind(webhook.http, "--webhook-http")?,
            }),
        };
        let zetta = optional(config.zetta_listen, "--zetta-listen")?;
        let gateway = optional(config.gateway_listen, "--gateway-listen")?;
        // Last: it may have to pass over the others.
        let main = match config.backend_port {
            Some(_) => bind_next(config.listen, "--port")?,
            None => bind(config.listen, "--port")?,
        };
        Ok(Self {
            main,
            zetta,
            more: MorePorts {
                gateway,
                push,
                webhook,
            },
        })
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
