//! A row of the play log as reports show it, in JSON and in CSV.
//! Knows no table and no request.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Item, Station, rounded, timestamp_cst, timestamp_utc};

/// An item that was on air.
#[derive(Serialize, ToSchema)]
pub struct Aired<'a> {
    /// The title, or the station's text where it was no song.
    #[schema(example = "I Know It's Over")]
    track: &'a str,
    #[schema(example = "The Queen Is Dead")]
    album: &'a str,
    #[schema(example = "The Smiths")]
    artist: &'a str,
    /// In milliseconds; 0 where unknown.
    #[schema(example = 347_893.3)]
    length: f64,
    /// When it started.
    #[serde(rename = "timestampUTC")]
    #[schema(format = DateTime)]
    timestamp_utc: String,
    /// The station's wall clock, written with a literal Z.
    #[serde(rename = "timestampCST")]
    timestamp_cst: String,
    /// `SONG` or `LINK`, where everything was asked for; else it is a song.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
}

impl<'a> Aired<'a> {
    /// The row of an item; with its type, where not all are songs.
    pub fn new(item: &'a Item, station: &Station, typed: bool) -> Self {
        Self {
            track: &item.title,
            album: &item.album,
            artist: &item.artist,
            length: rounded(item.length),
            timestamp_utc: timestamp_utc(item),
            timestamp_cst: timestamp_cst(item, station),
            r#type: typed.then_some(item.kind.as_str()),
        }
    }

    /// All rows as CSV (RFC 4180), below a line with the names.
    pub fn csv(rows: impl Iterator<Item = Self>, typed: bool) -> String {
        let mut csv = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(Vec::new());
        let names = [
            "track",
            "album",
            "artist",
            "length",
            "timestampUTC",
            "timestampCST",
            "type",
        ];
        let names = if typed { &names[..] } else { &names[..6] };
        let written = csv.write_record(names).and_then(|()| {
            for row in rows {
                csv.serialize(row)?;
            }
            Ok(())
        });
        written.expect("a list in memory takes all that is written");
        let bytes = csv.into_inner().expect("a list in memory is never full");
        String::from_utf8(bytes).expect("strings make a string")
    }
}
