//! Reads the namespaces: the files that are built in, and a folder of the user's.
//! Knows no room: it turns files into what [`crate::core::namespace`] describes.

mod file;
#[cfg(test)]
mod fuzz_tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::core::name::NamespaceName;
use crate::core::namespace::{Namespace, Protocol, Publisher, Rooms};
use crate::problem::{Fault, Origin, Problem, Problems};
pub use file::read;

/// The files that are built in, by what they are called.
const BUILT_IN: [(&str, &str); 8] = [
    ("metadata", include_str!("../namespaces/metadata.toml")),
    ("schedule", include_str!("../namespaces/schedule.toml")),
    ("layout", include_str!("../namespaces/layout.toml")),
    ("lobby", include_str!("../namespaces/lobby.toml")),
    ("bus", include_str!("../namespaces/bus.toml")),
    ("trigger", include_str!("../namespaces/trigger.toml")),
    ("push", include_str!("../namespaces/push.toml")),
    ("webhook", include_str!("../namespaces/webhook.toml")),
];

/// The biggest file that is read, in bytes: 50 times the longest built-in one.
const FILE_MOST: u64 = 64 * 1024;

/// Reads all namespaces, in the order of their names.
///
/// The file `NAME.toml` in `folder` stands in the place of the built-in one of
/// that name, as a whole; `enabled = false` in it removes the namespace.
///
/// # Errors
/// Everything that is wrong in any of the files, or the folder can't be read.
pub fn load(folder: Option<&Path>) -> Result<Vec<Namespace>, Problems> {
    let mut problems = Vec::new();
    let mut files: BTreeMap<String, Source> = BUILT_IN
        .iter()
        .map(|(stem, text)| {
            let called = format!("namespaces/{stem}.toml (built in)");
            let text = (*text).to_owned();
            ((*stem).to_owned(), Source { called, text })
        })
        .collect();
    if let Some(folder) = folder {
        match read_folder(folder) {
            Ok(found) => {
                for (stem, read) in found {
                    match read {
                        Ok(source) => drop(files.insert(stem, source)),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Err(error) => problems.push(unreadable(folder, &error)),
        }
    }
    let mut namespaces = Vec::new();
    for (stem, source) in &files {
        match read(stem, &source.called, &source.text) {
            Ok(namespace) => namespaces.extend(namespace),
            Err(Problems(found)) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(namespaces)
    } else {
        Err(Problems(problems))
    }
}

/// Why a feed or a door can't work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{option} needs the namespace {namespace}, and {why}; say `off` to do without")]
pub struct Unfit {
    option: &'static str,
    namespace: &'static str,
    why: String,
}

/// The namespace that the studio's feed publishes in.
pub const FEED_NAMESPACE: &str = "/metadata";

/// The rooms that the feed publishes in: what is on air, and what comes next.
pub const FEED_ROOMS: [&str; 2] = ["now-playing", "next"];

/// Checks that the feed finds the namespace and the rooms that it publishes in.
///
/// # Errors
/// They are missing, reserved or closed to the feed.
pub fn check_feed(namespaces: &[Namespace]) -> Result<(), Unfit> {
    let wrong = |why: &str| Unfit {
        option: "zetta-listen",
        namespace: FEED_NAMESPACE,
        why: why.to_owned(),
    };
    let found = find(namespaces, FEED_NAMESPACE).map_err(wrong)?;
    if !found.publishers.contains(&Publisher::Feed) {
        return Err(wrong("\"feed\" is not among its publishers"));
    }
    if found.rooms == Rooms::Created {
        return Err(wrong("its rooms have to be created"));
    }
    if let Rooms::Fixed(rooms) = &found.rooms
        && let Some(missing) = FEED_ROOMS
            .iter()
            .find(|name| rooms.iter().all(|room| room.as_str() != **name))
    {
        return Err(wrong(&format!("its rooms lack \"{missing}\"")));
    }
    Ok(())
}

/// What a door needs of a namespace.
pub struct DoorNeeds {
    option: &'static str,
    /// Its name.
    pub namespace: &'static str,
    /// Whose its rooms are.
    pub rooms: Rooms,
    word: &'static str,
}

/// The push door, whose channels are the rooms.
pub const PUSH: DoorNeeds = DoorNeeds {
    option: "push",
    namespace: "/push",
    rooms: Rooms::Created,
    word: "created",
};

/// The webhook door, of which each connection has a room.
pub const WEBHOOK: DoorNeeds = DoorNeeds {
    option: "target-address",
    namespace: "/webhook",
    rooms: Rooms::Own,
    word: "own",
};

impl DoorNeeds {
    /// The namespace's name, parsed.
    pub fn name(&self) -> NamespaceName {
        NamespaceName::parse(self.namespace).expect("it is a namespace's name")
    }

    /// Whether this is the namespace, as the door needs it.
    pub fn is_met_by(&self, namespace: &Namespace) -> bool {
        namespace.name.as_str() == self.namespace && namespace.rooms == self.rooms
    }

    /// Checks that the door finds the namespace.
    ///
    /// # Errors
    /// It is missing or reserved, or its rooms are others.
    pub fn check(&self, namespaces: &[Namespace]) -> Result<(), Unfit> {
        let wrong = |why: &str| Unfit {
            option: self.option,
            namespace: self.namespace,
            why: why.to_owned(),
        };
        let found = find(namespaces, self.namespace).map_err(wrong)?;
        if found.rooms != self.rooms {
            return Err(wrong(&format!("its rooms are not \"{}\"", self.word)));
        }
        if !found.publishers.contains(&Publisher::Http) {
            return Err(wrong("\"http\" is not among its publishers"));
        }
        Ok(())
    }
}

/// The namespace of the protocol "room" that has this name.
fn find<'a>(namespaces: &'a [Namespace], name: &str) -> Result<&'a Namespace, &'static str> {
    let found = namespaces.iter().find(|n| n.name.as_str() == name);
    let found = found.ok_or("there is none")?;
    if found.reserved.is_some() {
        return Err("it is reserved");
    }
    if found.protocol != Protocol::Room {
        return Err("its protocol is not \"room\"");
    }
    Ok(found)
}

struct Source {
    called: String,
    text: String,
}

type Read = Vec<(String, Result<Source, Problem>)>;

fn read_folder(folder: &Path) -> io::Result<Read> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy()) else {
            continue;
        };
        // What editors leave beside a file that is being written.
        if stem.starts_with('.') {
            continue;
        }
        let text = match fs::metadata(&path) {
            Ok(about) if about.len() > FILE_MOST => Err(io::Error::other(format!(
                "it is bigger than {FILE_MOST} bytes"
            ))),
            Ok(_) => fs::read_to_string(&path),
            Err(error) => Err(error),
        };
        let called = path.display().to_string();
        let source = match text {
            Ok(text) => Ok(Source { called, text }),
            Err(error) => Err(unreadable(&path, &error)),
        };
        found.push((stem.into_owned(), source));
    }
    // A folder has no order of its own; messages should.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem {
        origin: Origin::File {
            file: path.display().to_string(),
            line: None,
        },
        fault: Fault::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
