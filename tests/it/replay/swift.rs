//! Swift, for iOS and macOS: socketio/socket.io-client-swift.
//!
//! By default it polls and tries a WebSocket at once; the app may force either
//! (Source/SocketIO/Engine/SocketEngine.swift, `handleOpen`). The query is
//! `transport`, `b64` by polling, what the app adds, `EIO`, then `sid`
//! (`createURLs`; SocketEngineSpec.swift). Versions up to 15 send no `EIO` at
//! all. One of Engine.IO v3 pings on the open packet, and behind it sends
//! CONNECT, with a comma behind the namespace (Manager/SocketManager.swift,
//! `connectSocket`), which is written out for `/` as well. Numbers of acks begin
//! at 0; `JSONSerialization` writes a slash as `\/`. It ends with DISCONNECT, a
//! close packet and a close frame; by polling with the packet alone.

use super::Other::{Bus, Lobby};
use super::Script;
use super::Step::{Closes, Ends, Hears, IsOut, Moves, Other, Reaches, Says};

/// Of a WebSocket: daltoniam/Starscream, Sources/Framer/HTTPHandler.swift
/// (`createUpgrade`), sends the address of the WebSocket itself as its origin.
const STARSCREAM: &[(&str, &str)] = &[("origin", "ws://localhost:3000")];

/// `URLSession`'s, by which it polls.
const POLLS: &[(&str, &str)] = &[
    ("accept", "*/*"),
    ("user-agent", "App/1 CFNetwork/1410.0.3 Darwin/22.6.0"),
];

/// Starscream's `disconnect`.
const BYE: Option<(u16, &str)> = Some((1000, ""));

