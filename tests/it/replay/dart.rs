//! Dart and Flutter: rikulo/socket.io-client-dart, the package `socket_io_client`.
//!
//! Outside of browsers it has the WebSocket of `dart:io` and no polling
//! (lib/src/engine/transport/io_transports.dart), so apps set `transports` to
//! `websocket`, as its README asks them to. In browsers it is a page that speaks
//! as the JavaScript SDK does.
//!
//! The query (lib/src/engine/socket.dart, `createTransport`) is the user's, then
//! `EIO` and `transport`; a timestamp only where it is asked for. CONNECT comes
//! on the open packet (lib/src/socket.dart, `onopen`), with a comma behind the
//! namespace (socket_io_common, lib/src/parser/parser.dart, `encodeAsString`).
//! Numbers of acks begin at 0. It ends with DISCONNECT and a close frame, without
//! a close packet (io_websocket_transport.dart, `doClose`).

use super::Other::{Bus, Lobby};
use super::Script;
use super::Step::{Closes, Ends, Hears, IsOut, Other, Reaches, Says};

/// `WebSocket.connect` of dart-lang/sdk, sdk/lib/_http/websocket_impl.dart: it
/// offers compression unless it is told not to.
const HEADERS: &[(&str, &str)] = &[
    ("user-agent", "Dart/3.5 (dart:io)"),
    ("cache-control", "no-cache"),
    (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    ),
];

pub const SCRIPTS: &[&Script] = &[
    // 0.9 and 1.0, for Socket.IO 2: 0.9.7 at commit 021a713.
    // lib/src/engine/socket.dart (`setPing`): it pings, after the first interval.
    &Script {
        sdk: "Dart 1.0",
        eio: 3,
        target: "/socket.io/?EIO=3&transport=websocket",
        headers: HEADERS,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["40/bus,"]),
            Hears("40"),
            Hears("40/bus"),
            Says(&[r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#]),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&["2"]),
            Hears("3"),
            Says(&[r#"42/bus,["NOTIFY",{"room":"r","message":{"a":[1,null]}}]"#]),
            Reaches(r#"42/bus,["EVENT",{"sender":"anna","room":"r","message":{"a":[1,null]},"#),
            Says(&[r#"42/bus,1["CLIENTS",{"room":"r"}]"#]),
            Hears(r#"43/bus,1[{"#),
            // A second namespace on the same connection.
            Says(&["40/schedule,"]),
            Hears("44/schedule,\""),
            Says(&["41/bus,"]),
            IsOut,
            Closes(None),
            Ends,
        ],
    },
    // `io("http://HOST/lobby?lobbyId=x y")`: the query of the address stands in
    // the handshake and in CONNECT (lib/socket_io_client.dart, `_lookup`;
    // lib/src/manager.dart, `packet`).
    &Script {
        sdk: "Dart 1.0, a query",
        eio: 3,
        target: "/socket.io/?lobbyId=x%20y&EIO=3&transport=websocket",
        headers: HEADERS,
        other: Lobby,
        steps: &[
            Hears("0{"),
            Says(&["40/lobby?lobbyId=x%20y,"]),
            Hears("40/lobby"),
            Hears(r#"42/lobby,["PEERS",["/lobby#"#),
            Reaches(r#"42/lobby,["JOINED",""#),
            Says(&[r#"42/lobby,["BROADCAST",{"message":"hello"}]"#]),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Says(&["41/lobby,"]),
            Closes(None),
            Reaches(r#"42/lobby,["LEFT",""#),
            Ends,
        ],
    },
    // 2.0 (beta 4 at commit f06d3a4), for Socket.IO 3 and 4. It answers pings
    // (lib/src/engine/socket.dart, `onPacket`); CONNECT has no query any more, and
    // nothing behind the comma where no `auth` is set (lib/src/socket.dart, `onopen`).
    &Script {
        sdk: "Dart 2.0",
        eio: 4,
        target: "/socket.io/?EIO=4&transport=websocket",
        headers: HEADERS,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["40/bus,"]),
            Hears(r#"40/bus,{"sid":""#),
            Says(&[r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#]),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&[r#"42/bus,["NOTIFY",{"room":"r","message":1.0}]"#]),
            Reaches(r#"42/bus,["EVENT",{"sender":"anna","room":"r","message":1.0,"#),
            Says(&[r#"42/bus,1["CLIENTS",{"room":"r"}]"#]),
            Hears(r#"43/bus,1[{"#),
            Says(&["40/schedule,"]),
            Hears(r#"44/schedule,{"message":""#),
            Says(&["41/bus,"]),
            IsOut,
            Closes(None),
            Ends,
        ],
    },
    // 3.0 (beta at commit 23b4098). A blank of the query is a plus
    // (lib/src/engine/transport.dart, `_query`); `auth` is CONNECT's payload
    // (lib/src/socket.dart, `sendConnectPacket`).
    &Script {
        sdk: "Dart 3.0, a query",
        eio: 4,
        target: "/socket.io/?lobbyId=x+y&EIO=4&transport=websocket",
        headers: HEADERS,
        other: Lobby,
        steps: &[
            Hears("0{"),
            Says(&[r#"40/lobby,{"token":"t"}"#]),
            Hears(r#"40/lobby,{"sid":""#),
            Hears(r#"42/lobby,["PEERS",[""#),
            Reaches(r#"42/lobby,["JOINED",""#),
            Says(&[r#"42/lobby,["BROADCAST",{"message":"hello"}]"#]),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Says(&["41/lobby,"]),
            Closes(None),
            Reaches(r#"42/lobby,["LEFT",""#),
            Ends,
        ],
    },
];
