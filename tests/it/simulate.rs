//! The simulated Zetta: what it sends, as the feed's own reader understands it,
//! and what listeners of a real server hear of it.

mod documents;
mod heard;

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use roomcast::config::{Action, Config};
use roomcast::simulate::{self, Item, News, Options};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::SOON;

/// A simulation that runs until this is dropped, or until it is over.
struct Simulation {
    news: UnboundedReceiver<News>,
    running: JoinHandle<()>,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Simulation {
    fn start(address: SocketAddr, options: &[&str]) -> Self {
        let options = self::options(address, options);
        let (told, news) = unbounded_channel();
        let tell = Arc::new(move |news| drop(told.send(news)));
        let running = tokio::spawn(async move { simulate::run(&options, tell).await });
        Self { news, running }
    }

    async fn next(&mut self) -> Option<News> {
        timeout(SOON, self.news.recv())
            .await
            .expect("the simulation tells nothing")
    }

    /// Waits until it is over; all that it said was on air.
    async fn played(mut self) -> Vec<(Item, DateTime<Utc>)> {
        let mut played = Vec::new();
        while let Some(news) = self.next().await {
            match news {
                News::OnAir(item, start) => played.push((item, start)),
                News::Connected(..) => {}
                News::Trouble(..) => panic!("{news}"),
            }
        }
        played
    }
}

fn options(address: SocketAddr, options: &[&str]) -> Options {
    let address = address.to_string();
    let arguments = [&["server", "simulate", &address], options].concat();
    let arguments = arguments.into_iter().map(Into::into);
    match Config::load(arguments, None).unwrap().action {
        Action::Simulate(options) => options,
        other => panic!("{other:?}"),
    }
}
