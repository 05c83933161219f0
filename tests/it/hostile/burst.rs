//! A client that sends 10,000 events as fast as it can: all of them are delivered, in order, and
//! other clients receive theirs as fast as before.

use serde_json::json;
use tokio::time::timeout;

use super::{MEMORY_MOST, P99_MOST, TRIES, Victim};
use crate::client::{Client, SOON};

const EVENTS: usize = 10_000;

/// At this rate, the events above the burst take five seconds.
const NAMESPACE: &str = "protocol = \"room\"\npublish_from = \"anyone\"\n\
    [limits]\nevents_per_second = 1_900\nburst = 500\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_in_one_go_reach_everybody_and_slow_nobody_down() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("n.toml"), NAMESPACE).unwrap();
    let options = ["--namespaces", folder.path().to_str().unwrap()];
    let victim = Victim::start(&options).await;
    let address = victim.target.main;
    let mut listener = Client::connect(address, "/n").await.unwrap();
    listener.join("r").await;
    let mut seen = Vec::new();
    for round in 0..TRIES {
        let (before, idle) = victim.bystander().await;
        let mut sender = Client::connect(address, "/n").await.unwrap();
        let sent = tokio::spawn(async move {
            let notify = |n| format!(r#"42/n,["NOTIFY",{{"room":"r","message":{n}}}]"#);
            let packets: Vec<_> = (0..EVENTS).map(notify).collect();
            sender.send_at_once(&packets).await;
            sender
        });
        let received = async {
            for number in 0..EVENTS {
                assert_eq!(listener.next().await["message"], json!(number));
            }
        };
        let ((), (during, most)) = tokio::join!(received, victim.bystander());
        let mut sender = timeout(SOON, sent).await.unwrap().unwrap();
        sender.emit("CLIENTS", json!({"room": "r"})).await;
        assert_eq!(sender.event().await[0], "CLIENTS", "no ERROR before");
        let (slower, more) = (during.saturating_sub(before), most.saturating_sub(idle));
        println!("{round}: p99 {before:.1?}, then {during:.1?}, memory +{more} KiB");
        seen.push((slower, more));
        if slower <= P99_MOST && more <= MEMORY_MOST {
            return;
        }
    }
    panic!("{seen:?}");
}
