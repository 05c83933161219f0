//! What the text of an option means that is a number, and how large it may be.
//! Knows neither the options' names nor where a text came from.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// The most connections that can be asked for: more than one machine's ports.
const CONNECTIONS_MOST: usize = 1_000_000;

/// The most requests per second that one address can be let make: a hundred times
/// the default, which is there to stop floods.
const RATE_MOST: u32 = 100_000;

/// The longest that a play log is kept: a century, that is for good.
const DAYS_MOST: u64 = 36_500;

/// The waits for a backend, in milliseconds: below a tenth of a second a network's
/// hiccup ends them, and beyond ten minutes nobody waits.
const MILLIS: RangeInclusive<u64> = 100..=600_000;

/// The most pages of a message: 4 MiB, which a client may make the server hold.
const PAGES_MOST: usize = 128;

/// The longest time span, in seconds: what is a day old is not on air.
const SPAN_MOST: u64 = 24 * 60 * 60;

/// The last database that Redis can be told to have: its setting `databases` is a
/// positive `int`, and counting begins at 0.
const DATABASE_MOST: u32 = i32::MAX as u32 - 1;

pub(super) fn connections(text: &str) -> Result<usize, String> {
    whole(text, "a whole number", 1..=CONNECTIONS_MOST)
}

pub(super) fn rate(text: &str) -> Result<u32, String> {
    whole(text, "a whole number", 1..=RATE_MOST)
}

/// Reads a limit of a number of things; 0 means no limit.
pub(super) fn limit(text: &str) -> Result<usize, String> {
    let limit = whole(text, "a whole number", 0..=CONNECTIONS_MOST)?;
    Ok(if limit == 0 { usize::MAX } else { limit })
}

/// Reads a limit per second; 0 means no limit.
pub(super) fn rate_limit(text: &str) -> Result<u32, String> {
    let limit = whole(text, "a whole number", 0..=RATE_MOST)?;
    Ok(if limit == 0 { u32::MAX } else { limit })
}

pub(super) fn days(text: &str) -> Result<Duration, String> {
    let days = whole(text, "a whole number of days", 1..=DAYS_MOST)?;
    Ok(Duration::from_secs(days * 24 * 60 * 60))
}

/// Reads a time limit in milliseconds; 0 means no limit.
pub(super) fn millis(text: &str) -> Result<Option<Duration>, String> {
    if text == "0" {
        return Ok(None);
    }
    let millis = whole(text, "a whole number of milliseconds", MILLIS);
    let millis = millis.map_err(|why| format!("{why}, or 0 for no limit"))?;
    Ok(Some(Duration::from_millis(millis)))
}

/// Reads a number of pages; 0 means the most that the server allows.
pub(super) fn pages(text: &str) -> Result<usize, String> {
    let pages = whole(text, "a whole number of pages", 0..=PAGES_MOST)?;
    Ok(if pages == 0 { PAGES_MOST } else { pages })
}

/// A database of Redis. The text is not repeated: it may be a URL with a password
/// that went to the wrong option.
pub(super) fn database(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number
        .filter(|number| *number <= DATABASE_MOST)
        .ok_or_else(|| format!("it is not a whole number from 0 to {DATABASE_MOST}"))
}

/// A number with its unit: `90s`, `10m` or `2h`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let read = || {
        let number = text.strip_suffix(['s', 'm', 'h'])?;
        let unit = match text.as_bytes().last()? {
            b's' => 1,
            b'm' => 60,
            _ => 60 * 60,
        };
        let number: u64 = number.parse().ok()?;
        let seconds = number.checked_mul(unit)?;
        (1..=SPAN_MOST).contains(&seconds).then_some(seconds)
    };
    read()
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is no time span from 1s to 24h, as 10m is"))
}

/// A number in its bounds; `what` says what it is of.
fn whole<T>(text: &str, what: &str, bounds: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok();
    number
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (least, most) = bounds.into_inner();
            format!("`{text}` is not {what} from {least} to {most}")
        })
}
