//! What is wrong with a setting, and where it stands.
//! Knows no option and no namespace: it carries what their readers found.

use std::fmt;

use crate::hint::Hint;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option on the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(String),
    /// A line of a file, counted from 1; none where it is the whole file.
    File {
        /// The file, as the user named it.
        file: String,
        /// The line.
        line: Option<usize>,
    },
    /// What is built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::File {
                file,
                line: Some(line),
            } => write!(f, "{file}:{line}"),
            Self::File { file, line: None } => f.write_str(file),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What can be wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file or folder can't be read.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// The text is not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// The key means nothing.
    #[error("unknown key `{key}`; {hint}")]
    UnknownKey {
        /// The key as it stands there.
        key: String,
        /// The right key that is nearest to it.
        hint: Hint,
    },
    /// The word is none of those that the key takes.
    #[error("{key}: unknown value `{value}`; {hint}")]
    UnknownWord {
        /// The key.
        key: String,
        /// The word as it stands there.
        value: String,
        /// The right word that is nearest to it.
        hint: Hint,
    },
    /// The value is of the wrong type.
    #[error("{key}: expected {expected}, found {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it takes.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The value is of the right type, and wrong.
    #[error("{key}: {why}")]
    WrongValue {
        /// The key or option.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// The value of an option is wrong; the origin names the option.
    #[error("{0}")]
    WrongOption(String),
    /// A key is needed and not there.
    #[error("`{key}` is missing: {why}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// What it is.
    pub fault: Fault,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, fault) = (self.origin.to_string(), self.fault.to_string());
        // What is wrong between two flags names them both by itself.
        if fault.starts_with(&format!("{origin} ")) {
            return f.write_str(&fault);
        }
        write!(f, "{origin}: {fault}")
    }
}

/// Everything that is wrong, at least one thing; shown one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}
