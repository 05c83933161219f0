//! The characters of names: which of them are not for names, and which names look like
//! others. Knows no kind of name.

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// The first character of a text that is not for names.
///
/// Control characters and line separators; those that turn the text around them, and
/// would garble the names beside; and those that are not seen, by which two names that
/// look the same differ. Of the latter a name may have those that emoji and some scripts
/// cannot be written without, where they are at work.
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

/// Whether an ignorable character does something between those beside it.
fn is_at_work(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    let joins = |c: char| !c.is_ascii() && (!is_ignorable(c) || is_variation(c));
    match c {
        // Joins emoji, and letters of Arabic and Indic scripts, or keeps them apart.
        '\u{200C}' | '\u{200D}' => joins(before) && after.is_some_and(joins),
        // Keycaps, and symbols shown as emoji.
        '\u{FE0F}' if after == Some('\u{20E3}') => true,
        _ if is_variation(c) => {
            !before.is_ascii() && !before.is_alphanumeric() && !is_ignorable(before)
        }
        // Flags of regions: a black flag, and letters that are not seen.
        '\u{E0020}'..='\u{E007F}' => before == '\u{1F3F4}' || is_tag(before),
        _ => false,
    }
}

/// Whether a character chooses between text and emoji.
fn is_variation(c: char) -> bool {
    matches!(c, '\u{FE0E}' | '\u{FE0F}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007F}')
}

/// Whether a character leaves no mark by itself: `Default_Ignorable_Code_Point` of
/// Unicode 17 (DerivedCoreProperties.txt). Code points to come are among them.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The first of some names that a text looks like, in whatever case, form and script
/// (Unicode Technical Standard #39, section 4).
pub(super) fn look_alike<'a, const N: usize>(text: &str, names: [&'a str; N]) -> Option<&'a str> {
    let shown = || text.trim().chars().filter(|c| !is_ignorable(*c));
    // What is longer is like none, since no character is like a part of another one:
    // peers are named with each signal, and that has to cost nothing.
    let longest = names.iter().map(|name| name.len()).max()?;
    if shown().nth(longest).is_some() {
        return None;
    }
    let seen = shown().nfkc();
    let seen: String = seen.collect();
    let seen = seen.trim();
    // In either case, since a small letter may be like none where the big one is.
    let forms = [seen.to_owned(), seen.to_lowercase(), seen.to_uppercase()];
    let bare = |text: &str| skeleton(text).collect::<String>().to_lowercase();
    let forms = forms.map(|form| bare(&form));
    names.into_iter().find(|name| {
        let like = [name.to_lowercase(), name.to_uppercase()].map(|name| bare(&name));
        forms.iter().any(|form| like.contains(form))
    })
}
