//! What a [`Config`] asks for, loaded before anything is served: namespaces, the
//! store, the source of the certificate. Opens no port.

use anyhow::bail;
use tracing::warn;

use crate::config::{Config, Tls, token_variable};
use crate::core::namespace::{Namespace, Publisher, Rooms};
use crate::namespaces::{PUSH, WEBHOOK};
use crate::net::{DescriptorsError, tls};
use crate::store::{Opened, Store, StoreError};
use crate::{namespaces, net};

/// What would run, once all is loaded but what only a door can.
pub(crate) fn check(config: &Config) -> anyhow::Result<String> {
    let namespaces = namespaces(config)?;
    if let Tls::Files { .. } = config.tls
        && let Some(source) = source(&config.tls)
    {
        tls::Acceptor::load(source)?;
    }
    Ok(config.summary(&namespaces))
}

/// The number of connections: as many as `asked` for, or fewer if the limit of open files
/// leaves fewer beside the `beside` descriptors that the server needs itself.
///
/// # Errors
/// The limit leaves too few connections for clients.
pub(crate) fn connections_most(asked: usize, beside: usize) -> Result<usize, DescriptorsError> {
    let good_for = match net::raise_descriptors(asked, beside) {
        Ok(good_for) => usize::try_from(good_for).unwrap_or(asked),
        Err(DescriptorsError::Unknown(error)) => {
            warn!(%error, "the limit of open files is not known");
            return Ok(asked);
        }
        Err(too_few) => return Err(too_few),
    };
    if good_for < asked / 2 {
        warn!(
            good_for,
            asked,
            beside,
            "the limit of open files allows far fewer connections than --max-connections; \
             raise it (ulimit -n, or LimitNOFILE= of systemd)"
        );
    }
    Ok(asked.min(good_for))
}

pub(crate) fn namespaces(config: &Config) -> anyhow::Result<Vec<Namespace>> {
    let mut namespaces = namespaces::load(config.namespaces.as_deref())?;
    for (door, is_on) in [
        (&PUSH, config.push.is_some()),
        (&WEBHOOK, config.webhook.is_some()),
    ] {
        match is_on {
            true => door.check(&namespaces)?,
            // Closed unless it is asked for, at every door; but not what somebody else
            // calls so.
            false => namespaces.retain(|namespace| !door.is_met_by(namespace)),
        }
    }
    for namespace in &mut namespaces {
        namespace.limits.rooms_per_address = config.address.rooms;
    }
    for (name, token) in &config.tokens {
        let found = namespaces.iter_mut().find(|namespace| {
            namespace.name == *name
                && namespace.publishers.contains(&Publisher::Http)
                && !matches!(namespace.rooms, Rooms::Created | Rooms::Own)
        });
        let Some(namespace) = found else {
            let variable = token_variable(name);
            bail!("{variable}: there is no namespace {name} that is published in over HTTP");
        };
        namespace.publish_token = Some(token.clone());
    }
    if config.zetta_listen.is_some() {
        namespaces::check_feed(&namespaces)?;
    }
    Ok(namespaces)
}

pub(crate) fn source(tls: &Tls) -> Option<tls::Source> {
    match tls.clone() {
        Tls::Off => None,
        Tls::SelfSigned { folder } => Some(tls::Source::SelfSigned(folder)),
        Tls::Files { cert, key } => Some(tls::Source::Files { cert, key }),
    }
}

/// The store, where there is something to be kept.
pub(crate) async fn store(
    config: &Config,
    namespaces: &[Namespace],
) -> Result<Option<Opened>, StoreError> {
    if !namespaces.iter().any(|namespace| namespace.durable) {
        return Ok(None);
    }
    let opened = Store::open(&config.state, config.history_keep).await;
    opened.map(Some)
}
