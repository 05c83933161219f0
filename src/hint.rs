//! The right word for a wrong one. Knows words only.

use std::fmt;

/// The right word that is nearest to a wrong one; all of them where none is near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Most likely this was meant.
    Nearest(String),
    /// Nothing is like it; these are all there are.
    All(Vec<String>),
}

impl Hint {
    /// Looks for the word that is nearest to `wrong`.
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

/// The longest word that is compared, in bytes: twice the longest valid one. Longer words
/// are no typing errors, and comparing them takes seconds.
const WORD_MOST: usize = 64;

/// How alike two words are (0 to 1) that one is taken for a slip of the other:
/// a letter left out, doubled or swapped, in words of four letters and more.
const NEAR: f64 = 0.75;

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(word) => write!(f, "did you mean `{word}`?"),
            Self::All(words) => write!(f, "there are: {}", words.join(", ")),
        }
    }
}

/// The most letters that are left out, added, changed or swapped in a [`slip`].
const SLIP_MOST: usize = 2;

/// The right word of which `name` is a slip. Stricter than [`Hint`]: for names that may well be
/// somebody else's.
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
        // Comparing a long word took minutes.
        for wrong in ["xyz", &"port".repeat(1 << 18)] {
            let hint = Hint::new(wrong, ["port", "host"]);
            assert_eq!(hint.to_string(), "there are: port, host");
        }
    }
}
