//! What is counted, as Prometheus reads it.
//! The other parts count through the macros of the `metrics` crate.

pub mod status;

use std::sync::OnceLock;
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The media type of [`render`]'s text: the Prometheus text format 0.0.4.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often measured times are sorted into their buckets.
///
/// Until then each takes some bytes, also where nobody ever asks for them.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The bounds of the buckets for times, in seconds.
///
/// Fine around the 2 ms that an event may take, up to the 20 s of a deadline.
const SECONDS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 20.0,
];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Begins to count, for the whole process. Once is enough; twice is no harm.
pub fn install() {
    handle();
}

/// All that was counted since [`install`], in the Prometheus text format.
pub fn render() -> String {
    handle().render()
}

/// Keeps what is held for measured times small, until `stop`.
pub async fn upkeep(stop: CancellationToken) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => handle().run_upkeep(),
        }
    }
}

fn handle() -> &'static PrometheusHandle {
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the bounds above are not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Only where a program around this library counts in its own way.
        if metrics::set_global_recorder(recorder).is_err() {
            warn!("something else counts in this process; /metrics stays empty");
        }
        describe();
        handle
    })
}

fn describe() {
    for (name, unit, about) in GAUGES {
        metrics::describe_gauge!(*name, *unit, *about);
    }
    for (name, unit, about) in COUNTERS {
        metrics::describe_counter!(*name, *unit, *about);
    }
}

/// Name, unit and meaning of a metric.
type Described = (&'static str, Unit, &'static str);

const GAUGES: &[Described] = &[
    (
        "roomcast_clients",
        Unit::Count,
        "Clients that are connected, by namespace",
    ),
    (
        "roomcast_rooms",
        Unit::Count,
        "Rooms that there are, by namespace",
    ),
    (
        "roomcast_connections_open",
        Unit::Count,
        "Connections of the main port that are open",
    ),
    (
        "roomcast_sessions_open",
        Unit::Count,
        "Socket.IO sessions that are open, polling ones included",
    ),
    (
        "roomcast_broker_connected",
        Unit::Count,
        "1 while this node is one with all nodes, 0 while it goes on alone",
    ),
    (
        "roomcast_broker_waiting",
        Unit::Count,
        "Events that this node's clients have heard and the other nodes have not",
    ),
    (
        "roomcast_store_ok",
        Unit::Count,
        "1 while what is to outlive a restart is written to disk, else 0",
    ),
    (
        "roomcast_webhook_breaker_open",
        Unit::Count,
        "1 while the backend fails and calls wait until it answers, else 0",
    ),
    (
        "roomcast_webhook_calls_in_flight",
        Unit::Count,
        "Calls of the backend that are under way",
    ),
    (
        "roomcast_webhook_waiting_bytes",
        Unit::Bytes,
        "Messages of clients that wait for the backend",
    ),
    (
        "roomcast_zetta_connections_open",
        Unit::Count,
        "Connections of the Zetta port that are open",
    ),
    (
        "roomcast_zetta_last_document_age_seconds",
        Unit::Seconds,
        "Time since the last good document of the feed",
    ),
];

