//! Who may know whom: reads the `use` lines of the sources, and every path in
//! them, and holds the order of the layers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each part of the crate may name of it. A part stands for its file and
/// its folder; a part that is missing here fails the test.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("core", &["core"]),
    ("net", &["net", "core"]),
    ("nowplaying", &["core"]),
    ("store", &["nowplaying", "supervise", "core"]),
    (
        "metrics",
        &["net", "nowplaying", "store", "supervise", "core"],
    ),
    ("hint", &[]),
    ("problem", &["hint"]),
    ("supervise", &["core"]),
    ("signals", &["supervise"]),
    ("watchdog", &["supervise"]),
    ("document", &["problem", "hint"]),
    ("namespaces", &["namespaces", "core", "document", "problem"]),
    ("simulate", &["simulate"]),
    ("fuzz", &[]),
    (
        "config",
        &[
            "config",
            "nowplaying",
            "namespaces",
            "core",
            "document",
            "problem",
            "hint",
            "net",
            // Its part of the command line.
            "simulate",
        ],
    ),
    ("logging", &["config"]),
    ("healthcheck", &[]),
    ("report", &["config", "store", "nowplaying"]),
    ("ports", &["config", "net"]),
    ("stopping", &["net", "core"]),
    (
        "more_doors",
        &[
            "config",
            "doors",
            "namespaces",
            "net",
            "ports",
            "store",
            "core",
        ],
    ),
    ("opening", &["config", "namespaces", "store", "net", "core"]),
    ("ingest", &["ingest", "nowplaying", "store", "net", "core"]),
    (
        "doors",
        &["doors", "nowplaying", "store", "net", "core", "hint"],
    ),
    ("redis", &["redis", "config", "supervise", "core"]),
];

/// What the core must not know at all.
const NOT_IN_CORE: &[&str] = &["axum", "socketioxide", "hyper", "http", "redis", "std::fs"];

#[test]
fn dependencies_point_one_way() {
    let sources = sources(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 50, "{} files", sources.len());
    let rules: BTreeMap<_, _> = MAY_NAME.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, text) in &sources {
        let part = part_of(file);
        // The two that wire everything together may name everything.
        if matches!(part, "main" | "lib") {
            continue;
        }
        let allowed = rules
            .get(part)
            .unwrap_or_else(|| panic!("{} is of no layer", file.display()));
        for named in named(text) {
            seen += 1;
            // Tests of parsers stand beside them.
            if !allowed.contains(&named) && named != "fuzz" {
                wrong.push(format!("{} names {named}", file.display()));
            }
        }
        if part == "core" {
            let foreign = NOT_IN_CORE
                .iter()
                .filter(|krate| text.contains(&format!("use {krate}")));
            wrong.extend(foreign.map(|krate| format!("{} uses {krate}", file.display())));
        }
    }
    assert!(seen > 40, "{seen} names");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_door_knows_another() {
    let sources = sources(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let door_of = |file: &Path| {
        let mut parts = file.iter().map(|part| part.to_str().unwrap());
        (parts.next() == Some("doors")).then(|| parts.next().unwrap().replace(".rs", ""))
    };
    let doors: Vec<String> = sources
        .iter()
        .filter_map(|(file, _)| door_of(file))
        .collect();
    assert!(doors.len() > 2);
    for (file, text) in &sources {
        let Some(own) = door_of(file) else { continue };
        for other in doors.iter().filter(|door| **door != own && *door != "mod") {
            let path = format!("doors::{other}");
            assert!(!text.contains(&path), "{} names {path}", file.display());
        }
    }
}

/// The parts of the crate that a source names: by `crate::`, wherever it stands.
fn named(text: &str) -> Vec<&str> {
    let after = text.split("crate::").skip(1);
    after
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// The first folder of a source's path, or its file's name.
fn part_of(file: &Path) -> &str {
    let first = file.iter().next().unwrap().to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Every source below a folder: its path from there, and its text.
fn sources(root: PathBuf) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_owned();
                sources.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    sources
}
