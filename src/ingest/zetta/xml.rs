//! From a document's text to its log events. Pure: no clock, no network, and
//! no entity but XML's own five.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::nowplaying::{capped, clean};

/// Deeper than this nothing is looked at; ZettaLite has four levels.
const DEPTH_MOST: usize = 64;

/// The most log events that a document may hold; operators set up to some tens.
const EVENTS_MOST: usize = 1_000;

/// One `LogEvent`: an item of the station's log. Attributes as they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogEvent {
    /// Its type: `SONG`, `LINK`, `SPOT`, ...
    pub kind: String,
    /// Its id; 0 or empty for what is played by hand.
    pub id: String,
    /// Whether it is on now, as `CURRENT` says it.
    pub status: String,
    /// Whether it was the last to start, as `true` says it.
    pub last_started: String,
    /// When it started or is to start.
    pub start: String,
    /// When the schedule wants it.
    pub scheduled: String,
    /// How long it is to be played, as `MM:SS`.
    pub duration: String,
    /// What is played; without it nothing can be shown.
    pub asset: Option<Asset>,
}

/// The audio of a log event. Attributes as they came; the path of its file is
/// not even read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asset {
    /// Its own type.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The artist.
    pub artist: String,
    /// The album.
    pub album: String,
    /// The length of the file, in seconds.
    pub total: String,
    /// Where playing begins, in seconds.
    pub trim_in: String,
    /// Where playing ends, in seconds.
    pub trim_out: String,
}

/// Why a document can't be read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// It is not well-formed.
    #[error("not well-formed: {0}")]
    Syntax(#[from] quick_xml::Error),
    /// It declares a document type; entities of its own are never expanded.
    #[error("a document type is not allowed")]
    DocumentType,
    /// Elements are nested too deep.
    #[error("elements are nested deeper than {DEPTH_MOST}")]
    TooDeep,
    /// It holds too many log events.
    #[error("more than {EVENTS_MOST} log events")]
    TooMany,
}

/// Reads a document's log events, in its order.
///
/// # Errors
/// It can't be read to its end.
pub fn read(text: &str) -> Result<Vec<LogEvent>, XmlError> {
    let mut reader = Reader::from_str(text);
    // Free text in the studio's fields holds a raw `&` now and then.
    reader.config_mut().allow_dangling_amp = true;
    let mut events = Vec::new();
    let mut open: Option<(usize, LogEvent)> = None;
    let mut depth = 0;
    loop {
        let event = reader.read_event()?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let empty = matches!(event, Event::Empty(_));
                match tag.local_name().as_ref() {
                    "LogEvent" => {
                        let read = log_event(tag);
                        if empty {
                            events.push(read);
                        } else {
                            open = Some((depth, read));
                        }
                    }
                    "Asset" => {
                        if let Some((_, event)) = &mut open
                            && event.asset.is_none()
                        {
                            event.asset = Some(asset(tag));
                        }
                    }
                    _ => {}
                }
                depth += usize::from(!empty);
                if depth > DEPTH_MOST {
                    return Err(XmlError::TooDeep);
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if let Some((_, event)) = open.take_if(|(at, _)| *at == depth) {
                    events.push(event);
                }
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof => return Ok(events),
            _ => {}
        }
        if events.len() > EVENTS_MOST {
            return Err(XmlError::TooMany);
        }
    }
}

fn log_event(tag: &BytesStart<'_>) -> LogEvent {
    let mut read = LogEvent::default();
    attributes(tag, |name, value| match name {
        "Type" => read.kind = value,
        "ZettaId" => read.id = value,
        "Status" => read.status = value,
        "LastStarted" => read.last_started = value,
        "StartTime" => read.start = value,
        "ScheduledTime" => read.scheduled = value,
        "Duration" => read.duration = value,
        _ => {}
    });
    read
}

fn asset(tag: &BytesStart<'_>) -> Asset {
    let mut read = Asset::default();
    attributes(tag, |name, value| match name {
        "Type" => read.kind = value,
        "Title" => read.title = value,
        "Artist1" => read.artist = value,
        "Album1" => read.album = value,
        "TotalLength" => read.total = value,
        "TrimIn" => read.trim_in = value,
        "TrimOut" => read.trim_out = value,
        _ => {}
    });
    read
}

/// Gives each attribute, cleaned; one that can't be read is passed over.
fn attributes(tag: &BytesStart<'_>, mut take: impl FnMut(&str, String)) {
    for attribute in tag.attributes().with_checks(false).flatten() {
        take(
            attribute.key.local_name().as_ref(),
            unescape(&attribute.value),
        );
    }
}

/// Resolves XML's five entities and [`clean`]s the text, which resolves numeric references.
/// Cuts texts that are too long for an item.
fn unescape(raw: &str) -> String {
    let mut parts = raw.split('&');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let entity = part
            .split_once(';')
            .and_then(|(name, rest)| Some((resolve_xml_entity(name)?, rest)));
        let (resolved, rest) = entity.unwrap_or(("&", part));
        text.push_str(resolved);
        text.push_str(rest);
    }
    capped(&clean(&text)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_was_meant() {
        for (raw, meant) in [
            ("Rock &amp; Roll", "Rock & Roll"),
            ("Rock & Roll; again", "Rock & Roll; again"),
            ("&#233;&#xE9;&lt;", "éé<"),
            ("&unknown; &", "&unknown; &"),
            ("&é; &&amp;; &&&", "&é; &&; &&&"),
            (
                "&amp;amp; &#38;lt; &lt;&gt;&quot;&apos;",
                "&amp; &lt; <>\"'",
            ),
            ("Line one&#xD;&#xA;Line two", "Line one Line two"),
            ("  a\u{0}b &#55357;&#56911;", "ab \u{1F64F}"),
            ("&#x110000;N&#47;A&#0;", ""),
        ] {
            assert_eq!(unescape(raw), meant, "{raw}");
        }
    }

    #[test]
    fn what_could_hurt_is_refused() {
        let deep = format!("<ZettaLite>{}</ZettaLite>", "<a>".repeat(20_000));
        assert!(matches!(read(&deep), Err(XmlError::TooDeep)));
        let bomb = r#"<ZettaLite><!DOCTYPE a [<!ENTITY b "b">]>&b;</ZettaLite>"#;
        assert!(matches!(read(bomb), Err(XmlError::DocumentType)));
        let many = format!("<ZettaLite>{}</ZettaLite>", "<LogEvent/>".repeat(1_001));
        assert!(matches!(read(&many), Err(XmlError::TooMany)));
    }
}
