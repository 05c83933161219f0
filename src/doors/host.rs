//! The check of the header `Host` (RFC 9112, section 3.2), before all transports: a proxy and this
//! server must not take one request for different hosts.

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version};

use super::problem::Problem;

/// Checks that a request names its host exactly once.
///
/// # Errors
/// The request has several headers `Host`, an invalid one, or none in HTTP/1.1.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let why = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => "the request has more than one header `Host`",
        // HTTP/1.0 has no such header, and HTTP/2 has `:authority` instead.
        (None, None) if version == Version::HTTP_11 => {
            "the header `Host` is missing: HTTP/1.1 needs it"
        }
        (None, None) => return Ok(()),
        (Some(host), None) if is_valid(host.as_bytes()) => return Ok(()),
        (Some(_), None) => "the header `Host` must be a host name or an address",
    };
    Err(Problem::bad_request("invalid_host", why))
}

/// Whether the value is `host [":" port]`. It may be empty, if the target names no host.
fn is_valid(host: &[u8]) -> bool {
    host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_host_once() {
        let cases: [(&[&str], bool, bool); 13] = [
            // hosts, whether HTTP/1.1 is accepted, whether HTTP/1.0 is
            (&[], false, true),
            (&[""], true, true),
            (&["radio.example"], true, true),
            (&["my_service:3000"], true, true),
            (&["192.0.2.1:80"], true, true),
            (&["[2001:db8::1]:3000"], true, true),
            (&["a.example", "b.example"], false, false),
            (&["a.example", "a.example"], false, false),
            (&["a.example", ""], false, false),
            (&["a.example b.example"], false, false),
            (&["a.example/x"], false, false),
            (&["user@a.example"], false, false),
            (&["a.example, b.example"], false, false),
        ];
        for (hosts, new, old) in cases {
            let headers: HeaderMap = hosts
                .iter()
                .map(|host| (HOST, host.parse().unwrap()))
                .collect();
            for (version, accepted) in [(Version::HTTP_11, new), (Version::HTTP_10, old)] {
                let found = check(version, &headers);
                assert_eq!(found.is_ok(), accepted, "{version:?} {hosts:?}");
                let problem = found
                    .err()
                    .map(|problem| (problem.status.as_u16(), problem.code));
                assert!(problem.is_none_or(|found| found == (400, "invalid_host")));
            }
        }
        let none = Version::HTTP_2;
        assert!(
            check(none, &HeaderMap::new()).is_ok(),
            "it has `:authority`"
        );
    }
}
