//! What does not keep the server from running and was hardly meant so: variables
//! that are almost ours or another program's, options without the switch that they
//! need. Knows no option's meaning.

use super::layers::{Layers, declared, default_of};
use super::opt::PREFIX;
use super::{options, tokens};
use crate::hint::slip;
use crate::problem::{Fault, Origin, Problem};

impl Layers {
    /// Warns of variables whose names are almost those of options.
    ///
    /// Not of aliases: what is like one may well be another program's.
    pub(super) fn warn_of_slips(&mut self) {
        let right = declared();
        let is_right = |name: &str| right.iter().any(|right| right == name) || tokens::is_one(name);
        let warnings: Vec<_> = self
            .environment()
            .filter(|(name, _)| !is_right(name))
            .filter_map(|(name, _)| {
                let right = slip(name, right.iter().map(String::as_str))?;
                Some(format!("{name} means nothing here; did you mean {right}?"))
            })
            .collect();
        for warning in warnings {
            self.warn(warning);
        }
    }

    /// The value of an option whose alias many programs read: what that says is
    /// taken by `theirs`. Where it means nothing it is warned of, not noted, and the
    /// default counts.
    pub(super) fn lenient<T>(
        &mut self,
        name: &str,
        parse: fn(&str) -> Result<T, String>,
        theirs: fn(&str) -> Result<T, String>,
    ) -> T {
        let option = options::named(name);
        match self.find(option).pop() {
            Some((Origin::Variable(alias), text)) if !alias.starts_with(PREFIX) => theirs(&text)
                .unwrap_or_else(|why| {
                    self.warn(format!("{alias}: {why}; --{name} is left at its default"));
                    default_of(option, parse)
                }),
            _ => self.required(name, parse),
        }
    }

    /// Warns where another program's settings are all there for a door that is off.
    pub(super) fn warn_of_moved(&mut self, switch: &str, variables: &[&str]) {
        let all = self.environment().map(|(name, _)| name);
        let found = all.filter(|name| variables.contains(name)).count();
        if found == variables.len() {
            let variables = variables.join(" and ");
            self.warn(format!("{variables} mean nothing without --{switch}"));
        }
    }

    /// Warns of options that are given and mean nothing without a switch.
    ///
    /// Not where an alias gives them: that may be there for another program.
    pub(super) fn warn_of_idle(&mut self, switch: &str, names: &[&str]) {
        for name in names {
            let origin = self.origin(name);
            let ours = match &origin {
                Origin::Default => false,
                Origin::Variable(variable) => variable.starts_with(PREFIX),
                Origin::Flag(_) | Origin::File { .. } => true,
            };
            if ours {
                let why = format!("--{name} means nothing without --{switch}");
                let fault = Fault::WrongOption(why);
                self.warn(Problem { origin, fault }.to_string());
            }
        }
    }
}
