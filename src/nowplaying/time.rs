//! A time that somebody asks for, in words or in figures.
//! Knows a zone, and nothing of what is on air.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

/// A time in RFC 3339, or the midnight that a date of the zone begins with.
///
/// # Errors
/// The text is neither; what is said of that goes behind the name of what it is.
pub fn parse_time(text: &str, timezone: Tz) -> Result<DateTime<Utc>, String> {
    let wrong =
        || format!("`{text}` is no date as 2026-11-21, and no time as 2026-11-21T18:00:00Z");
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let date = text.parse::<NaiveDate>().map_err(|_| wrong())?;
    let midnight = date.and_time(NaiveTime::MIN);
    // Where clocks are put forward at midnight, the day begins an hour later.
    let begins = (0..=1).find_map(|hour| {
        let begins = midnight.checked_add_signed(Duration::hours(hour))?;
        begins.and_local_timezone(timezone).earliest()
    });
    begins.map(|begins| begins.to_utc()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_begins_with_its_first_hour() {
        let chicago = chrono_tz::America::Chicago;
        // Clocks are put forward at midnight there.
        let havana = chrono_tz::America::Havana;
        for (text, zone, expected) in [
            ("2026-11-21", chicago, "2026-11-21T06:00:00Z"),
            ("2026-07-01", chicago, "2026-07-01T05:00:00Z"),
            ("2026-03-08", havana, "2026-03-08T05:00:00Z"),
            ("2026-11-21T18:00:00+01:00", chicago, "2026-11-21T17:00:00Z"),
        ] {
            let time = parse_time(text, zone).unwrap();
            assert_eq!(time, expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for text in [
            "",
            "2026-13-01",
            "yesterday",
            "99999999999-01-01",
            "2026-11-21T18:00",
        ] {
            assert!(
                parse_time(text, chicago).unwrap_err().contains(text),
                "{text}"
            );
        }
    }
}
