//! Checks the characters of names, and finds names that look alike. Knows no kind of name.

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// Returns the first character of a text that is not allowed in names.
///
/// Not allowed are control characters and line separators; characters that change the
/// direction of text, since they garble the names beside; and invisible characters, since
/// two names that look the same could differ by them. An invisible character is allowed
/// where emoji and some scripts need it.
pub(super) fn unprintable(text: &str) -> Option<char> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_wrong = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}')
            || (is_ignorable(c) && !is_at_work(before, c, rest.peek().copied()));
        if is_wrong {
            return Some(c);
        }
        before = Some(c);
    }
    None
}

/// Whether an ignorable character has an effect on the characters beside it.
fn is_at_work(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    let joins = |c: char| !c.is_ascii() && (!is_ignorable(c) || is_variation(c));
    match c {
        // Joins or separates emoji, and letters of Arabic and Indic scripts.
        '\u{200C}' | '\u{200D}' => joins(before) && after.is_some_and(joins),
        // Keycaps, and symbols shown as emoji.
        '\u{FE0F}' if after == Some('\u{20E3}') => true,
        _ if is_variation(c) => {
            !before.is_ascii() && !before.is_alphanumeric() && !is_ignorable(before)
        }
        // Flags of regions: a black flag and invisible letters.
        '\u{E0020}'..='\u{E007F}' => before == '\u{1F3F4}' || is_tag(before),
        _ => false,
    }
}

/// Whether a character selects the text or the emoji form of the one before it.
fn is_variation(c: char) -> bool {
    matches!(c, '\u{FE0E}' | '\u{FE0F}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007F}')
}

/// Whether a character is invisible by itself: `Default_Ignorable_Code_Point` of
/// Unicode 17 (DerivedCoreProperties.txt), which includes unassigned code points.
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Returns the first of the names that a text looks like, in any case, form and script
/// (Unicode Technical Standard #39, section 4).
pub(super) fn look_alike<'a, const N: usize>(text: &str, names: [&'a str; N]) -> Option<&'a str> {
    let shown = || text.trim().chars().filter(|c| !is_ignorable(*c));
    // A longer text looks like none of the names, since no character looks like a part of
    // another. This check is cheap: every signal names a peer.
    let longest = names.iter().map(|name| name.len()).max()?;
    if shown().nth(longest).is_some() {
        return None;
    }
    let seen = shown().nfkc();
    let seen: String = seen.collect();
    let seen = seen.trim();
    // Lower-case and upper-case forms: only one of them may look like the name.
    let forms = [seen.to_owned(), seen.to_lowercase(), seen.to_uppercase()];
    let bare = |text: &str| skeleton(text).collect::<String>().to_lowercase();
    let forms = forms.map(|form| bare(&form));
    names.into_iter().find(|name| {
        let like = [name.to_lowercase(), name.to_uppercase()].map(|name| bare(&name));
        forms.iter().any(|form| like.contains(form))
    })
}
