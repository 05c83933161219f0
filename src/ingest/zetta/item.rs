//! From a log event to an item: its type, its length, its start. Pure.
//! Knows how studios write numbers and times, not which item is on.

use chrono::{DateTime, NaiveDateTime, Utc};
use uuid::Uuid;

use super::xml::{Asset, LogEvent};
use crate::nowplaying::{Item, LENGTH_MOST, can_start};

/// The known values of `Status`. Any other one is reported as a fault.
const STATUSES: [&str; 16] = [
    "",
    "CURRENT",
    "PLAYED",
    "PLAYING",
    "HISTORY",
    "PAST",
    "NEXT",
    "FUTURE",
    "UPCOMING",
    "SCHEDULED",
    "PENDING",
    "QUEUED",
    "LOADED",
    "READY",
    "STOPPED",
    "SKIPPED",
];

/// The item of a log event that starts, or is to start, at `start`.
pub(super) fn item(event: &LogEvent, asset: &Asset, start: DateTime<Utc>) -> Item {
    let (length, played) = lengths(event, asset);
    // An item is a song only if both its event and its asset say so.
    let kind = match event.kind.trim().eq_ignore_ascii_case(Item::SONG) {
        true => &asset.kind,
        false => &event.kind,
    };
    Item {
        airing: Uuid::nil(),
        id: id_of(event).to_owned(),
        kind: kind.clone(),
        title: asset.title.clone(),
        artist: asset.artist.clone(),
        album: asset.album.clone(),
        length: length * 1000.0,
        played: played * 1000.0,
        start,
    }
}

/// The id of a log event; empty where it was started by hand, all zeros.
pub(super) fn id_of(event: &LogEvent) -> &str {
    let by_hand = event.id.bytes().all(|b| b == b'0');
    if by_hand { "" } else { &event.id }
}

/// The length of the file, and of the part between the trims that is played, in seconds. If only
/// one is known, both are that one; if none is, both are the length that the log plans, or 0.
fn lengths(event: &LogEvent, asset: &Asset) -> (f64, f64) {
    let total = parse_seconds(&asset.total).filter(|total| *total > 0.0);
    let trimmed = match (
        parse_seconds(&asset.trim_in),
        parse_seconds(&asset.trim_out),
    ) {
        (Some(from), Some(to)) if to > from => Some(to - from),
        _ => None,
    };
    let planned = parse_seconds(&event.duration).unwrap_or(0.0);
    (
        total.or(trimmed).unwrap_or(planned),
        trimmed.or(total).unwrap_or(planned),
    )
}

/// `257.92`, `257,92` or `04:17` as seconds: finite, not negative, at most a day.
fn parse_seconds(text: &str) -> Option<f64> {
    let text = text.trim().replace(',', ".");
    let mut seconds = 0.0;
    for part in text.split(':') {
        let plain = part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let part: f64 = part.parse().ok().filter(|_| plain)?;
        seconds = seconds * 60.0 + part;
    }
    (0.0..=LENGTH_MOST / 1000.0)
        .contains(&seconds)
        .then_some(seconds)
}

/// Checks the attributes of a log event. The error is the name and the text of the first one that
/// makes no sense.
pub(super) fn makes_sense(
    event: &LogEvent,
    now: DateTime<Utc>,
) -> Result<(), (&'static str, String)> {
    let LogEvent { start, status, .. } = event;
    if !start.is_empty() && parse_start(start, now).is_none() {
        return Err(("start_time", start.clone()));
    }
    let mut known = STATUSES.iter();
    match known.any(|known| known.eq_ignore_ascii_case(status)) {
        true => Ok(()),
        false => Err(("status", status.clone())),
    }
}

