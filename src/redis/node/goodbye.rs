//! How a node takes leave of the others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::RedisError;
use tokio::time::timeout;
use tracing::{info, warn};

use super::batch::BATCH_MOST;
use super::{LinkState, Running};
use crate::redis::job::{Context, Job};

/// How long a node takes to say good-bye.
const GOODBYE_LIMIT: Duration = Duration::from_millis(500);

impl Running {
    /// Takes leave: its clients are gone from all rooms now, not after its lease.
    pub(super) async fn say_goodbye(mut self) {
        self.shared.connected.store(false, Ordering::Relaxed);
        let LinkState::Open { link, .. } = &self.link else {
            return self.jobs.say_what_is_lost();
        };
        let link = link.clone();
        let said = async {
            if let Some(flying) = self.flying.take() {
                flying.answers.await?;
            }
            while let Ok(job) = self.wanted.try_recv() {
                self.jobs.push(job);
            }
            // Those whose end nobody has noticed yet.
            for room in self.followers.keys() {
                for who in self.hub.present(room) {
                    self.jobs.push(Job::exit(room.clone(), who));
                }
            }
            loop {
                let mut asks = Vec::new();
                while asks.len() < BATCH_MOST
                    && let Some(job) = self.jobs.pop()
                {
                    let context = Context {
                        prefix: &self.prefix,
                        node: &self.node,
                        may_bury: false,
                        at: None,
                        present: Vec::new(),
                    };
                    let room = job.room();
                    let rules = room.and_then(|room| self.rules.get(&room.namespace));
                    asks.extend(job.ask(rules, &context));
                }
                if asks.is_empty() {
                    return Ok::<_, RedisError>(());
                }
                link.clone().ask(asks).await?;
            }
        };
        match timeout(GOODBYE_LIMIT, said).await {
            Ok(Ok(())) => info!("this node has left the others"),
            Ok(Err(error)) => warn!(%error, "this node could not take leave of the others"),
            Err(_) => warn!("Redis takes too long: this node has not taken leave of the others"),
        }
    }
}
