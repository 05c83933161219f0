//! Finds listeners that want the same port, and those that the server itself would
//! call, before any of them is opened; moves the main port away from the backend's. Knows
//! addresses only, not what listens there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Uri;

use super::layers::Layers;
use super::{Config, url};
use crate::net::is_own_address;
use crate::problem::{Fault, Origin};

/// The flag and the address of a listener; none where it is off.
type Listener = (&'static str, Option<SocketAddr>);

fn listeners(config: &Config) -> [Listener; 7] {
    let (push, webhook) = (config.push.as_ref(), config.webhook.as_ref());
    [
        (MAIN, Some(config.listen)),
        ("gateway-listen", config.gateway_listen),
        ("push-http", push.map(|push| push.http)),
        ("push-ws", push.map(|push| push.ws)),
        ("webhook-http", webhook.map(|webhook| webhook.http)),
        ("webhook-ws", webhook.map(|webhook| webhook.ws)),
        ("zetta-listen", config.zetta_listen),
    ]
}

/// The option of the main port.
const MAIN: &str = "port";

/// Moves the main port to the next one that no other listener has, if it is only the default and
/// the webhook door's backend has that port on this machine: the backend was there first.
pub(super) fn make_room(config: &mut Config, layers: &mut Layers) {
    let Some(webhook) = &config.webhook else {
        return;
    };
    let port = config.listen.port();
    let machine = addresses(webhook.target.host().unwrap_or_default());
    let is_backends = url::port(&webhook.target) == port && machine.into_iter().any(is_own_address);
    if !is_backends || layers.origin(MAIN) != Origin::Default {
        return;
    }
    let others = &listeners(config)[1..];
    let is_free = |port: &u16| {
        let mut others = others.iter().filter_map(|(_, address)| *address);
        others.all(|other| other.port() != *port)
    };
    if let Some(free) = (port + 1..=u16::MAX).find(is_free) {
        config.backend_port = Some(port);
        config.listen.set_port(free);
    }
}

/// Notes every pair of listeners that can't both be opened, and every one that is
/// where the webhook door's calls would go.
pub(super) fn check(config: &Config, layers: &mut Layers) {
    let listeners = listeners(config);
    check_pairs(&listeners, layers);
    if let Some(webhook) = &config.webhook {
        check_target(&listeners, &webhook.target, layers);
    }
}

fn check_pairs(listeners: &[Listener], layers: &mut Layers) {
    for (n, (flag, address)) in listeners.iter().enumerate() {
        for (earlier, other) in &listeners[..n] {
            let (Some(address), Some(other)) = (address, other) else {
                continue;
            };
            if !overlap(*address, *other) {
                continue;
            }
            let both = [(flag, address), (earlier, other)];
            // First the one that was chosen, where the other is only the default.
            let [(flag, address), (earlier, other)] = match layers.origin(flag) {
                Origin::Default => [both[1], both[0]],
                _ => both,
            };
            let origin = layers.origin(flag);
            let why = format!(
                "--{flag} ({address}) and --{earlier} ({other}) can't both listen on port {}",
                address.port()
            );
            layers.note(origin, Fault::WrongOption(why));
        }
    }
}

fn check_target(listeners: &[Listener], target: &Uri, layers: &mut Layers) {
    let machine = addresses(target.host().unwrap_or_default());
    for (flag, address) in listeners {
        let Some(address) = address else { continue };
        let there = |ip: &IpAddr| reached(*address, SocketAddr::new(*ip, url::port(target)));
        if !machine.iter().any(there) {
            continue;
        }
        let origin = match layers.origin(flag) {
            // The one to give, where it was not given.
            Origin::Default => Origin::Flag(flag),
            given => given,
        };
        let why = format!(
            "--{flag} ({address}) is where --target-address ({}) points: choose another --{flag}",
            url::shown(target)
        );
        layers.note(origin, Fault::WrongOption(why));
    }
}

/// What a URL's host stands for, as far as nobody has to be asked.
fn addresses(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        // A call to no address in particular stays on the machine.
        Ok(IpAddr::V4(any)) if any.is_unspecified() => vec![Ipv4Addr::LOCALHOST.into()],
        Ok(IpAddr::V6(any)) if any.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into()],
        Ok(address) => vec![address.to_canonical()],
        Err(_) => Vec::new(),
    }
}

/// Whether a call to `target` comes to a listener.
fn reached(listener: SocketAddr, target: SocketAddr) -> bool {
    let every = listener.ip().is_unspecified() && is_own_address(target.ip());
    (every || listener.ip() == target.ip()) && overlap(listener, target)
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // Port 0 takes any that is free.
    a.port() == b.port() && a.port() != 0 && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

fn covers(a: IpAddr, b: IpAddr) -> bool {
    match a {
        IpAddr::V4(any) if any.is_unspecified() => b.is_ipv4(),
        // Takes IPv4 as well, on most systems.
        IpAddr::V6(any) if any.is_unspecified() => true,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_listen_side_by_side() {
        for (a, b, expected) in [
            ("0.0.0.0:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "0.0.0.0:81", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
        ] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(overlap(a, b), expected, "{a} {b}");
            assert_eq!(overlap(b, a), expected, "{b} {a}");
        }
    }
}
