//! A row of the play log as reports show it, in JSON and in CSV.
//! Knows no table and no request.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::track::{kinds, rounded, timestamp_cst, timestamp_utc};
use super::{Item, Station};

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
    /// The length of the file in milliseconds; 0 if it is unknown.
    #[schema(minimum = 0, example = 347_893.3)]
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
    #[schema(schema_with = kinds)]
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
}

/// Writes rows as CSV (RFC 4180) below a header line, for spreadsheets.
pub struct CsvRows<W: Write>(csv::Writer<W>);

impl<W: Write> CsvRows<W> {
    /// Writes the header line.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn begin(out: W, typed: bool) -> io::Result<Self> {
        let mut csv = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(out);
        let names = [
            "track",
            "album",
            "artist",
            "length",
            "timestampUTC",
            "timestampCST",
            "type",
        ];
        csv.write_record(if typed { &names[..] } else { &names[..6] })?;
        Ok(Self(csv))
    }

    /// Writes a row.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write(&mut self, row: Aired<'_>) -> io::Result<()> {
        let (track, album, artist) = (cell(row.track), cell(row.album), cell(row.artist));
        let row = Aired {
            track: &track,
            album: &album,
            artist: &artist,
            ..row
        };
        Ok(self.0.serialize(row)?)
    }

    /// Writes the rest and returns the output.
    ///
    /// # Errors
    /// Writing to it fails.
    pub fn finish(self) -> io::Result<W> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Characters that a spreadsheet may treat as the end of a cell. Not the comma: a cell that
/// contains one is quoted.
const SEPARATORS: [char; 5] = [';', '|', '\t', '\r', '\n'];

/// A text as a spreadsheet is to take it: as one.
///
/// What begins like a formula is run when the file is opened, and titles come from
/// anybody who can publish; OWASP's advice ("CSV Injection") is a `'` before it. The text
/// behind a separator gets one too: some programs open the file with another separator.
/// Programs that want the text as it is read JSON.
fn cell(text: &str) -> Cow<'_, str> {
    let parts = || text.split_inclusive(SEPARATORS);
    if !parts().any(begins_a_formula) {
        return Cow::Borrowed(text);
    }
    let quoted = parts().flat_map(|part| {
        let quote = if begins_a_formula(part) { "'" } else { "" };
        [quote, part]
    });
    Cow::Owned(quoted.collect())
}

/// Whether a spreadsheet treats the text as a formula: also in full-width characters, behind
/// blanks, or behind characters that it drops.
fn begins_a_formula(text: &str) -> bool {
    let mut shown = text.trim_start_matches([' ', '\u{A0}']).nfkc();
    shown
        .next()
        .is_some_and(|first| matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let station = Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        };
        for (text, shown) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("+44", "'+44"),
            ("-M-", "'-M-"),
            ("@home", "'@home"),
            ("\tx", "'\tx"),
            ("  =1", "'  =1"),
            // In full width, and in the small forms.
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠a", "'＠a"),
            ("﹦1", "'﹦1"),
            // Opened with another separator.
            ("x;=cmd", "x;'=cmd"),
            ("x; ＝cmd", "x;' ＝cmd"),
            ("x|@a|b", "x|'@a|b"),
            ("x\t+1", "x\t'+1"),
            ("=a;=b", "'=a;'=b"),
            ("a;b|c", "a;b|c"),
            ("Song - Live", "Song - Live"),
            ("A=B", "A=B"),
            ("", ""),
        ] {
            let item = Item {
                title: text.into(),
                artist: text.into(),
                album: text.into(),
                ..Item::default()
            };
            let mut csv = CsvRows::begin(Vec::new(), false).unwrap();
            csv.write(Aired::new(&item, &station, false)).unwrap();
            let csv = String::from_utf8(csv.finish().unwrap()).unwrap();
            let row = format!("{shown},{shown},{shown},0.0,1970");
            assert!(csv.lines().nth(1).unwrap().starts_with(&row), "{csv}");
        }
    }
}
