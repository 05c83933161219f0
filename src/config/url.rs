//! URLs in options: what is taken for one, and how much of one is shown.
//! Knows neither the options' names nor what is behind a URL.
//!
//! What is wrong with a URL is said without it: it may hold a password.

use std::net::IpAddr;

use http::Uri;

/// A URL that requests are sent to.
pub(super) fn target(text: &str) -> Result<Uri, String> {
    let wrong = "it is no URL with http:// or https://, a host and perhaps a port, \
                 as http://localhost:5000/websocket is";
    let uri: Uri = text.parse().map_err(|_| wrong)?;
    let authority = uri.authority().ok_or(wrong)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong.to_owned());
    }
    if authority.as_str().contains('@') {
        return Err(
            "a URL takes no user:password@ here: what the backend is sent is signed \
             with --webhook-secret, and what it sends has --webhook-key in `Authorization`"
                .to_owned(),
        );
    }
    // `Uri` takes any text behind the colon, and forgets a fragment.
    let with_port = authority.as_str() != authority.host();
    let port_is_one = authority.port_u16().is_some_and(|port| port != 0);
    if authority.host().is_empty() || (with_port && !port_is_one) {
        return Err(wrong.to_owned());
    }
    if text.contains('#') {
        return Err("a URL has no fragment (#) here: none is sent".to_owned());
    }
    Ok(uri)
}

/// A URL that paths are added to; it ends without a slash. Without a scheme, `http://` is meant.
pub(super) fn base(text: &str) -> Result<String, String> {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let text = &*with_scheme;
    let example = |why: String| why.replace("5000/websocket", "8081");
    if target(text).map_err(example)?.query().is_some() {
        return Err("the URL has a query, and paths are added to it".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether a URL that was taken names this machine by what is always its name.
pub(super) fn is_of_this_machine(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The port that requests go to.
pub(super) fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    uri.port_u16().unwrap_or(default)
}

/// Whether a URL contains a password.
pub(super) fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

/// The URL without its query, which may hold a token.
pub(super) fn shown(uri: &Uri) -> String {
    let text = uri.to_string();
    match text.split_once('?') {
        Some((bare, _)) => format!("{bare}?..."),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_target() {
        for (text, expected, to) in [
            (
                "http://localhost:3000/websocket",
                "http://localhost:3000/websocket",
                3000,
            ),
            ("https://a.example", "https://a.example/", 443),
            ("http://192.0.2.1", "http://192.0.2.1/", 80),
            ("http://[::1]:5/x", "http://[::1]:5/x", 5),
            (
                "HTTPS://a.example/x?token=1",
                "https://a.example/x?...",
                443,
            ),
            // Behind the host an @ is a letter like others.
            ("http://a.example/@me?b@c", "http://a.example/@me?...", 80),
        ] {
            let uri = target(text).unwrap();
            assert_eq!((&*shown(&uri), port(&uri)), (expected, to), "{text}");
        }
        let wrong = "is no URL with http:// or https://";
        for (text, words) in [
            ("", wrong),
            ("localhost:3000", wrong),
            ("localhost", wrong),
            ("/websocket", wrong),
            ("//localhost/websocket", wrong),
            ("ws://localhost/", wrong),
            ("http://", wrong),
            ("http:///x", wrong),
            ("http://:80/", wrong),
            ("http://a.example:/", wrong),
            ("http://a.example:0/", wrong),
            ("http://a.example:65536/", wrong),
            ("http://a.example:x/", wrong),
            ("http://a.example/a b", wrong),
            (" http://a.example/", wrong),
            ("http://a.example/#top", "no fragment"),
            ("http://a.example#top", "no fragment"),
            ("http://hunter2@a.example/", "--webhook-secret"),
            ("http://me:hunter2@a.example/", "--webhook-key"),
            ("http://me:hunter2@a.example:x/", "--webhook-key"),
        ] {
            let why = target(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn what_paths_are_added_to() {
        for (text, expected) in [
            ("http://localhost:8081", "http://localhost:8081"),
            ("http://localhost:8081/", "http://localhost:8081"),
            ("localhost:8081", "http://localhost:8081"),
            ("a.example/rest/", "http://a.example/rest"),
            ("https://a.example/rest/", "https://a.example/rest"),
        ] {
            assert_eq!(base(text).unwrap(), expected);
        }
        for text in [
            "",
            "/rest",
            "b@a",
            "ws://a",
            "http://a/?b",
            "http://a/#b",
            "http://b@a",
        ] {
            assert!(base(text).is_err(), "{text} was taken");
        }
    }
}
