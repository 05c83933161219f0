//! Finds listeners that want the same port, before any of them is opened.
//! Knows addresses only, not what listens there.

use std::net::{IpAddr, SocketAddr};

use super::Config;
use super::layers::Layers;
use crate::problem::{Fault, Origin};

/// Notes every pair of listeners that can't both be opened.
pub(super) fn check(config: &Config, layers: &mut Layers) {
    let push = config.push.as_ref();
    let listeners = [
        ("port", Some(config.listen)),
        ("gateway-listen", config.gateway_listen),
        ("push-http", push.map(|push| push.http)),
        ("push-ws", push.map(|push| push.ws)),
        ("zetta-listen", config.zetta_listen),
    ];
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
