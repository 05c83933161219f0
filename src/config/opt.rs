//! One option: what it is called on the command line and in the environment, and
//! what its key takes. Knows neither which options there are nor their values.

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction};

use super::secrets;
use crate::document::Type;

/// What stands before an option's name in the environment.
pub(super) const PREFIX: &str = "ROOMCAST_";

/// One option.
pub(super) struct Opt {
    /// The long flag, and the key in a file.
    pub(super) name: &'static str,
    short: Option<char>,
    kind: Kind,
    /// Another long flag for it.
    also: Option<&'static str>,
    alias: Option<&'static str>,
    /// What the value is called in the help.
    value: &'static str,
    /// As it would stand on the command line.
    pub(super) default: Option<&'static str>,
    help: &'static str,
}

/// What an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Number,
    Text,
    Listen,
    List,
    /// A text that is never repeated; the environment may name a file that holds it.
    Secret,
    /// A URL that may hold a password; the environment may name a file that holds it.
    /// Set to nothing it is not wanted, where a secret would be missing.
    Url,
}

impl Opt {
    pub(super) const fn new(
        name: &'static str,
        kind: Kind,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            short: None,
            kind,
            also: None,
            alias: None,
            value,
            default: None,
            help,
        }
    }

    pub(super) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// Gives it a second long flag: what the program that roomcast stands in for
    /// called it.
    pub(super) const fn also(mut self, flag: &'static str) -> Self {
        self.also = Some(flag);
        self
    }

    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Gives it a second variable: what the program that roomcast stands in for
    /// called it.
    pub(super) const fn alias(mut self, variable: &'static str) -> Self {
        self.alias = Some(variable);
        self
    }

    /// Its own variable of the environment: `ROOMCAST_ZETTA_LISTEN`.
    pub(super) fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase().replace('-', "_");
        format!("{PREFIX}{name}")
    }

    /// All variables that set it, in the order in which they are asked: its own,
    /// then the alias; with each of what may be in a file goes the one that names it.
    pub(super) fn variables(&self) -> Vec<Vec<String>> {
        let names = [Some(self.variable()), self.alias.map(str::to_owned)];
        let with_file = |name: String| {
            if self.may_be_filed() {
                vec![name.clone(), name + secrets::FILE]
            } else {
                vec![name]
            }
        };
        names.into_iter().flatten().map(with_file).collect()
    }

    /// Whether it is a secret.
    pub(super) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Whether a variable may name a file that holds it.
    pub(super) fn may_be_filed(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Url)
    }

    /// What its key takes in a file.
    pub(super) fn types(&self) -> &'static [Type] {
        match self.kind {
            Kind::Switch => &[Type::Boolean],
            Kind::Number => &[Type::Number],
            Kind::Text | Kind::Secret | Kind::Url => &[Type::String],
            Kind::Listen => &[Type::Number, Type::String],
            Kind::List => &[Type::Strings, Type::String],
        }
    }

    pub(super) fn arg(&self) -> Arg {
        let mut notes = format!("[env: {}]", self.variables().concat().join(", "));
        if let Some(default) = self.default {
            notes.push_str(&format!(" [default: {default}]"));
        }
        let arg = Arg::new(self.name)
            .long(self.name)
            .short(self.short)
            .visible_aliases(self.also)
            .global(true)
            .value_name(self.value)
            .value_parser(NonEmptyStringValueParser::new())
            .help(format!("{} {notes}", self.help));
        match self.kind {
            // So that `--https=false` can take back what a file says.
            Kind::Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .hide_possible_values(true),
            Kind::List => arg.action(ArgAction::Append),
            Kind::Number | Kind::Text | Kind::Listen | Kind::Secret | Kind::Url => arg,
        }
    }
}
