//! The documents that Zetta would send: ZettaLite, with every attribute that a
//! real one has. Pure. Knows neither connections nor who reads it.

use std::io;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::America::Chicago;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, Event};

use super::programme::{Item, Kind};

/// Where the numbers of the studio's files begin; they have six digits.
const FIRST_ASSET: u32 = 100_000;

/// An item in the log.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) item: Item,
    /// When it started, or is to start, by a clock that is right.
    pub(super) start: DateTime<Utc>,
}

/// What a document says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is on.
    Current,
    /// It has ended.
    Stopped,
    /// It is still to come.
    Planned,
}

/// The machine that sends.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// How far its clock is ahead.
    pub(super) ahead: TimeDelta,
    /// The id of the log's first item; hot spares have the same log.
    pub(super) first_id: u64,
}

impl Machine {
    /// The document that holds these items of the log.
    pub(super) fn document(&self, events: &[(&Logged, Mark)]) -> String {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        let written = self.write(&mut writer, events);
        written.expect("a Vec takes everything");
        String::from_utf8(writer.into_inner()).expect("strings were written")
    }

    fn write(&self, xml: &mut Writer<Vec<u8>>, events: &[(&Logged, Mark)]) -> io::Result<()> {
        let declaration = BytesDecl::new("1.0", Some("utf-8"), None);
        xml.write_event(Event::Decl(declaration))?;
        let root = xml.create_element("ZettaLite");
        root.with_attribute(("Version", "0.0.0"))
            .write_inner_content(|xml| {
                let all = xml.create_element("LogEventCollection");
                all.write_inner_content(|xml| {
                    let mut each = events.iter();
                    each.try_for_each(|(logged, mark)| self.event(xml, logged, *mark))
                })?;
                Ok(())
            })?;
        Ok(())
    }

    fn event(&self, xml: &mut Writer<Vec<u8>>, logged: &Logged, mark: Mark) -> io::Result<()> {
        let Logged { item, start } = logged;
        let (kind, ..) = names(item.kind);
        let start = *start + self.ahead;
        let (minutes, seconds) = (item.length.as_secs() / 60, item.length.as_secs() % 60);
        // What is played by hand is in no log: no id, and nothing of its state.
        let (id, edit) = match item.by_hand {
            true => (0, "LIVE_ASSIST"),
            false => (self.first_id + item.number, "SEQUENCER_INSERT_FILL"),
        };
        let (status, last_started) = match mark {
            Mark::Current => ("CURRENT", "true"),
            Mark::Stopped => ("PLAYED", "false"),
            Mark::Planned => ("", "false"),
        };
        let mut event = xml.create_element("LogEvent").with_attributes([
            ("Type", kind),
            ("ScheduledTime", &in_utc(start)),
            ("StartTime", &in_utc(start)),
            ("StartTimeLocal", &as_a_locale_has_it(start)),
            ("Chain", "INVALID"),
            ("Duration", &format!("{minutes:02}:{seconds:02}")),
            ("EditCode", edit),
            ("ZettaId", &id.to_string()),
        ]);
        if !item.by_hand {
            event = event.with_attributes([("Status", status), ("LastStarted", last_started)]);
        }
        event.write_inner_content(|xml| asset(xml, item))?;
        Ok(())
    }
}

fn asset(xml: &mut Writer<Vec<u8>>, item: &Item) -> io::Result<()> {
    let (kind, name, category) = names(item.kind);
    let id = asset_id(item.title);
    // A path of the studio's machines, which must not leave the server.
    let folder = id / 1_000;
    let file = format!(r"\\STUDIO-1\Zetta\Audio\{folder}\{id}~{}.mp3", item.title);
    let end = item.before + item.length;
    xml.create_element("Asset")
        .with_attributes([
            ("Type", kind),
            ("AssetTypeName", name),
            ("Title", item.title),
            ("Comment", "None"),
            ("ZettaId", &id.to_string()),
            ("ThirdPartyId", item.title),
            ("File", &file),
            ("TotalLength", &in_seconds(end + item.behind)),
            ("Artist1", item.artist),
            ("Album1", item.album),
            ("Category", category),
            ("TrimIn", &in_seconds(item.before)),
            ("TrimOut", &in_seconds(end)),
        ])
        .write_empty()?;
    Ok(())
}

/// The type of an item, what it is called, and the category that it is from.
fn names(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Song => ("SONG", "Song", "ROT"),
        Kind::Link => ("LINK", "Link", "IMG"),
        Kind::Spot => ("SPOT", "Spot", "COM"),
    }
}

/// The same number for the same title.
fn asset_id(title: &str) -> u32 {
    FIRST_ASSET + title.bytes().map(u32::from).sum::<u32>()
}

fn in_seconds(time: Duration) -> String {
    format!("{:.4}", time.as_secs_f64())
}

/// With seven digits of a second's fraction, as Windows counts.
fn in_utc(time: DateTime<Utc>) -> String {
    let nanos = time.to_rfc3339_opts(SecondsFormat::Nanos, false);
    let (digits, _) = nanos.split_once('+').expect("UTC is written as +00:00");
    let seven = &digits[..digits.len() - 2];
    format!("{seven}Z")
}

fn as_a_locale_has_it(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&Chicago);
    local.format("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        ahead: TimeDelta::milliseconds(1_700),
        first_id: 1_370_000,
    };

    fn logged(by_hand: bool) -> Logged {
        let item = Item {
            kind: Kind::Song,
            title: "\"Salt\" & <Cinders>",
            artist: "Öde Küste",
            album: "Don't",
            length: Duration::from_millis(254_834),
            before: Duration::from_millis(210),
            behind: Duration::from_millis(2_876),
            by_hand,
            number: 785,
        };
        let start = "2024-07-09T21:00:33.3000005Z".parse().unwrap();
        Logged { item, start }
    }

    #[test]
    fn a_document_looks_like_a_real_one() {
        let text = MACHINE.document(&[(&logged(false), Mark::Current)]);
        for part in [
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<ZettaLite Version="0.0.0">"#,
            "<LogEventCollection>",
            r#"<LogEvent Type="SONG""#,
            r#" StartTime="2024-07-09T21:00:35.0000005Z""#,
            r#" StartTimeLocal="7/9/2024 4:00:35 PM""#,
            r#" Duration="04:14""#,
            r#" ZettaId="1370785""#,
            r#" Status="CURRENT" LastStarted="true">"#,
            r#" Title="&quot;Salt&quot; &amp; &lt;Cinders&gt;""#,
            r#" Artist1="Öde Küste""#,
            r#" TotalLength="257.9200""#,
            r#" TrimIn="0.2100" TrimOut="255.0440"/>"#,
            "</LogEvent>",
            "</LogEventCollection>",
            "</ZettaLite>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_is_said_of_an_item() {
        let by_hand = r#"ZettaId="0">"#;
        for (is_by_hand, mark, said) in [
            (
                false,
                Mark::Stopped,
                r#"Status="PLAYED" LastStarted="false">"#,
            ),
            (false, Mark::Planned, r#"Status="" LastStarted="false">"#),
            (true, Mark::Current, by_hand),
        ] {
            let text = MACHINE.document(&[(&logged(is_by_hand), mark)]);
            assert!(text.contains(said), "{mark:?}: {text}");
        }
    }
}
