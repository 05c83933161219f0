//! A real Redis Cluster of a test's own. Knows no server under test.

use std::time::Duration;

use tokio::time::{interval, timeout};

use super::redis::{Keeps, Redis, Reply, free};
use crate::client::SOON;

/// The first slot of each master, and behind the last.
const SLOTS: [u32; 4] = [0, 5461, 10923, 16384];

/// How often it is looked whether the masters know each other: nobody tells.
const LOOK: Duration = Duration::from_millis(20);

/// Three masters that share the slots, and where they are.
pub async fn joined() -> (Vec<Redis>, String) {
    let mut masters = Vec::new();
    for slots in SLOTS.windows(2) {
        let options = async || {
            let port = free().await.port().to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &port];
            options.map(str::to_owned).to_vec()
        };
        let master = Redis::start_with(Keeps::Nothing, options).await;
        let (first, last) = (slots[0].to_string(), (slots[1] - 1).to_string());
        is_done(
            master
                .ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                .await,
        );
        masters.push(master);
    }
    let first = masters[0].address();
    let Reply::Many(config) = masters[0].ask(&["CONFIG", "GET", "cluster-port"]).await else {
        panic!("no port of its bus");
    };
    let Reply::Text(bus) = &config[1] else {
        panic!("{config:?}");
    };
    let (host, port) = (first.ip().to_string(), first.port().to_string());
    for master in &masters[1..] {
        is_done(master.ask(&["CLUSTER", "MEET", &host, &port, bus]).await);
    }
    let meet = async {
        for master in &masters {
            let mut look = interval(LOOK);
            while !is_whole(master.ask(&["CLUSTER", "INFO"]).await) {
                look.tick().await;
            }
        }
    };
    timeout(SOON, meet).await.expect("they do not meet");
    let addresses: Vec<_> = masters.iter().map(|m| m.address().to_string()).collect();
    let at = format!("redis-cluster://{}", addresses.join(","));
    (masters, at)
}

fn is_done(reply: Reply) {
    assert_eq!(reply, Reply::Text("OK".to_owned()));
}

fn is_whole(about: Reply) -> bool {
    let Reply::Text(about) = about else {
        panic!("{about:?}");
    };
    about.contains("cluster_state:ok") && about.contains("cluster_known_nodes:3")
}
