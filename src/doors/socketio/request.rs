//! What a client has sent, read: the event's name and its arguments.
//! Knows their forms, not what they mean.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use socketioxide::handler::Value;

use super::answer::Invalid;
use crate::core::name::RoomName;
use crate::doors::{FieldError, Fields, parse_json};

/// The arguments of an event, as they came.
pub(super) struct Arguments<'a>(Vec<&'a RawValue>);

impl<'a> Arguments<'a> {
    pub(super) fn first(&self) -> &'a RawValue {
        self.get(0).unwrap_or(RawValue::NULL)
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a RawValue> {
        self.0.get(at).copied()
    }

    /// The first argument as a room's name; `form` describes the arguments in errors.
    pub(super) fn room(&self, form: &'static str) -> Result<RoomName, Invalid> {
        let first = self.first();
        let name: String = serde_json::from_str(first.get()).map_err(|_| Invalid::Argument {
            form,
            why: FieldError::wrong("the first argument", "a string", first),
        })?;
        Ok(RoomName::parse(&name)?)
    }
}

/// The event's name, and its arguments.
pub(super) fn read(value: &Value) -> Result<(String, Arguments<'_>), Invalid> {
    let Value::Str(text, None) = value else {
        return Err(Invalid::Binary);
    };
    let parts: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
    let mut parts = parts.map_err(|_| Invalid::NoEvent)?;
    if parts.is_empty() {
        return Ok((String::new(), Arguments(parts)));
    }
    let event = serde_json::from_str(parts.remove(0).get()).map_err(|_| Invalid::NoEvent)?;
    Ok((event, Arguments(parts)))
}

/// An argument that is an object, or a string that holds one.
pub(super) struct ObjectArgument<'a> {
    /// What errors say that the event takes.
    form: &'static str,
    object: Cow<'a, RawValue>,
    fields: Fields,
}

impl<'a> ObjectArgument<'a> {
    pub(super) fn parse(argument: &'a RawValue, form: &'static str) -> Result<Self, Invalid> {
        let invalid = |why| Invalid::Argument { form, why };
        let held: Result<String, _> = serde_json::from_str(argument.get());
        let object = match held {
            Ok(text) => Cow::Owned(parse_json(text.as_bytes()).map_err(invalid)?.to_owned()),
            Err(_) => Cow::Borrowed(argument),
        };
        Ok(Self {
            form,
            fields: Fields::of("the argument", &object).map_err(invalid)?,
            object,
        })
    }

    /// Takes a required string.
    pub(super) fn text(&mut self, name: &str) -> Result<String, Invalid> {
        let text = self.fields.required(name, "a string");
        text.map_err(|why| self.invalid(why))
    }

    /// Takes a field that may be missing or null.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Invalid> {
        let value = self.fields.optional(name, wanted);
        value.map_err(|why| self.invalid(why))
    }

    /// Takes a required field that may be any JSON.
    pub(super) fn any(&mut self, name: &str) -> Result<Box<RawValue>, Invalid> {
        let value = self.fields.any(name);
        value.map_err(|why| self.invalid(why))
    }

    pub(super) fn invalid(&self, why: FieldError) -> Invalid {
        Invalid::Argument {
            form: self.form,
            why,
        }
    }

    /// The whole object.
    pub(super) fn into_object(self) -> Box<RawValue> {
        self.object.into_owned()
    }
}
