use super::*;

/// The sender of a request with these headers, `Name: value` each.
fn sender_of(peer: &str, headers: &[&str]) -> Sender {
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    let mut map = HeaderMap::new();
    for line in headers {
        let (name, value) = line.split_once(": ").unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        map.append(name, value.parse().unwrap());
    }
    sender(SocketAddr::new(peer.parse().unwrap(), 1), &map, &trusted)
}

#[test]
fn only_a_trusted_proxy_speaks_for_others() {
    // peer, headers -> address, private
    let cases: &[(&str, &[&str], &str, bool)] = &[
        ("127.0.0.1", &[], "127.0.0.1", true),
        ("192.168.3.4", &[], "192.168.3.4", true),
        ("8.8.8.8", &[], "8.8.8.8", false),
        ("::ffff:127.0.0.1", &[], "127.0.0.1", true),
        (
            "127.0.0.1",
            &["X-Forwarded-For: 10.9.9.9"],
            "127.0.0.1",
            false,
        ),
        ("10.0.0.1", &["X-Forwarded-For: 8.8.8.8"], "8.8.8.8", false),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 127.0.0.1, 8.8.8.8"],
            "8.8.8.8",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 8.8.8.8, 10.0.0.2"],
            "8.8.8.8",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1"],
            "192.168.1.1",
            true,
        ),
        // The client is a trusted proxy itself.
        ("10.0.0.1", &["X-Forwarded-For: 10.0.0.5"], "10.0.0.5", true),
        // Private only if the whole chain is.
        (
            "10.0.0.1",
            &["X-Forwarded-For: 8.8.8.8, 192.168.1.1"],
            "192.168.1.1",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 8.8.8.8", "X-Forwarded-For: 192.168.1.1"],
            "192.168.1.1",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 172.16.0.1, 192.168.1.1"],
            "192.168.1.1",
            true,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: unknown, 192.168.1.1"],
            "192.168.1.1",
            false,
        ),
        // What is not known is not private, and never the proxy.
        ("10.0.0.1", &[], "0.0.0.0", false),
        ("10.0.0.1", &["X-Forwarded-Proto: https"], "0.0.0.0", false),
        ("10.0.0.1", &["X-Forwarded-For: nonsense"], "0.0.0.0", false),
        ("10.0.0.1", &["X-Forwarded-For: "], "0.0.0.0", false),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1, "],
            "0.0.0.0",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1, nonsense, 10.0.0.2"],
            "0.0.0.0",
            false,
        ),
        // With ports, as Azure's gateways write them.
        (
            "10.0.0.1",
            &["X-Forwarded-For: 8.8.8.8:4711"],
            "8.8.8.8",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1:4711"],
            "192.168.1.1",
            true,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: [2001:db8::1]:4711"],
            "2001:db8::1",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: [fd00::1]:4711"],
            "fd00::1",
            true,
        ),
        ("10.0.0.1", &["X-Forwarded-For: fd00::1"], "fd00::1", true),
        (
            "10.0.0.1",
            &["X-Forwarded-For: ::ffff:8.8.8.8"],
            "8.8.8.8",
            false,
        ),
        // RFC 7239.
        (
            "10.0.0.1",
            &["Forwarded: for=192.0.2.43;proto=https"],
            "192.0.2.43",
            false,
        ),
        (
            "10.0.0.1",
            &["Forwarded: proto=https; For=\"192.168.1.1:80\""],
            "192.168.1.1",
            true,
        ),
        (
            "10.0.0.1",
            &["Forwarded: for=\"[fd00::1]:4711\""],
            "fd00::1",
            true,
        ),
        (
            "10.0.0.1",
            &["Forwarded: for=8.8.8.8, for=192.168.1.1"],
            "192.168.1.1",
            false,
        ),
        (
            "10.0.0.1",
            &["Forwarded: for=192.168.1.1, for=8.8.8.8"],
            "8.8.8.8",
            false,
        ),
        (
            "10.0.0.1",
            &["Forwarded: for=192.168.1.1, proto=https"],
            "0.0.0.0",
            false,
        ),
        ("10.0.0.1", &["Forwarded: for=_hidden"], "0.0.0.0", false),
        ("10.0.0.1", &["Forwarded: for=unknown"], "0.0.0.0", false),
        (
            "10.0.0.1",
            &["Forwarded: for=192.168.1.1;for=192.168.1.2"],
            "0.0.0.0",
            false,
        ),
        (
            "10.0.0.1",
            &["Forwarded: for=\"a, for=192.168.1.1\""],
            "0.0.0.0",
            false,
        ),
        // Where both are there, private only if both say so.
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1", "Forwarded: for=192.168.1.1"],
            "192.168.1.1",
            true,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1", "Forwarded: for=8.8.8.8"],
            "0.0.0.0",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 8.8.8.8", "Forwarded: for=192.168.1.1"],
            "0.0.0.0",
            false,
        ),
        // Others beside it.
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1", "X-Real-IP: 192.168.1.1"],
            "192.168.1.1",
            true,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1", "X-Real-IP: 8.8.8.8"],
            "192.168.1.1",
            false,
        ),
        (
            "10.0.0.1",
            &[
                "X-Forwarded-For: 192.168.1.1",
                "X-Original-Forwarded-For: 8.8.8.8",
            ],
            "192.168.1.1",
            false,
        ),
        (
            "10.0.0.1",
            &["X-Forwarded-For: 192.168.1.1", "CDN-Loop: cloudflare"],
            "192.168.1.1",
            false,
        ),
        (
            "10.0.0.1",
            &[
                "X-Forwarded-For: 192.168.1.1",
                "Via: 1.1 Caddy",
                "X-Forwarded-Proto: http",
            ],
            "192.168.1.1",
            true,
        ),
        // Alone they name no client.
        ("10.0.0.1", &["X-Real-IP: 192.168.1.1"], "0.0.0.0", false),
    ];
    for (peer, headers, address, private) in cases {
        let sender = sender_of(peer, headers);
        assert_eq!(
            (sender.address, sender.is_private()),
            (address.parse().unwrap(), *private),
            "{peer} {headers:?}"
        );
    }
}

