//! Every metric that the source counts is described, and the other way round.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A metric's kind, as the macro is called that counts it, and its name.
type Metrics = BTreeSet<(&'static str, String)>;

const KINDS: [&str; 3] = ["counter", "gauge", "histogram"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The literals at the beginning of what follows each of these words.
fn literals_after<'a>(text: &'a str, words: &str) -> Vec<&'a str> {
    let literal = |rest: &'a str| {
        let literal = rest.trim_start().strip_prefix('"').unwrap_or_else(|| {
            let shown: String = rest.chars().take(60).collect();
            panic!("a metric whose name is not written there: {shown}")
        });
        literal.split('"').next().unwrap()
    };
    text.split(words).skip(1).map(literal).collect()
}

fn emitted(text: &str) -> Metrics {
    let of = |kind: &'static str| {
        let names = literals_after(text, &format!("{kind}!("));
        names.into_iter().map(move |name| (kind, name.to_owned()))
    };
    KINDS.into_iter().flat_map(of).collect()
}

/// The names in the tables of `metrics.rs`: each is its entry's first literal.
fn described(text: &str) -> Metrics {
    let mut all = Metrics::new();
    for kind in KINDS {
        let table = format!("const {}S: &[Described] = &[", kind.to_uppercase());
        let Some((_, table)) = text.split_once(&table) else {
            continue;
        };
        let (table, _) = table.split_once("];").unwrap();
        let names = literals_after(table, "(\n").into_iter();
        all.extend(names.map(|name| (kind, name.to_owned())));
    }
    all
}

#[test]
fn what_is_counted_is_what_is_described() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let list = folder.join("metrics.rs");
    assert!(files.contains(&list) && files.len() > 20, "{files:?}");
    let described = described(&fs::read_to_string(&list).unwrap());
    let others = files.iter().filter(|file| **file != list);
    let emitted: Metrics = others
        .flat_map(|file| emitted(&fs::read_to_string(file).unwrap()))
        .collect();
    assert!(!described.is_empty());
    let apart: Vec<_> = described.symmetric_difference(&emitted).collect();
    assert!(apart.is_empty(), "described or counted only: {apart:#?}");
}
