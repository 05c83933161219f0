//! Command line, environment, file and defaults, asked in that order.
//! Knows no option's meaning: each value is checked by whoever asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::opt::{Opt, PREFIX};
use super::options::{self, CONFIG, OPTIONS};
use super::url;
use crate::document::{Item, Table};
use crate::problem::{Fault, Origin, Problem};

/// The layers of settings, and what was found wrong with them.
pub(super) struct Layers {
    flags: ArgMatches,
    env: BTreeMap<String, OsString>,
    /// Variables that are set to nothing.
    empty: BTreeSet<String>,
    file: String,
    keys: BTreeMap<&'static str, Vec<Item>>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

/// The values of an option, each with where it stands.
pub(super) type Found = Vec<(Origin, String)>;

impl Layers {
    /// Sets the layers up; the file is read, where one is named.
    pub(super) fn new(
        flags: ArgMatches,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let declared = declared();
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let ours = name.starts_with(PREFIX) || declared.contains(&name);
            ours.then_some((name, value))
        };
        let all = env.into_iter().filter_map(ours);
        // Compose files and shells set what is not wanted to nothing.
        let (empty, env): (BTreeMap<_, _>, _) = all.partition(|(_, value)| value.is_empty());
        let mut layers = Self {
            flags,
            env,
            empty: empty.into_keys().collect(),
            file: String::new(),
            keys: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        layers.warn_of_slips();
        if let Some(file) = layers.optional(CONFIG, |path| Ok(path.to_owned())) {
            layers.file = file;
            layers.read_file();
        }
        layers
    }

    /// The value of an option that has a default.
    ///
    /// A wrong value is noted, and the default stands in for it.
    pub(super) fn required<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> T {
        self.optional(name, parse)
            .unwrap_or_else(|| default_of(options::named(name), parse))
    }

    /// The value of an option, if there is one; a wrong one is noted.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let option = options::named(name);
        let Some((origin, text)) = self.find(option).pop() else {
            self.note_empty_secret(option);
            return None;
        };
        self.parse(option, origin, &text, parse)
    }

    /// The values of a list, each checked; wrong ones are noted.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        parse: fn(&str) -> Result<Vec<T>, String>,
    ) -> Vec<T> {
        let option = options::named(name);
        let found = self.find(option);
        let texts = found
            .iter()
            .flat_map(|(origin, text)| text.split(',').map(move |part| (origin, part.trim())))
            .filter(|(_, part)| !part.is_empty());
        let mut all = Vec::new();
        for (origin, text) in texts {
            all.extend(
                self.parse(option, origin.clone(), text, parse)
                    .into_iter()
                    .flatten(),
            );
        }
        all
    }

    /// Where an option's value is from.
    pub(super) fn origin(&mut self, name: &str) -> Origin {
        let found = self.look(options::named(name));
        found.map_or(Origin::Default, |mut all| {
            all.pop().map_or(Origin::Default, |(origin, _)| origin)
        })
    }

    /// The variables of the environment that are ours.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_os_str()))
    }

    /// Whether a variable is set to nothing.
    pub(super) fn is_empty(&self, variable: &str) -> bool {
        self.empty.contains(variable)
    }

    /// Notes that something is wrong.
    pub(super) fn note(&mut self, origin: Origin, fault: Fault) {
        self.problems.push(Problem { origin, fault });
    }

    /// Notes what looks like a slip.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// What was wrong, and what looked like a slip.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems, self.warnings)
    }

    fn parse<T>(
        &mut self,
        option: &Opt,
        origin: Origin,
        text: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let fault = match &origin {
                    Origin::File { .. } => Fault::WrongValue {
                        key: option.name.to_owned(),
                        why,
                    },
                    // What an orchestrator sets for a service of our name.
                    Origin::Variable(_) if text.starts_with("tcp://") => {
                        Fault::WrongOption(format!(
                            "{why} (Kubernetes sets this for a service of that name: \
                             turn enableServiceLinks off)"
                        ))
                    }
                    _ => Fault::WrongOption(why),
                };
                self.note(origin, fault);
                None
            }
        }
    }

    /// The values of an option in the first layer that has any, with the files read
    /// that variables name; the default where none has.
    pub(super) fn find(&mut self, option: &'static Opt) -> Found {
        let found = self.look(option);
        if option.may_be_filed() {
            return self.told(option, found.unwrap_or_default());
        }
        found.unwrap_or_else(|| {
            let default = option
                .default
                .map(|text| (Origin::Default, text.to_owned()));
            default.into_iter().collect()
        })
    }

    /// The values in the first layer that has any.
    fn look(&mut self, option: &'static Opt) -> Option<Found> {
        let name = option.name;
        if self.flags.value_source(name) == Some(ValueSource::CommandLine) {
            let given = self.flags.get_many::<String>(name).into_iter().flatten();
            return Some(
                given
                    .map(|text| (Origin::Flag(name), text.clone()))
                    .collect(),
            );
        }
        for variables in option.variables() {
            let set = variables.into_iter().filter_map(|variable| {
                let text = self.env.get(&variable)?.to_string_lossy().into_owned();
                Some((Origin::Variable(variable), text))
            });
            let found: Found = set.collect();
            if !found.is_empty() {
                return Some(found);
            }
        }
        let items = self.keys.get(name)?;
        let found = items.iter().map(|item| {
            let line = Some(item.line);
            let file = self.file.clone();
            (Origin::File { file, line }, item.text.clone())
        });
        Some(found.collect())
    }

    fn read_file(&mut self) {
        let text = match fs::read_to_string(Path::new(&self.file)) {
            Ok(text) => text,
            Err(error) => {
                let (file, line) = (self.file.clone(), None);
                let fault = Fault::Unreadable(error.to_string());
                return self.note(Origin::File { file, line }, fault);
            }
        };
        let file = self.file.clone();
        let mut table = match Table::parse(&file, &text) {
            Ok(table) => table,
            Err(problem) => return self.problems.push(problem),
        };
        for option in OPTIONS.iter().filter(|option| option.name != CONFIG) {
            if let Some(items) = table.option(option.name, option.types()) {
                self.keys.insert(option.name, items);
            }
        }
        self.problems.extend(table.finish());
        let options = OPTIONS.iter().filter(|option| option.may_be_filed());
        let mut values = options.filter_map(|option| Some((option, self.keys.get(option.name)?)));
        let holds_secret = values.any(|(option, items)| {
            option.is_secret() || items.iter().any(|item| url::has_password(&item.text))
        });
        if holds_secret {
            self.warn_of_exposed(&file, Path::new(&file));
        }
    }
}

/// What counts where nobody says otherwise.
pub(super) fn default_of<T>(option: &Opt, parse: fn(&str) -> Result<T, String>) -> T {
    let default = option.default.expect("a required option has a default");
    parse(default).expect("the built-in defaults are right")
}

/// Every variable that sets an option.
pub(super) fn declared() -> Vec<String> {
    let all = OPTIONS.iter().flat_map(Opt::variables);
    all.flatten().collect()
}
