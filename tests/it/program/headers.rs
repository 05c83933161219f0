//! Headers that every HTTP answer has, whichever port it is from.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Program;
use crate::http::{Answer, ask, header};
use crate::net::tls;

const ALL: [&str; 12] = [
    "--push",
    "--push-http=127.0.0.1:0",
    "--push-ws=127.0.0.1:0",
    "--target-address=http://127.0.0.1:9/",
    "--webhook-style=rest",
    "--webhook-ws=127.0.0.1:0",
    "--webhook-http=127.0.0.1:0",
    "--gateway-listen=127.0.0.1:0",
    "--push-rate=1000",
    "--cors-origin=https://a.example",
    "--max-connections=100",
    "--zetta-allow=private",
];

#[tokio::test]
async fn no_answer_is_taken_for_another_kind() {
    let program = Program::start(&ALL).await;
    let of = |what| program.address_of(what);
    let main = program.address;
    let requests: [(SocketAddr, &str, u16); 11] = [
        (main, "GET / HTTP/1.1", 200),
        (main, "GET /health HTTP/1.1", 200),
        (main, "GET /nothing HTTP/1.1", 404),
        (main, "GET /api/now-playing/history HTTP/1.1", 200),
        (
            main,
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1",
            200,
        ),
        // Refused before anything else.
        (
            main,
            "GET /socket.io/ HTTP/1.1\r\nOrigin: https://b.example",
            403,
        ),
        (of("gateway"), "GET / HTTP/1.1", 400),
        (of("push http"), "POST /push HTTP/1.1", 400),
        (of("push ws"), "GET / HTTP/1.1", 426),
        (of("webhook REST"), "GET /x HTTP/1.1", 404),
        (program.zetta, "POST / HTTP/1.1\r\nContent-Length: 0", 422),
    ];
    for (port, request, status) in requests {
        let request = format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = ask(TcpStream::connect(port).await.unwrap(), &request).await;
        assert_eq!(answer.status, status, "{request}");
        let kind = header(&answer, "x-content-type-options");
        assert_eq!(kind, Some("nosniff"), "{request}");
        assert_eq!(hsts(&answer), None, "{request}");
    }
}

/// HSTS makes a browser use only HTTPS for a year: with a certificate that it does not
/// trust, it would be locked out.
#[tokio::test]
async fn https_is_for_good_with_a_certificate_of_ones_own() {
    let own = ["--cert=certs/cert.pem", "--key=certs/key.pem"];
    for (options, expected) in [(&["--https"][..], None), (&own, Some("max-age=31536000"))] {
        let folder = tempfile::tempdir().unwrap();
        tls::self_signed(&folder.path().join("certs"));
        let program = Program::start_in(folder, options).await;
        for target in ["/", "/health", "/nothing"] {
            let answer = program.get(target).await;
            assert_eq!(hsts(&answer), expected, "{options:?} {target}");
        }
    }
}

fn hsts(answer: &Answer) -> Option<&str> {
    header(answer, "strict-transport-security")
}