const COUNTERS: &[Described] = &[
    (
        "roomcast_runtime_stalls_total",
        Unit::Count,
        "Times that the runtime hung for 5 s or longer",
    ),
    (
        "roomcast_accept_errors_total",
        Unit::Count,
        "Connections that could not be accepted",
    ),
    (
        "roomcast_clients_closed_total",
        Unit::Count,
        "Clients that the server closed, by namespace and reason",
    ),
    (
        "roomcast_connections_cut_total",
        Unit::Count,
        "Connections that were cut off, by reason",
    ),
    (
        "roomcast_connections_refused_total",
        Unit::Count,
        "Connections, sessions and requests that were refused above a limit, by reason",
    ),
    (
        "roomcast_broker_dropped_total",
        Unit::Count,
        "Events that the other nodes will never hear, since too many waited for Redis",
    ),
    (
        "roomcast_broker_gaps_total",
        Unit::Count,
        "Times that events were missing in a room, and were asked for",
    ),
    (
        "roomcast_broker_outages_total",
        Unit::Count,
        "Times that Redis did not answer any more",
    ),
    (
        "roomcast_events_total",
        Unit::Count,
        "Events that were published, by namespace",
    ),
    (
        "roomcast_handshakes_failed_total",
        Unit::Count,
        "TLS handshakes that failed, by reason",
    ),
    (
        "roomcast_panics_total",
        Unit::Count,
        "Panics (bugs in the server), by part of the server",
    ),
    (
        "roomcast_refused_total",
        Unit::Count,
        "What clients asked for and did not get, by door and reason",
    ),
    (
        "roomcast_signals_dropped_total",
        Unit::Count,
        "Signals from other nodes that were dropped because too many of the same sender were waiting",
    ),
    (
        "roomcast_store_damaged_files_total",
        Unit::Count,
        "Damaged databases that were renamed",
    ),
    (
        "roomcast_store_damaged_rows_total",
        Unit::Count,
        "Damaged rows of the database that were set aside",
    ),
    (
        "roomcast_store_failures_total",
        Unit::Count,
        "Times that the disk took nothing of what is to outlive a restart",
    ),
    (
        "roomcast_store_lost_plays_total",
        Unit::Count,
        "Items that the play log lost, since the disk took none for too long",
    ),
    (
        "roomcast_unlogged_plays_total",
        Unit::Count,
        "Items that were published but not written to the play log, above its rate limit",
    ),
    (
        "roomcast_webhook_calls_total",
        Unit::Count,
        "Calls of the backend, each try of one, by method and result",
    ),
    (
        "roomcast_webhook_refused_messages_total",
        Unit::Count,
        "Client messages that the backend refused with 3xx or 4xx",
    ),
    (
        "roomcast_webhook_retries_total",
        Unit::Count,
        "Calls of the backend that were tried again",
    ),
    (
        "roomcast_webhook_undelivered_total",
        Unit::Count,
        "Messages and ends of connections that the backend was not told of",
    ),
    (
        "roomcast_zetta_connections_total",
        Unit::Count,
        "Connections of the Zetta port that were let in",
    ),
    (
        "roomcast_zetta_documents_total",
        Unit::Count,
        "Good documents of the feed",
    ),
    (
        "roomcast_zetta_faults_total",
        Unit::Count,
        "Wrong values in documents, and wrong clocks of senders, by reason: start_time, status, skew",
    ),
    (
        "roomcast_zetta_late_total",
        Unit::Count,
        "Items that a sender declared to be on air although another item had followed them",
    ),
    (
        "roomcast_zetta_rejected_total",
        Unit::Count,
        "What came to the Zetta port and was no good, by reason",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown_and_installing_twice_is_no_harm() {
        install();
        metrics::counter!("roomcast_events_total", "namespace" => "/test-of-metrics").increment(2);
        install();
        metrics::counter!("roomcast_events_total", "namespace" => "/test-of-metrics").increment(1);
        let text = render();
        assert!(text.contains("# HELP roomcast_events_total Events that were published"));
        assert!(text.contains("# TYPE roomcast_events_total counter"));
        assert!(text.contains("roomcast_events_total{namespace=\"/test-of-metrics\"} 3"));
    }

    #[test]
    fn times_are_sorted_into_buckets() {
        install();
        metrics::histogram!("roomcast_test_of_metrics_seconds").record(0.0015);
        let text = render();
        assert!(text.contains("roomcast_test_of_metrics_seconds_bucket{le=\"0.002\"} 1"));
        assert!(text.contains("roomcast_test_of_metrics_seconds_bucket{le=\"0.001\"} 0"));
    }

    #[test]
    fn names_follow_the_rules() {
        for (name, _, about) in GAUGES.iter().chain(COUNTERS) {
            assert!(name.starts_with("roomcast_"), "{name}");
            assert!(!about.is_empty(), "{name}");
        }
        assert!(COUNTERS.iter().all(|(name, ..)| name.ends_with("_total")));
    }

    #[tokio::test]
    async fn upkeep_ends_when_it_is_told_to() {
        let stop = CancellationToken::new();
        let task = tokio::spawn(upkeep(stop.clone()));
        stop.cancel();
        task.await.unwrap();
    }
}
