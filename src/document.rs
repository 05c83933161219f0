//! A TOML file read key by key: types and unknown keys checked, lines kept.
//! Knows no key: who reads asks for its keys, and what it never asked for is wrong.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::hint::Hint;
use crate::problem::{Fault, Origin, Problem};

/// A table of a TOML file, and what is wrong with it so far.
pub struct Table<'i> {
    file: &'i str,
    text: &'i str,
    /// What stands before the keys in messages: `limits.`, or nothing.
    prefix: String,
    entries: DeTable<'i>,
    /// What was asked for, and on which line it stood.
    asked: Vec<(&'static str, Option<usize>)>,
    problems: Vec<Problem>,
}

/// A text from a list in a TOML file, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The text.
    pub text: String,
    /// Its line, counted from 1.
    pub line: usize,
}

impl<'i> Table<'i> {
    /// Parses the text of a file; `file` is what messages call it.
    ///
    /// # Errors
    /// The text is not TOML.
    pub fn parse(file: &'i str, text: &'i str) -> Result<Self, Problem> {
        // Editors on Windows put a mark before the text that is none of it.
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        match DeTable::parse(text) {
            Ok(entries) => Ok(Self {
                file,
                text,
                prefix: String::new(),
                entries: entries.into_inner(),
                asked: Vec::new(),
                problems: Vec::new(),
            }),
            Err(error) => Err(Problem {
                origin: Origin::File {
                    file: file.to_owned(),
                    line: error.span().map(|span| line_of(text, &span)),
                },
                fault: Fault::Syntax(error.message().replace('\n', " ")),
            }),
        }
    }

