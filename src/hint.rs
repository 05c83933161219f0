//! Suggestions for mistyped names. Knows words only.

use std::fmt;

/// A suggestion for a wrong word: the nearest valid word, or all of them if none is near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The word that was most likely meant.
    Nearest(String),
    /// All valid words: none is near.
    All(Vec<String>),
}

impl Hint {
    /// Finds the word of `right` that is nearest to `wrong`.
    pub fn new<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Self {
        let plain = |word: &str| word.to_lowercase().replace('_', "-");
        let wrong = plain(wrong);
        let right: Vec<&str> = right.into_iter().collect();
        let near = right
            .iter()
            .filter(|_| wrong.len() <= WORD_MOST)
            .map(|word| (strsim::jaro_winkler(&wrong, &plain(word)), word))
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        match near {
            Some((likeness, word)) if likeness >= NEAR => Self::Nearest((*word).to_owned()),
            _ => Self::All(right.into_iter().map(str::to_owned).collect()),
        }
    }
}

/// The longest word that is compared, in bytes: twice the longest valid one. A longer word is not
/// a typing error, and comparing it can take minutes.
const WORD_MOST: usize = 64;

/// The similarity (0 to 1) from which one word counts as a typing error of the other: a letter left
/// out, doubled or swapped, in words of four letters or more.
const NEAR: f64 = 0.75;

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(word) => write!(f, "did you mean `{word}`?"),
            Self::All(words) => write!(f, "there are: {}", words.join(", ")),
        }
    }
}

/// The most letters that a [`slip`] leaves out, adds, changes or swaps.
const SLIP_MOST: usize = 2;

/// Returns the valid word of which `name` is a typing error. Stricter than [`Hint`], for names that
/// may belong to another program.
pub fn slip<'a>(name: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let near = right
        .into_iter()
        .filter(|right| right.len().abs_diff(length) <= SLIP_MOST)
        .map(|right| (strsim::osa_distance(right, name), right))
        .min();
    let (distance, right) = near?;
    (distance <= SLIP_MOST).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_right_word() {
        let words = ["history", "durable", "publishers", "nickname_required"];
        for (wrong, right) in [
            ("histroy", "history"),
            ("History", "history"),
            ("publisher", "publishers"),
            ("nickname-required", "nickname_required"),
        ] {
            assert_eq!(Hint::new(wrong, words), Hint::Nearest(right.into()));
        }
    }

    #[test]
    fn what_is_like_nothing_gets_the_whole_list() {
        // Comparing the long word would take minutes.
        for wrong in ["xyz", &"port".repeat(1 << 18)] {
            let hint = Hint::new(wrong, ["port", "host"]);
            assert_eq!(hint.to_string(), "there are: port, host");
        }
    }
}
