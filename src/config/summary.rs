//! What would run, in words, for `server check`.
//! Knows no listener: it says what is set, not what is open.

use std::fmt::Write;

use super::value::private_networks;
use super::{Config, Log, LogFormat, LogStyle, Push, Tls, Webhook, url};
use crate::core::namespace::{Namespace, Publisher, Rooms, Verb};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

impl Config {
    /// What would run with these settings, one line per thing.
    pub fn summary(&self, namespaces: &[Namespace]) -> String {
        let scheme = self.tls.scheme();
        let certificate = match &self.tls {
            Tls::Off => None,
            Tls::SelfSigned { folder } => Some(format!("self-signed, in {}", folder.display())),
            Tls::Files { cert, key } => {
                Some(format!("{} with key {}", cert.display(), key.display()))
            }
        };
        let zetta = match self.zetta_listen {
            None => "off".to_owned(),
            Some(address) if self.zetta_allow == private_networks() => {
                format!("tcp://{address} from private and loopback addresses")
            }
            Some(address) => format!("tcp://{address} from {}", joined(&self.zetta_allow)),
        };
        let proxies = match self.trusted_proxies.as_slice() {
            [] => "none".to_owned(),
            proxies => joined(proxies),
        };

        let publishing = match self.require_token {
            true => "with a token only",
            false => "with a token; /bus-message from private addresses without one",
        };

        let mut lines = vec![(
            "clients",
            format!(
                "{scheme}://{}, {} at most",
                self.listen, self.max_connections
            ),
        )];
        lines.extend(
            self.moved(self.listen.port())
                .map(|text| ("main port", text)),
        );
        lines.extend(certificate.map(|text| ("certificate", text)));
        let gateway = self.gateway_listen;
        lines.extend(gateway.map(|address| ("gateway", format!("{scheme}://{address}"))));
        let script = self.socketio_client.as_ref();
        lines.extend(script.map(|file| ("Socket.IO client", file.display().to_string())));
        lines.extend(self.push.as_ref().map(of_push).into_iter().flatten());
        lines.extend(
            self.webhook
                .as_ref()
                .map(|door| ("webhook", of_webhook(door, &self.tls))),
        );
        lines.extend(
            self.redis
                .as_ref()
                .map(|redis| ("redis", redis.to_string())),
        );
        lines.extend([
            ("zetta", zetta),
            ("time zone", self.timezone.name().to_owned()),
            ("station text", self.station_text.clone()),
            ("stale after", format!("{:?}", self.stale_after)),
            (
                "state",
                format!(
                    "{}, the play log for {} days",
                    self.state.display(),
                    self.history_keep.as_secs() / DAY
                ),
            ),
            ("proxies", proxies),
            ("publishing", publishing.to_owned()),
            ("web pages", self.cors_origins.to_string()),
            ("log", of_log(self.log)),
        ]);
        lines.extend(namespaces.iter().map(|n| (n.name.as_str(), described(n))));

        let width = lines.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        lines.iter().fold(String::new(), |mut all, (what, text)| {
            writeln!(all, "{what:width$}  {text}").expect("a string takes all that is written");
            all
        })
    }
}

fn of_push(push: &Push) -> [(&'static str, String); 2] {
    let creating = match push.key {
        Some(_) => "key needed",
        None => "channels are created from private addresses only",
    };
    let Push { http, ws, rate, .. } = push;
    [
        (
            "push http",
            format!("{http}, {creating}, {rate} requests per second from one address at most"),
        ),
        ("push ws", ws.to_string()),
    ]
}

fn of_webhook(webhook: &Webhook, tls: &Tls) -> String {
    let who = match webhook.key {
        Some(_) => "key needed",
        None => "this machine only",
    };
    let signed = match webhook.secret {
        Some(_) => "signed",
        None => "not signed",
    };
    let target = url::shown(&webhook.target);
    let Webhook { ws, http, .. } = webhook;
    let (wss, https) = (tls.websocket_scheme(), tls.scheme());
    format!("{target}, clients at {wss}://{ws}, REST at {https}://{http} ({who}), {signed}")
}

fn of_log(log: Log) -> String {
    let format = match log.format {
        None => "text on a terminal, JSON otherwise",
        Some(LogFormat::Text) => "text",
        Some(LogFormat::Json) => "JSON",
    };
    let colours = match log.style {
        LogStyle::Auto => "",
        LogStyle::Always => "; always in colour",
        LogStyle::Never => "; never in colour",
    };
    format!("{format}; level {}{colours}", log.level)
}

fn described(namespace: &Namespace) -> String {
    if let Some(why) = &namespace.reserved {
        return format!("reserved: {why}");
    }
    let mut parts = vec![namespace.protocol.as_str().to_owned()];
    if !namespace.verbs.is_empty() {
        parts.push(words(&namespace.verbs, Verb::as_str));
    }
    parts.push(match namespace.publishers.as_slice() {
        [] => "nobody publishes".to_owned(),
        some => format!("published by {}", words(some, Publisher::as_str)),
    });
    parts.push(match &namespace.rooms {
        Rooms::Open => "any room".to_owned(),
        Rooms::Created => "rooms that backends create".to_owned(),
        Rooms::Own => "a room for each client".to_owned(),
        Rooms::Fixed(rooms) => format!("rooms {}", joined(rooms)),
    });
    if !namespace.retain.is_empty() {
        parts.push(format!("retains {}", namespace.retain.join(", ")));
    }
    if namespace.history > 0 {
        parts.push(format!("history {}", namespace.history));
    }
    if namespace.durable {
        parts.push("durable".to_owned());
    }
    parts.join("; ")
}

fn words<T: Copy>(all: &[T], text_of: fn(T) -> &'static str) -> String {
    let words: Vec<_> = all.iter().map(|one| text_of(*one)).collect();
    words.join(" ")
}

fn joined<T: ToString>(all: &[T]) -> String {
    let texts: Vec<_> = all.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
