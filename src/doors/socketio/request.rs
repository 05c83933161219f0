//! What a client has sent, read: the event's name and its arguments.
//! Knows their forms, not what they mean.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use socketioxide::handler::Value;

use super::answer::Invalid;
use crate::core::name::RoomName;

/// The arguments of an event, as they came.
pub(super) struct Arguments<'a>(Vec<&'a RawValue>);

impl<'a> Arguments<'a> {
    pub(super) fn first(&self) -> &'a RawValue {
        self.get(0).unwrap_or(RawValue::NULL)
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a RawValue> {
        self.0.get(at).copied()
    }

    /// The first argument as a room's name; `form` is what all of them should be.
    pub(super) fn room(&self, form: &'static str) -> Result<RoomName, Invalid> {
        let name: String =
            serde_json::from_str(self.first().get()).map_err(|error| wrong(form, error))?;
        Ok(RoomName::parse(&name)?)
    }
}

/// The event's name, and its arguments.
pub(super) fn read(value: &Value) -> Result<(String, Arguments<'_>), Invalid> {
    let Value::Str(text, None) = value else {
        return Err(Invalid::Binary);
    };
    let mut parts: Vec<&RawValue> = serde_json::from_str(text)?;
    if parts.is_empty() {
        return Ok((String::new(), Arguments(parts)));
    }
    let event = serde_json::from_str(parts.remove(0).get())?;
    Ok((event, Arguments(parts)))
}

/// An argument that is an object of this form, or a string that holds one.
pub(super) fn object<T: DeserializeOwned>(
    argument: &RawValue,
    form: &'static str,
) -> Result<T, Invalid> {
    let text = argument.get();
    let held: String;
    let object = if text.starts_with('"') {
        held = serde_json::from_str(text).map_err(|error| wrong(form, error))?;
        held.trim_start()
    } else {
        text
    };
    // serde would take the elements of an array for the fields, in their order.
    if !object.starts_with('{') {
        let why = match object {
            "null" => "there is none",
            _ => "this is no object",
        };
        let why = why.into();
        return Err(Invalid::Argument { form, why });
    }
    serde_json::from_str(object).map_err(|error| wrong(form, error))
}

fn wrong(form: &'static str, error: serde_json::Error) -> Invalid {
    let why = error.to_string();
    // Nobody wrote the text that it counts lines and columns in.
    let why = why.split(" at line ").next().unwrap_or_default();
    Invalid::Argument {
        form,
        why: why.to_owned().into(),
    }
}