/// Parses a start in ISO 8601, also without seconds; without a zone it is UTC. `None` for
/// everything else: a local time, such as `7/9/2024 4:00:35 PM`, may be hours off.
pub(super) fn parse_start(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim().to_ascii_uppercase().replacen(' ', "T", 1);
    let parse = |form: &str| {
        let zoned = DateTime::parse_from_str(&text, &format!("{form}%#z"));
        let naive = || NaiveDateTime::parse_from_str(&text, form).ok();
        let zoned = zoned.ok().map(|time| time.to_utc());
        zoned.or_else(|| naive().map(|time| time.and_utc()))
    };
    let start = parse("%Y-%m-%dT%H:%M:%S%.f").or_else(|| parse("%Y-%m-%dT%H:%M"));
    start.filter(|start| can_start(*start, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_that_of_the_file_and_what_is_played_is_between_the_trims() {
        // file, trim in, trim out, plan; the seconds of the file and of the part that is played
        for (total, trim_in, trim_out, duration, expected) in [
            ("257.92", "0.21", "255.21", "04:14", (257.92, 255.0)),
            ("257,92", "", "255", "04:14", (257.92, 257.92)),
            ("257,92", "9", "9", "", (257.92, 257.92)),
            ("04:17", "00:02", "04:12,5", "", (257.0, 250.5)),
            ("1:04:17", "", "", "", (3_857.0, 3_857.0)),
            ("", "0.21", "255.21", "04:14", (255.0, 255.0)),
            ("0", "", "", "04:14", (254.0, 254.0)),
            ("-5", "", "", "", (0.0, 0.0)),
            ("1e999", "NaN", "inf", "++1", (0.0, 0.0)),
            ("86401", "", "", "1:04:17", (3_857.0, 3_857.0)),
        ] {
            let event = LogEvent {
                duration: duration.into(),
                ..LogEvent::default()
            };
            let asset = Asset {
                total: total.into(),
                trim_in: trim_in.into(),
                trim_out: trim_out.into(),
                ..Asset::default()
            };
            assert_eq!(
                lengths(&event, &asset),
                expected,
                "{total} {trim_in} {trim_out} {duration}"
            );
        }
    }

    #[test]
    fn a_start_is_a_time_that_every_browser_reads_or_none() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-03-01T01:02:03Z", Some("2026-03-01T01:02:03Z")),
            (
                "2026-03-01T01:02:03.1234567Z",
                Some("2026-03-01T01:02:03.123456700Z"),
            ),
            ("2026-03-01T01:02:03", Some("2026-03-01T01:02:03Z")),
            (" 2026-03-01 01:02:03z ", Some("2026-03-01T01:02:03Z")),
            ("2026-03-01T01:02:03-06:00", Some("2026-03-01T07:02:03Z")),
            ("2026-03-01T01:02:03+0000", Some("2026-03-01T01:02:03Z")),
            ("2026-03-01 01:02:03 -0630", Some("2026-03-01T07:32:03Z")),
            ("2026-03-01T01:02:03+02", Some("2026-02-28T23:02:03Z")),
            ("2026-03-01T01:02", Some("2026-03-01T01:02:00Z")),
            ("2026-03-01T01:02Z", Some("2026-03-01T01:02:00Z")),
            ("2026-03-01T01:02+0100", Some("2026-03-01T00:02:00Z")),
            ("2026-03-02T11:59:59Z", Some("2026-03-02T11:59:59Z")),
            ("2026-03-02T12:00:00Z", None),
            ("2026-03-01T01:02:60Z", None),
            ("2026-02-28T23:59:60Z", None),
            ("2026-02-28T23:59:60.5", None),
            ("2026-03-01T24:00:00Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("3/1/2026 1:02:03 AM", None),
            ("03/01/2026 01:02:03", None),
            ("+262142-01-01T00:00:00Z", None),
            ("1772326923", None),
            ("T", None),
            ("", None),
        ] {
            let expected = expected.map(|time| time.parse::<DateTime<Utc>>().unwrap());
            assert_eq!(parse_start(text, now), expected, "{text}");
        }
    }
}
