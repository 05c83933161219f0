//! The tokens that backends publish with, from the environment: for each namespace
//! `ROOMCAST_TOKEN_NAME`, or `ROOMCAST_TOKEN_NAME_FILE` with the path of a file.
//! Knows no namespace: whoever has them says which of these means nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::layers::Layers;
use super::secrets;
use crate::core::name::NamespaceName;
use crate::core::token::Token;
use crate::problem::{Fault, Origin};

const PREFIX: &str = "ROOMCAST_TOKEN_";

/// Whether a variable is one of these.
pub(super) fn is_one(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The variable of a namespace's token.
pub fn variable(namespace: &NamespaceName) -> String {
    let name = namespace.as_str().trim_start_matches('/');
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

impl Layers {
    /// The tokens by namespace; what is wrong is noted, and never repeated.
    pub(super) fn tokens(&mut self) -> BTreeMap<NamespaceName, Token> {
        let mut tokens = BTreeMap::new();
        let mut named: BTreeMap<NamespaceName, String> = BTreeMap::new();
        let found: Vec<_> = self
            .environment()
            .filter(|(name, _)| is_one(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in found {
            self.warn_of_file(&name, &value);
            match read(&name, &value) {
                Ok((namespace, token)) => {
                    if let Some(one) = named.get(&namespace) {
                        self.set_twice(&format!("the token of {namespace}"), one, name);
                        continue;
                    }
                    named.insert(namespace.clone(), name);
                    tokens.insert(namespace, token);
                }
                Err(why) => self.note(Origin::Variable(name), Fault::WrongOption(why)),
            }
        }
        tokens
    }
}

fn read(name: &str, value: &OsStr) -> Result<(NamespaceName, Token), String> {
    let text = secrets::text(name, value)?;
    let called = name.strip_prefix(PREFIX).unwrap_or(name);
    let called = called.strip_suffix(secrets::FILE).unwrap_or(called);
    let namespace = format!("/{}", called.to_ascii_lowercase().replace('_', "-"));
    let namespace = NamespaceName::parse(&namespace).map_err(|error| error.to_string())?;
    Ok((namespace, secrets::token(&text)?))
}
