//! Sets up the log: text or JSON on stderr, and what is worth a line.
//! Knows no other part: they all log through the `tracing` macros.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat, LogStyle};

/// The variable that says what is logged, in the form of `tracing`.
const FILTER: &str = "RUST_LOG";

/// The log can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is not a filter.
    #[error("RUST_LOG: {0}")]
    Filter(String),
    /// There is a log in this process already.
    #[error("the log is set up already")]
    Twice,
}

/// Sets the log up for the whole process.
///
/// Without a format: text where stderr is a terminal, JSON otherwise.
///
/// # Errors
/// `RUST_LOG` is not a filter, or the log was set up before.
pub fn start(wanted: &Log) -> Result<(), LoggingError> {
    let terminal = io::stderr().is_terminal();
    let format = wanted.format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let no_colour = env::var_os("NO_COLOR");
    let colour = coloured(wanted.style, terminal, no_colour.as_deref());
    let filter = filter(env::var(FILTER).ok().as_deref(), wanted.level)?;
    let log = subscriber(format, colour, filter, io::stderr);
    tracing::subscriber::set_global_default(log).map_err(|_| LoggingError::Twice)
}

/// Whether a log of text has colours.
fn coloured(style: LogStyle, terminal: bool, no_colour: Option<&OsStr>) -> bool {
    match style {
        // The convention of https://no-color.org.
        LogStyle::Auto => terminal && no_colour.is_none_or(OsStr::is_empty),
        LogStyle::Always => true,
        LogStyle::Never => false,
    }
}

/// What is worth a line: ours from that level on, and only the warnings of others.
fn filter(wanted: Option<&str>, level: LevelFilter) -> Result<EnvFilter, LoggingError> {
    let others = level.min(LevelFilter::WARN);
    // `server` is what the program itself logs under.
    let default = format!("{others},roomcast={level},server={level}");
    let wanted = wanted.filter(|text| !text.trim().is_empty());
    EnvFilter::builder()
        .parse(wanted.unwrap_or(&default))
        .map_err(|error| LoggingError::Filter(error.to_string()))
}

type Logger = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(format: LogFormat, colour: bool, filter: EnvFilter, writer: W) -> Logger
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would say so on stderr, and panic where that is what has gone.
        .log_internal_errors(false)
        .with_writer(writer);
    match format {
        LogFormat::Text => Box::new(log.with_ansi(colour).finish()),
        LogFormat::Json => Box::new(
            log.json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .finish(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, wanted: Option<&str>, level: LevelFilter) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = filter(wanted, level).unwrap();
        let log = subscriber(format, false, filter, move || writer.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "roomcast::hub", peer = "192.0.2.1", "too slow");
            tracing::debug!(target: "roomcast::hub", "small");
            tracing::trace!(target: "server", "smaller");
            tracing::error!(target: "server", "the end");
            tracing::info!(target: "hyper", "theirs");
            tracing::warn!(target: "hyper", "their warning");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_has_one_object_per_line() {
        let log = logged(LogFormat::Json, None, LevelFilter::INFO);
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "too slow");
        assert_eq!(first["peer"], "192.0.2.1");
        assert_eq!(first["level"], "INFO");
        assert_eq!(log.lines().count(), 3);
    }

    #[test]
    fn text_is_plain_where_no_terminal_is() {
        let log = logged(LogFormat::Text, None, LevelFilter::INFO);
        assert!(log.contains("INFO roomcast::hub: too slow peer=\"192.0.2.1\""));
        assert!(!log.contains('\u{1b}'));
    }

    #[test]
    fn what_is_logged() {
        for (wanted, level, expected) in [
            (None, LevelFilter::OFF, 0),
            (None, LevelFilter::ERROR, 1),
            (None, LevelFilter::WARN, 2),
            (None, LevelFilter::INFO, 3),
            (None, LevelFilter::DEBUG, 4),
            (None, LevelFilter::TRACE, 5),
            (Some(" "), LevelFilter::INFO, 3),
            (Some("off"), LevelFilter::DEBUG, 0),
            (Some("hyper=info"), LevelFilter::INFO, 2),
            (Some("roomcast=debug"), LevelFilter::INFO, 2),
        ] {
            let log = logged(LogFormat::Text, wanted, level);
            assert_eq!(log.lines().count(), expected, "{wanted:?} {level}: {log}");
        }
    }

    #[test]
    fn colours_are_for_terminals_unless_they_are_asked_for() {
        let set = Some(OsStr::new("1"));
        let empty = Some(OsStr::new(""));
        for (style, terminal, no_colour, expected) in [
            (LogStyle::Auto, true, None, true),
            (LogStyle::Auto, true, empty, true),
            (LogStyle::Auto, true, set, false),
            (LogStyle::Auto, false, None, false),
            (LogStyle::Always, false, set, true),
            (LogStyle::Never, true, None, false),
        ] {
            let found = coloured(style, terminal, no_colour);
            assert_eq!(found, expected, "{style:?} {terminal} {no_colour:?}");
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let error = filter(Some("roomcast=loud"), LevelFilter::INFO).unwrap_err();
        assert!(error.to_string().starts_with("RUST_LOG: "), "{error}");
    }
}