    /// A `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(yes) => Some(*yes),
            other => self.wrong_type(key, "true or false", other),
        }
    }

    /// A whole number within the range.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.take(key)?;
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(found) = value.get_ref() else {
            return self.wrong_type(key, &expected, value.get_ref());
        };
        let number = usize::from_str_radix(found.as_str(), found.radix());
        match number.ok().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                self.wrong(key, format!("expected {expected}, found {found}"));
                None
            }
        }
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => self.wrong_type(key, "a string", other),
        }
    }

    /// A list of strings; nothing where one of them is not a string.
    pub fn strings(&mut self, key: &'static str) -> Option<Vec<Item>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Array(list) => self.items(key, list),
            other => self.wrong_type(key, "a list of strings", other),
        }
    }

    /// A list of strings, or one of some words in its place.
    pub fn strings_or(
        &mut self,
        key: &'static str,
        words: &[&'static str],
    ) -> Option<Result<Vec<Item>, &'static str>> {
        let value = self.take(key)?;
        let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let expected = format!("{} or a list of strings", quoted.join(", "));
        match value.get_ref() {
            DeValue::Array(list) => self.items(key, list).map(Ok),
            DeValue::String(text) => match words.iter().find(|word| text == **word) {
                Some(word) => Some(Err(word)),
                None => {
                    self.wrong(key, format!("expected {expected}, found \"{text}\""));
                    None
                }
            },
            other => self.wrong_type(key, &expected, other),
        }
    }

    /// A value of one of the types, written as it would stand on a command line.
    pub fn option(&mut self, key: &'static str, types: &[Type]) -> Option<Vec<Item>> {
        let value = self.take(key)?;
        let one = |text: String| {
            let line = line_of(self.text, &value.span());
            Some(vec![Item { text, line }])
        };
        match value.get_ref() {
            DeValue::Boolean(yes) if types.contains(&Type::Boolean) => one(yes.to_string()),
            DeValue::Integer(number) if types.contains(&Type::Number) => {
                let radix = number.radix();
                let number = i64::from_str_radix(number.as_str(), radix).unwrap_or(i64::MAX);
                one(number.to_string())
            }
            DeValue::String(text) if types.contains(&Type::String) => one(text.to_string()),
            DeValue::Array(list) if types.contains(&Type::Strings) => self.items(key, list),
            other => {
                let expected: Vec<_> = types.iter().map(|t| t.as_str()).collect();
                self.wrong_type(key, &expected.join(" or "), other)
            }
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(
        &mut self,
        key: &'static str,
        all: &[T],
        text_of: fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.string(key)?;
        let line = self.line(key);
        self.choose(key, &text, line, all, text_of)
    }

    /// A list of some words, each once; nothing where one of them is wrong.
    pub fn words<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        all: &[T],
        text_of: fn(T) -> &'static str,
    ) -> Option<Vec<T>> {
        let items = self.strings(key)?;
        let chosen: Vec<Option<T>> = items
            .iter()
            .map(|item| self.choose(key, &item.text, Some(item.line), all, text_of))
            .collect();
        let chosen: Vec<T> = chosen.into_iter().collect::<Option<_>>()?;
        Some(all.iter().copied().filter(|t| chosen.contains(t)).collect())
    }

    /// A table within this one; give it back with [`Table::absorb`].
    pub fn table(&mut self, key: &'static str) -> Option<Self> {
        let value = self.take(key)?;
        match value.into_inner() {
            DeValue::Table(entries) => Some(Self {
                file: self.file,
                text: self.text,
                prefix: format!("{}{key}.", self.prefix),
                entries,
                asked: Vec::new(),
                problems: Vec::new(),
            }),
            other => self.wrong_type(key, &format!("a table [{key}]"), &other),
        }
    }

    /// Takes over what was wrong with a table within this one.
    pub fn absorb(&mut self, inner: Self) {
        self.problems.extend(inner.finish());
    }

    /// Whether the key stood in the file; only once it was asked for.
    pub fn has(&self, key: &str) -> bool {
        self.line(key).is_some()
    }

    /// Notes that the value of a key is wrong.
    pub fn wrong(&mut self, key: &str, why: impl Display) {
        let line = self.line(key);
        self.wrong_at(line, key, why);
    }

    /// Notes that the value of a key is wrong on that line.
    pub fn wrong_at(&mut self, line: Option<usize>, key: &str, why: impl Display) {
        let key = format!("{}{key}", self.prefix);
        let why = why.to_string();
        self.note(line, Fault::WrongValue { key, why });
    }

    /// Notes that a key is missing.
    pub fn missing(&mut self, key: &'static str, why: &'static str) {
        self.note(None, Fault::Missing { key, why });
    }

    /// Everything that is wrong, in the order of the lines.
    pub fn finish(mut self) -> Vec<Problem> {
        let right: Vec<&str> = self.asked.iter().map(|(key, _)| *key).collect();
        let unknown: Vec<_> = self
            .entries
            .keys()
            .map(|key| {
                let fault = Fault::UnknownKey {
                    key: format!("{}{}", self.prefix, key.get_ref()),
                    hint: Hint::new(key.get_ref(), right.iter().copied()),
                };
                (line_of(self.text, &key.span()), fault)
            })
            .collect();
        for (line, fault) in unknown {
            self.note(Some(line), fault);
        }
        self.problems.sort_by_key(|problem| match &problem.origin {
            Origin::File { line, .. } => *line,
            _ => None,
        });
        self.problems
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        let found = self.entries.remove_entry(key);
        let line = found
            .as_ref()
            .map(|(key, _)| line_of(self.text, &key.span()));
        self.asked.push((key, line));
        found.map(|(_, value)| value)
    }

    fn items(&mut self, key: &'static str, list: &DeArray<'i>) -> Option<Vec<Item>> {
        let mut items = Some(Vec::new());
        for value in list {
            let line = line_of(self.text, &value.span());
            match value.get_ref() {
                DeValue::String(text) => {
                    let text = text.to_string();
                    items.iter_mut().for_each(|all| {
                        all.push(Item {
                            text: text.clone(),
                            line,
                        })
                    });
                }
                other => {
                    items = None;
                    let fault = self.type_fault(key, "strings in the list", other);
                    self.note(Some(line), fault);
                }
            }
        }
        items
    }

    fn choose<T: Copy>(
        &mut self,
        key: &'static str,
        text: &str,
        line: Option<usize>,
        all: &[T],
        text_of: fn(T) -> &'static str,
    ) -> Option<T> {
        let chosen = all.iter().copied().find(|one| text_of(*one) == text);
        if chosen.is_none() {
            let fault = Fault::UnknownWord {
                key: format!("{}{key}", self.prefix),
                value: text.to_owned(),
                hint: Hint::new(text, all.iter().map(|one| text_of(*one))),
            };
            self.note(line, fault);
        }
        chosen
    }

    fn wrong_type<T>(&mut self, key: &str, expected: &str, found: &DeValue<'_>) -> Option<T> {
        let fault = self.type_fault(key, expected, found);
        let line = self.line(key);
        self.note(line, fault);
        None
    }

    fn type_fault(&self, key: &str, expected: &str, found: &DeValue<'_>) -> Fault {
        let found = match found {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        Fault::WrongType {
            key: format!("{}{key}", self.prefix),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    fn line(&self, key: &str) -> Option<usize> {
        let asked = self.asked.iter().find(|(asked, _)| *asked == key);
        asked.and_then(|(_, line)| *line)
    }

    fn note(&mut self, line: Option<usize>, fault: Fault) {
        let file = self.file.to_owned();
        let origin = Origin::File { file, line };
        self.problems.push(Problem { origin, fault });
    }
}

/// What types of value an option takes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// A string.
    String,
    /// A list of strings.
    Strings,
}

impl Type {
    fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Number => "a whole number",
            Self::String => "a string",
            Self::Strings => "a list of strings",
        }
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = &text.as_bytes()[..span.start.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
