//! The fields of a JSON object that a client has sent. Each error names the field and says what
//! it must be; serde's own texts are for programmers. Pure.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hint::Hint;

/// How much of a wrong value an error repeats, in characters.
const VALUE_SHOWN: usize = 40;

/// Why JSON can't be read, for the client that sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct FieldError(String);

impl FieldError {
    /// The error of a value that is not what it must be.
    pub(super) fn wrong(what: &str, wanted: &str, value: &(impl Serialize + ?Sized)) -> Self {
        let value = serde_json::to_string(value).unwrap_or_default();
        let mut shown: String = value.chars().take(VALUE_SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self(format!("{what} must be {wanted}, not {shown}"))
    }

    /// The error of a value that is missing.
    pub(super) fn missing(what: &str, wanted: &str) -> Self {
        Self(format!("{what} is missing: it must be {wanted}"))
    }
}

/// Parses a whole text as JSON.
pub(super) fn parse_json(text: &[u8]) -> Result<&RawValue, FieldError> {
    serde_json::from_slice(text).map_err(|error| {
        FieldError(match error.is_eof() {
            true if text.trim_ascii().is_empty() => "there is no JSON: the text is empty".into(),
            true => "this is not JSON: it ends too early".into(),
            false => format!(
                "this is not JSON: syntax error in line {}, column {}",
                error.line(),
                error.column()
            ),
        })
    })
}

/// The fields of a JSON object, in their order.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Parses an object; `what` names it in the error.
    pub(super) fn of(what: &str, value: &RawValue) -> Result<Self, FieldError> {
        serde_json::from_str(value.get()).map_err(|_| FieldError::wrong(what, "an object", value))
    }

    /// Takes a required field. `wanted` says what it must be.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<T, FieldError> {
        let value = self.take(name)?;
        let value = value.ok_or_else(|| missing(name, wanted))?;
        read(name, wanted, &value)
    }

    /// Takes a field that may be missing or null.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, FieldError> {
        let value = self.take(name)?;
        let value = value.map(|value| read(name, wanted, &value)).transpose()?;
        Ok(value.flatten())
    }

    /// Takes a required field that may be any JSON.
    pub(super) fn any(&mut self, name: &str) -> Result<Box<RawValue>, FieldError> {
        self.take(name)?.ok_or_else(|| missing(name, "any JSON"))
    }

    /// Takes a required field that must be an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Self, FieldError> {
        self.required(name, "an object")
    }

    /// Takes a field as the client sent it.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Box<RawValue>>, FieldError> {
        let Some(at) = self.names().position(|known| known == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(at);
        match self.names().any(|known| known == name) {
            true => Err(FieldError(format!("`{name}` appears twice"))),
            false => Ok(Some(value)),
        }
    }

    /// The names of the fields that are left.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Checks that no field is left, once all `known` ones are taken.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), FieldError> {
        match self.names().next() {
            Some(name) => Err(FieldError(unknown("field", name, known))),
            None => Ok(()),
        }
    }

    /// The fields that are left, as the client sent them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }
}

/// Returns the error text for an unknown name, with the name that may have been meant.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(VALUE_SHOWN).collect();
    let hint = Hint::new(name, known.iter().copied());
    match known.is_empty() {
        true => format!("there is no {what} `{shown}`; this request takes none"),
        false => format!("there is no {what} `{shown}`; {hint}"),
    }
}

fn missing(name: &str, wanted: &str) -> FieldError {
    FieldError::missing(&format!("`{name}`"), wanted)
}

fn read<T: DeserializeOwned>(name: &str, wanted: &str, value: &RawValue) -> Result<T, FieldError> {
    serde_json::from_str(value.get())
        .map_err(|_| FieldError::wrong(&format!("`{name}`"), wanted, value))
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_json_is_named_by_its_place() {
        for (text, expected) in [
            (&b""[..], "there is no JSON: the text is empty"),
            (b" \r\n", "there is no JSON: the text is empty"),
            (b"{\"a\":", "this is not JSON: it ends too early"),
            (b"\"abc", "this is not JSON: it ends too early"),
            (
                b"hello",
                "this is not JSON: syntax error in line 1, column 1",
            ),
            (
                b"{\n  'a': 1}",
                "this is not JSON: syntax error in line 2, column 3",
            ),
            (
                b"{} x",
                "this is not JSON: syntax error in line 1, column 4",
            ),
            (
                b"\"\xff\"",
                "this is not JSON: syntax error in line 1, column 2",
            ),
        ] {
            let error = parse_json(text).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_field_and_what_it_must_be() {
        let of = |text: &str| Fields::of("the argument", parse_json(text.as_bytes()).unwrap());
        let text = |fields: &mut Fields| fields.required::<String>("a", "a string").map(drop);
        let count = |fields: &mut Fields| {
            let found = fields.optional::<usize>("a", "a whole number");
            found.map(drop)
        };
        let long = format!(r#"{{"a": ["{}"]}}"#, "é".repeat(50));
        let shown = format!("`a` must be a string, not [\"{}…", "é".repeat(38));
        type Read = fn(&mut Fields) -> Result<(), FieldError>;
        for (json, read, expected) in [
            ("{}", text as Read, "`a` is missing: it must be a string"),
            (r#"{"a": null}"#, text, "`a` must be a string, not null"),
            (r#"{"a": 7}"#, text, "`a` must be a string, not 7"),
            (
                r#"{"a": {"b": 1}}"#,
                text,
                r#"`a` must be a string, not {"b": 1}"#,
            ),
            (&long, text, &shown),
            (r#"{"a": "x", "a": "y"}"#, text, "`a` appears twice"),
            (r#"{"a": -1}"#, count, "`a` must be a whole number, not -1"),
            (
                r#"{"a": "1"}"#,
                count,
                r#"`a` must be a whole number, not "1""#,
            ),
        ] {
            let error = read(&mut of(json).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{json}");
        }
        for json in ["{}", r#"{"a": null}"#, r#"{"a": 1, "b": 1, "b": 2}"#] {
            count(&mut of(json).unwrap()).unwrap();
        }
        let error = of(r#"["a"]"#).unwrap_err().to_string();
        assert_eq!(error, r#"the argument must be an object, not ["a"]"#);
    }

    #[test]
    fn an_unknown_field_gets_the_nearest_one() {
        let known = ["track", "length"];
        for (json, expected) in [
            (
                r#"{"lenght": 1}"#,
                "there is no field `lenght`; did you mean `length`?",
            ),
            (
                r#"{"x": 1}"#,
                "there is no field `x`; there are: track, length",
            ),
        ] {
            let fields = Fields::of("it", parse_json(json.as_bytes()).unwrap()).unwrap();
            assert_eq!(fields.finish(&known).unwrap_err().to_string(), expected);
        }
    }
}
