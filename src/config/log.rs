//! How much is logged and how: `--log-level` and the options beside it.
//! Knows no logger: it says what is wanted of one.

use tracing::level_filters::LevelFilter;

use super::layers::Layers;
use super::value;
use crate::hint::Hint;

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// From which level on our own lines are logged.
    pub level: LevelFilter,
    /// None: text on a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
    /// Whether text has colours.
    pub style: LogStyle,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object per line.
    Json,
}

/// When text has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Wherever it goes.
    Always,
    /// Nowhere.
    Never,
}

/// What `--verbose` means.
const VERBOSE: LevelFilter = LevelFilter::DEBUG;

/// The words for levels, from the loudest to none.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("trace", LevelFilter::TRACE),
    ("debug", LevelFilter::DEBUG),
    ("info", LevelFilter::INFO),
    ("warn", LevelFilter::WARN),
    ("error", LevelFilter::ERROR),
    ("off", LevelFilter::OFF),
];

/// The words for styles.
const STYLES: [(&str, LogStyle); 3] = [
    ("auto", LogStyle::Auto),
    ("always", LogStyle::Always),
    ("never", LogStyle::Never),
];

/// Reads the options; what is wrong is noted.
pub(super) fn read(layers: &mut Layers) -> Log {
    let level = layers.lenient("log-level", level, level_of_directives);
    Log {
        level: match layers.required("verbose", value::boolean) {
            true => level.max(VERBOSE),
            false => level,
        },
        format: layers.optional("log-format", format),
        style: layers.lenient("log-style", style, style),
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    word(text, "level", &LEVELS)
}

/// The level that `env_logger`'s form begins with, as `info,hyper=warn` does: the
/// variable is also that of programs which take it.
fn level_of_directives(text: &str) -> Result<LevelFilter, String> {
    let first = text.split([',', '/']).next().unwrap_or(text);
    level(first.trim()).map_err(|_| format!("`{text}` begins with no level"))
}

fn style(text: &str) -> Result<LogStyle, String> {
    word(text, "style", &STYLES)
}

fn word<T: Copy>(text: &str, what: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let hint = Hint::new(text, words.iter().map(|(word, _)| *word));
        format!("`{text}` is no {what}; {hint}")
    })
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is neither text nor json")),
    }
}
