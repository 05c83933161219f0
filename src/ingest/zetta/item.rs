//! From a log event to an item: its type, its length, its start. Pure.
//! Knows how studios write numbers and times, not which item is on.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::xml::{Asset, LogEvent};
use crate::nowplaying::{Item, LENGTH_MOST, can_start};

/// The item of a log event that starts, or is to start, at `start`.
pub(super) fn item(event: &LogEvent, asset: &Asset, start: DateTime<Utc>) -> Item {
    let (length, played) = lengths(event, asset);
    let kind = [&event.kind, &asset.kind]
        .into_iter()
        .find(|kind| !kind.is_empty());
    Item {
        id: id_of(event).to_owned(),
        kind: kind.cloned().unwrap_or_default(),
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

/// The length of the file, and of the part between the trims that is played, in seconds. If only one
/// is known, both are that one; if none is, both are the length that the log plans, or 0.
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

/// A start in ISO 8601; without zone it is UTC. Nothing for what can't be one.
pub(super) fn parse_start(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let naive = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|time| time.and_utc())
    };
    zoned
        .ok()
        .or_else(naive)
        .filter(|start| can_start(*start, now))
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
}
