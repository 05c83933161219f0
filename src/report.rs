//! `server history`: the play log of a state folder, for people and for
//! spreadsheets. Reads the file; a server may be writing it meanwhile.

use std::io::{self, Write};

use crate::config::{Config, Report};
use crate::nowplaying::{Aired, CsvRows, Item, Station};
use crate::store::{self, Query, StoreError};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is nothing to report from.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to take the report did not.
    #[error("the report can't be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes the play log of `--state`, newest first.
///
/// # Errors
/// There is none, or `out` does not take it.
pub fn history(config: &Config, report: &Report, out: &mut impl Write) -> Result<(), ReportError> {
    let query = Query {
        from: report.from,
        to: report.to,
        all: report.all,
        limit: report.limit,
        text_bytes: None,
    };
    let station = Station {
        timezone: config.timezone,
        text: config.station_text.clone(),
    };
    if report.csv {
        let mut csv = CsvRows::begin(&mut *out, report.all)?;
        let write = |item: Item| csv.write(Aired::new(&item, &station, report.all));
        store::history(&config.state, &query, write)??;
        csv.finish()?;
    } else {
        let write = |item: Item| writeln!(out, "{}", line(&item, &station));
        store::history(&config.state, &query, write)??;
    }
    Ok(out.flush()?)
}

/// `2024-07-09 16:00:35   4:14  Been Stellar: Pumpkin (Scream from New York, NY)`.
fn line(item: &Item, station: &Station) -> String {
    let start = item.start.with_timezone(&station.timezone);
    let start = start.format("%Y-%m-%d %H:%M:%S");
    let seconds = (item.length / 1000.0).round() as u64;
    let length = match seconds {
        0 => String::new(),
        _ => format!("{}:{:02}", seconds / 60, seconds % 60),
    };
    let artist = match item.artist.as_str() {
        "" => String::new(),
        artist => format!("{artist}: "),
    };
    let album = match item.album.as_str() {
        "" => String::new(),
        album => format!(" ({album})"),
    };
    format!("{start}  {length:>6}  {artist}{}{album}", item.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_there_is() {
        let station = Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        };
        let song = Item {
            kind: Item::SONG.into(),
            title: "Pumpkin".into(),
            artist: "Been Stellar".into(),
            album: "Scream".into(),
            length: 254_833.9,
            start: "2024-07-09T21:00:35Z".parse().unwrap(),
            ..Item::default()
        };
        assert_eq!(
            line(&song, &station),
            "2024-07-09 16:00:35    4:15  Been Stellar: Pumpkin (Scream)"
        );
        let link = Item {
            kind: "LINK".into(),
            length: 0.0,
            ..song
        };
        assert_eq!(
            line(&link.shown(&station), &station),
            "2024-07-09 16:00:35          The station"
        );
    }
}