#[test]
fn a_header_of_any_proxy_makes_the_request_public() {
    for name in [
        "Akamai-Origin-Hop",
        "CDN-Loop",
        "CF-Connecting-IP",
        "CF-Ray",
        "Client-IP",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "Forwarded",
        "Forwarded-For",
        "Incap-Client-IP",
        "Proxy-Connection",
        "True-Client-IP",
        "Via",
        "X-Appengine-User-IP",
        "X-ARR-ClientIP",
        "X-Azure-ClientIP",
        "X-Azure-SocketIP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Envoy-External-Address",
        "X-Forwarded",
        "X-Forwarded-By",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Nf-Client-Connection-Ip",
        "X-Original-Forwarded-For",
        "X-Original-Host",
        "X-Originating-IP",
        "X-ProxyUser-Ip",
        "X-Real-IP",
        "X-Remote-Addr",
        "X-Remote-IP",
        "X-Vercel-Forwarded-For",
    ] {
        let header = format!("{name}: 127.0.0.1");
        let sender = sender_of("127.0.0.1", &[&header]);
        assert!(sender.doubtful && !sender.is_private(), "{name}");
    }
    // What clients, SDKs and probes on a private network send.
    for name in [
        "Accept",
        "Authorization",
        "Origin",
        "User-Agent",
        "X-Request-ID",
        "X-Requested-With",
        "X-Prometheus-Scrape-Timeout-Seconds",
        "X-Amzn-Trace-Id",
    ] {
        let header = format!("{name}: x");
        assert!(sender_of("127.0.0.1", &[&header]).is_private(), "{name}");
    }
}
