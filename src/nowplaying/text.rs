//! Cleans the texts that feeds and publishers send, before they are stored, logged or shown.
//! Knows no field and no format.

use std::borrow::Cow;

use crate::core::name::is_ignorable;

/// The texts that playout systems and tag editors write for an unknown title or artist.
const PLACEHOLDERS: [&str; 6] = [
    "n/a",
    "unknown",
    "unknown album",
    "unknown artist",
    "unknown title",
    "unknown track",
];

/// Cleans a text for listeners: resolves numeric character references and makes it [`printable`].
/// Returns an empty text for a placeholder or for invisible text.
///
/// Some systems write a character outside the Basic Multilingual Plane as two references, one
/// for each UTF-16 surrogate. Such a pair is one character. A reference that names no character
/// is removed.
pub fn clean(text: &str) -> String {
    let text = printable(&resolve(text));
    match is_placeholder(&text) {
        true => String::new(),
        false => text,
    }
}

/// Returns a text on one line, trimmed, without characters that control a terminal or override
/// the direction of text. Line breaks and tabs become one blank.
pub fn printable(text: &str) -> String {
    let text: String = text.chars().filter(|c| !is_removed(*c)).collect();
    let mut line = String::with_capacity(text.len());
    for part in text.split(is_break).map(str::trim) {
        if !line.is_empty() && !part.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
    }
    line
}

