//! C++: socketio/socket.io-client-cpp. It has WebSockets only (README.md).
//!
//! CONNECT is sent as soon as the WebSocket is open, before the server has said
//! anything (src/internal/sio_client_impl.cpp, `on_open`): for each namespace
//! that was asked for, and for `/` even if nobody did. Behind a namespace stands
//! a comma only where something follows (src/internal/sio_packet.cpp, `accept`).
//! Events wait for the answer (src/sio_socket.cpp, `send_packet`); numbers of
//! acks begin at 1 and are the process's; an object's keys are in order, since
//! they are in a `std::map`. It ends with a DISCONNECT for each namespace and a
//! close frame (`sync_close`).

use super::Other::{Bus, Lobby};
use super::Script;
use super::Step::{Closes, Ends, Hears, IsOut, Other, Reaches, Says};

/// zaphoyd/websocketpp, websocketpp/version.hpp.
const HEADERS: &[(&str, &str)] = &[("user-agent", "WebSocket++/0.8.2")];

/// `close_impl`.
const BYE: Option<(u16, &str)> = Some((1000, "End by user"));

pub const SCRIPTS: &[&Script] = &[
    // 3.0, commit ec4d540: the query (`connect_impl`) has seconds in `t`, then
    // what the user asked for; it answers pings (`on_ping`).
    &Script {
        sdk: "C++ 3.0",
        eio: 4,
        target: "/socket.io/?EIO=4&transport=websocket&t=1623931816",
        headers: HEADERS,
        other: Bus,
        steps: &[
            Says(&["40/bus", "40"]),
            Hears("0{"),
            Hears(r#"40/bus,{"sid":""#),
            Says(&[r#"42/bus,1["JOIN",{"name":"anna","room":"r"}]"#]),
            Hears(r#"43/bus,1[{"status":"ok","room":"r","clients":2,"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&[r#"42/bus,["NOTIFY",{"message":{"a":[1,null]},"room":"r"}]"#]),
            Reaches(r#"42/bus,["EVENT",{"sender":"anna","room":"r","message":{"a":[1,null]},"#),
            Says(&[r#"42/bus,2["CLIENTS",{"room":"r"}]"#]),
            Hears(r#"43/bus,2[{"#),
            Says(&["40/schedule"]),
            Hears(r#"44/schedule,{"message":""#),
            Says(&["41", "41/bus"]),
            IsOut,
            Closes(BYE),
            Ends,
        ],
    },
    // After 3.1: `auth` is the payload of each CONNECT (src/sio_socket.cpp,
    // `send_connect`), that of `/` too.
    &Script {
        sdk: "C++ 3.1, a query",
        eio: 4,
        target: "/socket.io/?EIO=4&transport=websocket&t=1623931816&lobbyId=x%20y",
        headers: HEADERS,
        other: Lobby,
        steps: &[
            Says(&[r#"40/lobby,{"token":"t"}"#, r#"40{"token":"t"}"#]),
            Hears("0{"),
            Hears(r#"40/lobby,{"sid":""#),
            Hears(r#"42/lobby,["PEERS",[""#),
            Reaches(r#"42/lobby,["JOINED",""#),
            Says(&[r#"42/lobby,["BROADCAST",{"message":"hello"}]"#]),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Says(&["41", "41/lobby"]),
            Closes(BYE),
            Reaches(r#"42/lobby,["LEFT",""#),
            Ends,
        ],
    },
    // 2.x, for Socket.IO 2, and 4 where that serves v3 (README.md): commit 6063cb1
    // with `EIO=3` in the address. It pings after the first interval
    // (`on_handshake`, `ping`). That commit itself writes `EIO=4` there, and then
    // answers no ping: its sessions end, here as everywhere where v4 is spoken.
    &Script {
        sdk: "C++ 2.x",
        eio: 3,
        target: "/socket.io/?EIO=3&transport=websocket&t=1623931816",
        headers: HEADERS,
        other: Bus,
        steps: &[
            Says(&["40/bus", "40"]),
            Hears("0{"),
            Hears("40/bus"),
            Says(&[r#"42/bus,1["JOIN",{"name":"anna","room":"r"}]"#]),
            Hears(r#"43/bus,1[{"status":"ok","room":"r","clients":2,"#),
            Other(r#"42/bus,["NOTIFY",{"room":"r","message":"from ben"}]"#),
            Hears(r#"42/bus,["EVENT",{"sender":"ben","room":"r","message":"from ben","#),
            Says(&["2"]),
            Hears("3"),
            Says(&[r#"42/bus,["NOTIFY",{"message":"hello","room":"r"}]"#]),
            Reaches(r#"42/bus,["EVENT",{"sender":"anna","room":"r","message":"hello","#),
            Says(&[r#"42/bus,2["CLIENTS",{"room":"r"}]"#]),
            Hears(r#"43/bus,2[{"#),
            Says(&["40/schedule"]),
            Hears("44/schedule,\""),
            Says(&["41", "41/bus"]),
            IsOut,
            Closes(BYE),
            Ends,
        ],
    },
    &Script {
        sdk: "C++ 2.x, a query",
        eio: 3,
        target: "/socket.io/?EIO=3&transport=websocket&t=1623931816&lobbyId=x%20y",
        headers: HEADERS,
        other: Lobby,
        steps: &[
            Says(&["40/lobby", "40"]),
            Hears("0{"),
            Hears("40/lobby"),
            Hears(r#"42/lobby,["PEERS",["/lobby#"#),
            Reaches(r#"42/lobby,["JOINED",""#),
            Says(&[r#"42/lobby,["BROADCAST",{"message":"hello"}]"#]),
            Reaches(r#"42/lobby,["MESSAGE",{"#),
            Says(&["41", "41/lobby"]),
            Closes(BYE),
            Reaches(r#"42/lobby,["LEFT",""#),
            Ends,
        ],
    },
];