pub const SCRIPTS: &[&Script] = &[
    // 16.0, which speaks Engine.IO v4 unless told otherwise. `handlePing`: it
    // answers pings. `/` is asked for where the app has a socket for it.
    &Script {
        sdk: "Swift 16, forced to a WebSocket",
        eio: 4,
        target: "/socket.io/?transport=websocket&EIO=4",
        headers: STARSCREAM,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["40/,", r#"40/bus,{"token":"t"}"#]),
            Hears(r#"40{"sid":""#),
            Hears(r#"40/bus,{"sid":""#),
            Says(&[r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#]),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&[r#"42/bus,["NOTIFY",{"message":"on\/off","room":"r"}]"#]),
            Reaches(r#"42/bus,["EVENT",{"sender":"anna","room":"r","message":"on"#),
            Says(&[r#"42/bus,1["CLIENTS",{"room":"r"}]"#]),
            Hears(r#"43/bus,1[{"#),
            Says(&["40/schedule,"]),
            Hears(r#"44/schedule,{"message":""#),
            Says(&["41/bus,"]),
            IsOut,
            Says(&["1"]),
            Closes(BYE),
            Ends,
        ],
    },
    // The same by polling alone. Packets that come while one is under way are
    // sent together (SocketEnginePollable.swift, `createRequestForPostWithPostWait`).
    &Script {
        sdk: "Swift 16, forced to polling",
        eio: 4,
        target: "/socket.io/?transport=polling&b64=1&EIO=4",
        headers: POLLS,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["40/bus,"]),
            Hears(r#"40/bus,{"sid":""#),
            Says(&[
                r#"42/bus,0["JOIN",{"room":"r","name":"Añna 𝄞"}]"#,
                r#"42/bus,["NOTIFY",{"message":"on\/off","room":"r"}]"#,
            ]),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Reaches(r#"42/bus,["EVENT",{"sender":"Añna 𝄞","room":"r","message":"on"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&[r#"42/bus,1["CLIENTS",{"room":"r"}]"#, "40/schedule,"]),
            Hears(r#"43/bus,1[{"#),
            Hears(r#"44/schedule,{"message":""#),
            Says(&["41/bus,"]),
            IsOut,
            Says(&["1"]),
            Ends,
        ],
    },
    // By default, with a query. When the probe is answered it has its poll ended
    // by a noop, which it would POST (`upgradeTransport`); where a POST is under
    // way then, that goes out on the WebSocket instead, behind the upgrade and
    // with all that was to be POSTed (`doFastUpgrade`,
    // `flushWaitingForPostToWebSocket`).
    &Script {
        sdk: "Swift 16",
        eio: 4,
        target: "/socket.io/?transport=polling&b64=1&lobbyId=x%20y&EIO=4",
        headers: POLLS,
        other: Lobby,
        steps: &[
            Hears("0{"),
            Says(&["40/lobby,"]),
            Hears(r#"40/lobby,{"sid":""#),
            Moves(
                "/socket.io/?transport=websocket&lobbyId=x%20y&EIO=4",
                &[
                    "5",
                    r#"42/lobby,["BROADCAST",{"message":"hello"}]"#,
                    "6",
                    r#"42/lobby,["BROADCAST",{"message":"again"}]"#,
                ],
            ),
            Hears(r#"42/lobby,["PEERS",[""#),
            Reaches(r#"42/lobby,["JOINED",""#),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Says(&["41/lobby,"]),
            Reaches(r#"42/lobby,["LEFT",""#),
            Says(&["1"]),
            Closes(BYE),
            Ends,
        ],
    },
    // 16 told to speak Engine.IO v3 (`.version(.two)`).
    &Script {
        sdk: "Swift 16 for Socket.IO 2",
        eio: 3,
        target: "/socket.io/?transport=polling&b64=1&EIO=3",
        headers: POLLS,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["2"]),
            Says(&["40/bus,"]),
            Hears("40/bus"),
            Moves(
                "/socket.io/?transport=websocket&EIO=3",
                &["5", r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#, "6"],
            ),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Says(&["2"]),
            Hears("3"),
            Says(&["41/bus,"]),
            IsOut,
            Says(&["1"]),
            Closes(BYE),
            Ends,
        ],
    },
    // Up to 15.2, as 13.3 at commit 016e127: no `EIO`; the server has to take it
    // for v3 (socketio/engine.io, pull request 616).
    &Script {
        sdk: "Swift 15, forced to a WebSocket",
        eio: 3,
        target: "/socket.io/?transport=websocket",
        headers: STARSCREAM,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["2", "40/bus,"]),
            Hears("40/bus"),
            Says(&[r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#]),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&[r#"42/bus,["NOTIFY",{"message":"on\/off","room":"r"}]"#]),
            Reaches(r#"42/bus,["EVENT",{"sender":"anna","room":"r","message":"on"#),
            Says(&[r#"42/bus,1["CLIENTS",{"room":"r"}]"#]),
            Hears(r#"43/bus,1[{"#),
            Says(&["40/schedule,"]),
            Hears("44/schedule,\""),
            Says(&["41/bus,"]),
            IsOut,
            Says(&["1"]),
            Closes(BYE),
            Ends,
        ],
    },
    // Lengths are those in UTF-16 units (`createRequestForPostWithPostWait`).
    &Script {
        sdk: "Swift 15, forced to polling",
        eio: 3,
        target: "/socket.io/?transport=polling&b64=1",
        headers: POLLS,
        other: Bus,
        steps: &[
            Hears("0{"),
            Says(&["2"]),
            Hears("3"),
            Says(&["40/bus,"]),
            Hears("40/bus"),
            Says(&[
                r#"42/bus,0["JOIN",{"room":"r","name":"Añna 𝄞"}]"#,
                r#"42/bus,["NOTIFY",{"message":"on\/off","room":"r"}]"#,
            ]),
            Hears(r#"43/bus,0[{"status":"ok","room":"r","clients":2,"#),
            Reaches(r#"42/bus,["EVENT",{"sender":"Añna 𝄞","room":"r","message":"on"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from 𝄞"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from 𝄞","#),
            Says(&[r#"42/bus,1["CLIENTS",{"room":"r"}]"#, "40/schedule,"]),
            Hears(r#"43/bus,1[{"#),
            Hears("44/schedule,\""),
            Says(&["41/bus,"]),
            IsOut,
            Says(&["1"]),
            Ends,
        ],
    },
    // By default, with a query, which it has in the handshake only.
    &Script {
        sdk: "Swift 15",
        eio: 3,
        target: "/socket.io/?transport=polling&b64=1&lobbyId=x%20y",
        headers: POLLS,
        other: Lobby,
        steps: &[
            Hears("0{"),
            Says(&["2"]),
            Says(&["40/lobby,"]),
            Hears("40/lobby"),
            Moves(
                "/socket.io/?transport=websocket&lobbyId=x%20y",
                &["5", "6", r#"42/lobby,["BROADCAST",{"message":"hello"}]"#],
            ),
            Hears(r#"42/lobby,["PEERS",["/lobby#"#),
            Reaches(r#"42/lobby,["JOINED",""#),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Says(&["2"]),
            Hears("3"),
            Says(&["41/lobby,"]),
            Reaches(r#"42/lobby,["LEFT",""#),
            Says(&["1"]),
            Closes(BYE),
            Ends,
        ],
    },
];
