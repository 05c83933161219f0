//! Every option: its flag, default and help, declared once.
//! Knows no value: what an option takes is checked where it is resolved.

use super::opt::{Kind, Opt};

/// All options, in the order of the help.
pub(super) const OPTIONS: [Opt; 54] = [
    Opt::new(
        "port",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where clients connect",
    )
    .short('p')
    .or("3000"),
    Opt::new(
        "host",
        Kind::Text,
        "ADDR",
        "The address that clients connect to",
    )
    .or("0.0.0.0"),
    Opt::new(
        "https",
        Kind::Switch,
        "BOOL",
        "Serve over TLS, with a self-signed certificate unless --cert is given",
    )
    .short('S')
    .or("false"),
    Opt::new(
        "cert",
        Kind::Text,
        "FILE",
        "A certificate chain of your own, in PEM; turns HTTPS on; needs --key",
    ),
    Opt::new(
        "key",
        Kind::Text,
        "FILE",
        "The private key of --cert, in PEM",
    ),
    Opt::new(
        "certs",
        Kind::Text,
        "DIR",
        "The folder of the self-signed certificate; if it holds server.crt and its key \
         server.pem, the server uses them instead",
    )
    .or("certs"),
    Opt::new(
        "gateway-listen",
        Kind::Listen,
        "PORT|ADDR:PORT|off",
        "A second port for raw WebSockets, at any path with ?target=metadata, for apps that \
         expect one; a port alone means every address; `off` for none",
    )
    .or("off"),
    Opt::new(
        "socketio-client",
        Kind::Text,
        "FILE",
        "The Socket.IO client that pages load from /socket.io/socket.io.js, such as \
         dist/socket.io.js of the npm package socket.io-client; without it they receive 404",
    ),
    Opt::new("push", Kind::Switch, "BOOL", "Serve the push door").or("false"),
    Opt::new(
        "push-http",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where publishers post to the push door; a port alone means every address",
    )
    .alias("PORT_HTTP")
    .or("5223"),
    Opt::new(
        "push-ws",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where subscribers connect to the push door; a port alone means every address",
    )
    .alias("PORT_WS")
    .or("5222"),
    Opt::new(
        "push-key",
        Kind::Secret,
        "KEY",
        "What creating a channel of the push door needs, as `Authorization: Bearer KEY`; \
         without it loopback and private addresses create them; a variable that ends in \
         _FILE names a file with the key",
    )
    .alias("PUSH_KEY"),
    Opt::new(
        "push-rate",
        Kind::Number,
        "N",
        "How many requests per second one address may make where publishers post",
    )
    // A backend that pushes as fast as it can on one connection stays below it; a
    // flood does not take a core.
    .or("1000"),
    Opt::new(
        "target-address",
        Kind::Text,
        "URL",
        "Serve the webhook door for the backend at this URL, as http://localhost:5000/websocket",
    )
    .alias("TARGET_ADDRESS"),
    Opt::new(
        "webhook-style",
        Kind::Text,
        "wsaas|rest",
        "How the webhook door behaves: `wsaas` means as the program WSAAS, with binary frames and \
         REST answers of status 200; `rest` means text frames and HTTP statuses",
    )
    .or("wsaas"),
    Opt::new(
        "webhook-ws",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where clients connect to the webhook door; a port alone means every address",
    )
    .alias("WS_PORT")
    .or("8080"),
    Opt::new(
        "webhook-http",
        Kind::Listen,
        "PORT|ADDR:PORT",
        "Where the backend reaches the webhook door; a port alone means every address \
         with --webhook-key, else 127.0.0.1; others than loopback ones need the key",
    )
    .alias("HTTP_PORT")
    .or("8081"),
    Opt::new(
        "local-address",
        Kind::Text,
        "URL",
        "How the backend reaches --webhook-http; by default http://localhost with its port",
    )
    .alias("LOCAL_ADDRESS"),
    Opt::new(
        "ws-timeout",
        Kind::Number,
        "MS",
        "How long the backend of the webhook door has for an answer, and how often the \
         server pings an idle client (every 30 s at least), in milliseconds; 0 for no limit",
    )
    .alias("WS_TIMEOUT")
    .or("30000"),
    Opt::new(
        "max-page",
        Kind::Number,
        "N",
        "How many pages of 32 KiB a message of the webhook door can have; 0 for the most that the \
         server allows, 128",
    )
    .alias("MAX_PAGE")
    .or("4"),
    Opt::new(
        "webhook-retry",
        Kind::Text,
        "TIME",
        "For how long the webhook door tries a call again; as 90s, 10m or 1h",
    )
    // A restart of the backend takes less.
    .or("30s"),
    Opt::new(
        "target-ca",
        Kind::Text,
        "FILE",
        "The authorities that may have signed the certificate of --target-address, in \
         PEM; by default the system's",
    ),
    Opt::new(
        "webhook-key",
        Kind::Secret,
        "KEY",
        "What the backend needs at --webhook-http, as `Authorization: Bearer KEY`; a \
         variable that ends in _FILE names a file with the key",
    ),
    Opt::new(
        "webhook-secret",
        Kind::Secret,
        "SECRET",
        "What the backend is sent is signed with, as Standard Webhooks does: whsec_ and \
         24 to 64 bytes in base64; a variable that ends in _FILE names a file with it",
    ),
    Opt::new(
        "redis",
        Kind::Url,
        "URL",
        "Share rooms with the other nodes of this Redis or Valkey, as \
         redis://USER@HOST:6379/0; rediss:// is with TLS, redis-cluster://HOST:PORT,HOST:PORT \
         a cluster; a variable that ends in _FILE names a file with the URL",
    )
    .short('r'),
    Opt::new(
        "consul-host",
        Kind::Text,
        "URL",
        "Accepted and not used: the 2-IMMERSE websocket-service asked this Consul for its Redis",
    )
    .short('c'),
    Opt::new(
        "redis-database",
        Kind::Number,
        "N",
        "Which database of --redis; by default the one in its URL, else 0",
    )
    .short('d')
    .also("database"),
    Opt::new(
        "redis-password",
        Kind::Secret,
        "PASSWORD",
        "The password for --redis, better set as a variable, which others on the machine \
         can't read; one that ends in _FILE names a file with it",
    ),
    Opt::new(
        "redis-ca",
        Kind::Text,
        "FILE",
        "The authorities that may have signed the certificate of --redis, in PEM; by \
         default the system's",
    ),
    Opt::new(
        "zetta-listen",
        Kind::Listen,
        "PORT|ADDR:PORT|off",
        "Where Zetta connects; a port alone means every address; `off` for nowhere",
    )
    .or("0.0.0.0:1234"),
    Opt::new(
        "zetta-allow",
        Kind::List,
        "CIDR",
        "From where Zetta may connect; `private` means private and loopback \
         addresses; repeatable, in the environment with commas between",
    )
    .or("private"),
    Opt::new(
        "timezone",
        Kind::Text,
        "ZONE",
        "The time zone of the station, whose wall clock listeners are shown",
    )
    .or("America/Chicago"),
    Opt::new(
        "station-text",
        Kind::Text,
        "TEXT",
        "What listeners see when no song is on",
    )
    .or("You are listening to college radio"),
    Opt::new(
        "namespaces",
        Kind::Text,
        "DIR",
        "A folder of namespaces, NAME.toml each, that adds to and overrides the \
         built-in ones by file name",
    ),
    Opt::new(
        "state",
        Kind::Text,
        "DIR",
        "The folder of what outlives a restart: durable rooms and the play log",
    )
    .or("state"),
    Opt::new(
        "history-days",
        Kind::Number,
        "DAYS",
        "How long the play log is kept",
    )
    // Four years: reports are asked for about the three calendar years before.
    .or("1461"),
    Opt::new(
        "stale-after",
        Kind::Text,
        "TIME",
        "How long after what is on has run out it is taken back, if nothing new came; \
         as 90s, 10m or 1h",
    )
    .or("10m"),
    Opt::new(
        "shutdown-timeout",
        Kind::Text,
        "TIME",
        "How long a stop may take at most, as 8s or 1m; connections that are still open after \
         three quarters of that time are cut",
    )
    // By default Docker kills a container 10 s after SIGTERM.
    .or("8s"),
    Opt::new(
        "max-connections",
        Kind::Number,
        "N",
        "How many connections the main port holds at once; more get a 503",
    )
    // At 18 KiB each, 360 MiB; twice the crowd that the server is measured with.
    .or("20000"),
    Opt::new(
        "address-connections",
        Kind::Number,
        "N",
        "Most open connections of one public address (IPv6: of one /64 network); further ones \
         are refused with 429; never more than three quarters of --max-connections; 0 for no \
         limit",
    )
    // A campus of 5,000 clients behind one address: an SDK that begins with polling needs
    // two connections for that, and a third to move to a WebSocket.
    .or("15000"),
    Opt::new(
        "address-sessions",
        Kind::Number,
        "N",
        "Most Socket.IO sessions of one public address; further ones are refused with 429; 0 \
         for no limit",
    )
    // The clients of that campus.
    .or("5000"),
    Opt::new(
        "address-unconfirmed",
        Kind::Number,
        "N",
        "Most Socket.IO sessions of one public address that have not connected to a \
         namespace yet; 0 for no limit",
    )
    // SDKs connect to a namespace within a round trip: enough for a campus whose clients
    // all reconnect at once.
    .or("2000"),
    Opt::new(
        "address-rate",
        Kind::Number,
        "N",
        "Most new connections per second of one public address, on average, with bursts of \
         up to --address-connections; the same for sessions; 0 for no limit",
    )
    // A campus whose clients change pages opens fewer.
    .or("200"),
    Opt::new(
        "address-rooms",
        Kind::Number,
        "N",
        "Most open rooms per namespace that the clients of one public address have opened; \
         0 for no limit",
    )
    // One for each client of a campus; half of the rooms of a namespace.
    .or("5000"),
    Opt::new(
        "address-private",
        Kind::Switch,
        "BOOL",
        "Whether the --address-... limits also apply to private and loopback addresses",
    )
    .or("false"),
    Opt::new(
        "trusted-proxy",
        Kind::List,
        "CIDR",
        "A proxy whose X-Forwarded-For or Forwarded counts, or `private`; repeatable, in \
         the environment with commas between",
    ),
    Opt::new(
        "host-name",
        Kind::List,
        "NAME",
        "A public host name under which /metrics and the other endpoints for private \
         addresses answer; repeatable, in the environment with commas between",
    ),
    Opt::new(
        "require-token",
        Kind::Switch,
        "BOOL",
        "Whether publishing from private addresses needs a token, too",
    )
    .or("false"),
    Opt::new(
        "cors-origin",
        Kind::List,
        "ORIGIN",
        "The origin of web pages that may connect, as https://radio.example, or `*` \
         for any; repeatable, in the environment with commas between",
    )
    .or("*"),
    Opt::new(
        "log-level",
        Kind::Text,
        "error|warn|info|debug|trace|off",
        "From which level on to log; of libraries, warnings at most",
    )
    .alias("LOG_LEVEL")
    .or("info"),
    Opt::new(
        "log-style",
        Kind::Text,
        "auto|always|never",
        "Whether a log of text has colours; `auto` means on a terminal, unless NO_COLOR is set",
    )
    .alias("LOG_STYLE")
    .or("auto"),
    Opt::new(
        "log-format",
        Kind::Text,
        "text|json",
        "How to log; by default text on a terminal and JSON otherwise",
    ),
    Opt::new(
        "verbose",
        Kind::Switch,
        "BOOL",
        "Log also what is of use only when looking for a fault: --log-level debug at least",
    )
    .short('v')
    .or("false"),
    Opt::new(
        CONFIG,
        Kind::Text,
        "FILE",
        "A TOML file with options: each long flag is a key of the same name",
    ),
];

/// The option that names the file with the others, and can't stand in it.
pub(super) const CONFIG: &str = "config";

/// The option of that name.
pub(super) fn named(name: &str) -> &'static Opt {
    OPTIONS
        .iter()
        .find(|option| option.name == name)
        .expect("only declared options are asked for")
}