/// Whether a character ends a line or is a tab.
fn is_break(c: char) -> bool {
    matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character is removed: control characters, embeddings, overrides and isolates of the
/// text direction, byte order marks, interlinear annotations, and code points that are no
/// characters (Unicode, section 23.7).
fn is_removed(c: char) -> bool {
    (c.is_control() && !is_break(c))
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FDD0}'..='\u{FDEF}')
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// Resolves numeric character references, such as `&#233;` and `&#xE9;`.
fn resolve(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = "&#";
    let mut rest = text;
    let mut resolved = String::new();
    while let Some(at) = rest.find(BEGIN) {
        let (before, reference) = rest.split_at(at);
        resolved.push_str(before);
        rest = match first_reference(reference) {
            Some((high @ 0xD800..=0xDBFF, after)) => match first_reference(after) {
                Some((low @ 0xDC00..=0xDFFF, after)) => {
                    let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    resolved.extend(char::from_u32(code));
                    after
                }
                _ => after,
            },
            Some((code, after)) => {
                resolved.extend(char::from_u32(code));
                after
            }
            None => {
                resolved.push_str(BEGIN);
                &reference[BEGIN.len()..]
            }
        };
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

/// The number of the reference at the beginning of a text, and the text after it.
fn first_reference(text: &str) -> Option<(u32, &str)> {
    let number = text.strip_prefix("&#")?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let (digits, rest) = digits.split_at(digits.find(|c: char| !c.is_digit(radix))?);
    let after = rest.strip_prefix(';').filter(|_| !digits.is_empty())?;
    // A number that is too long for 32 bits names no character either.
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    Some((code, after))
}

/// Whether a text is a placeholder, or shows nothing.
fn is_placeholder(text: &str) -> bool {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let word = visible.trim().trim_matches(['<', '>', '(', ')', '[', ']']);
    visible.chars().all(|c| c.is_whitespace() || is_dash(c))
        || PLACEHOLDERS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a character shows nothing; includes the two blanks that Unicode counts as symbols.
fn is_invisible(c: char) -> bool {
    is_ignorable(c) || matches!(c, '\u{2800}' | '\u{1D159}')
}

fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{self, Case, Format};

    #[test]
    fn a_text_is_one_line_without_control_characters() {
        for (text, cleaned) in [
            ("I Know It's Over", "I Know It's Over"),
            ("  a  b ", "a  b"),
            ("Line one\r\nLine two", "Line one Line two"),
            ("\n a \t\r\n\u{B}\u{C} b\u{85}c\u{2028}d\u{2029}", "a b c d"),
            ("a\u{0}b\u{1B}[2J\u{7}\u{7F}\u{9B}c", "ab[2Jc"),
            ("\u{202E}gpj.exe\u{202C} \u{2066}x\u{2069}", "gpj.exe x"),
            ("\u{FEFF}a\u{FFFE}b\u{FFF9}c\u{10FFFF}", "abc"),
            // Marks that Hebrew and Arabic texts need, and joiners of emoji and Persian words.
            ("שלום\u{200F}!", "שלום\u{200F}!"),
            ("می\u{200C}خواهم", "می\u{200C}خواهم"),
            ("\u{1F469}\u{200D}\u{1F680}", "\u{1F469}\u{200D}\u{1F680}"),
            ("\u{2764}\u{FE0F}", "\u{2764}\u{FE0F}"),
        ] {
            assert_eq!(clean(text), cleaned, "{text:?}");
            assert_eq!(printable(&printable(text)), printable(text), "{text:?}");
        }
    }

    #[test]
    fn numeric_references_are_characters() {
        for (text, cleaned) in [
            ("Beyonc&#233; &#xE9;&#XE9;", "Beyoncé éé"),
            ("&#55357;&#56911;", "\u{1F64F}"),
            ("a&#xD83D;&#xDE4F;b", "a\u{1F64F}b"),
            ("&#xD83D;&#56911;&#55357;", "\u{1F64F}"),
            // Half of a pair, a pair in the wrong order, and one with text between.
            ("a&#55357;b", "ab"),
            ("a&#56911;&#55357;b", "ab"),
            ("&#55357; &#56911;b", "b"),
            ("&#55357;&#233;", "é"),
            ("&#55357;&#55357;&#56911;", "\u{1F64F}"),
            ("a&#0;&#1114112;&#x110000;&#99999999999999999999;b", "ab"),
            ("a&#13;&#10;b&#27;&#8238;", "a b"),
            (
                "&#; &#x; &#xg; &#-1; &# 1; &#233 &",
                "&#; &#x; &#xg; &#-1; &# 1; &#233 &",
            ),
            ("&amp; &eacute;", "&amp; &eacute;"),
        ] {
            assert_eq!(clean(text), cleaned, "{text}");
        }
    }

    #[test]
    fn a_placeholder_is_no_text() {
        for text in [
            "",
            " \t\r\n ",
            "-",
            " -- ",
            "\u{2013}",
            "—",
            "N/A",
            "n/a",
            "Unknown",
            "UNKNOWN ARTIST",
            "<unknown>",
            "[Unknown Title]",
            "(n/a)",
            "\u{200B}",
            "\u{200B}-\u{2060}",
            "Un\u{AD}known",
            "\u{3164}\u{2800}\u{E0041}",
            "&#8203;&#x200D;",
            "&#45;",
        ] {
            assert_eq!(clean(text), "", "{text:?}");
        }
        for text in [
            "0",
            "?",
            "...",
            "-M-",
            "Unknown Pleasures",
            "The Unknown",
            "NA",
            "()",
            "!!!",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn fuzz_texts() {
        let documents = [
            "Line one&#xD;&#xA;Line two &#55357;&#56911;",
            "a\u{200D}\u{202E}\t-N/A",
        ];
        let tokens = [
            "&#",
            "&#x",
            ";",
            "55357",
            "D83D",
            "56911",
            "-",
            "Unknown",
            " ",
            "\n",
            "\u{200B}",
            "\u{1B}[2J",
            "\u{202E}",
            "\u{FEFF}",
            "&#10;",
            "é",
        ];
        let read = |case: &Case| {
            let text = case.text();
            let cleaned = clean(&text);
            assert!(!cleaned.chars().any(|c| is_removed(c) || is_break(c)));
            assert_eq!(cleaned, cleaned.trim());
            assert!(cleaned.is_empty() || !is_placeholder(&cleaned));
            cleaned.len()
        };
        // A byte that is not UTF-8 becomes a character of three.
        fuzz::run(
            &Format::text("texts of items", &documents, &tokens),
            |input| 3 * input,
            read,
        );
    }
}
