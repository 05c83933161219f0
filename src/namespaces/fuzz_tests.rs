//! Property tests of the files of namespaces.

use super::file::read;
use crate::fuzz::{self, Case, Format};

#[test]
fn fuzz_files_of_namespaces() {
    let documents = [
        include_str!("../../namespaces/bus.toml"),
        include_str!("../../namespaces/lobby.toml"),
        include_str!("../../namespaces/metadata.toml"),
        include_str!("../../namespaces/push.toml"),
        include_str!("../../namespaces/trigger.toml"),
        "protocol = 'room'\nrooms = ['a', \"b\\u00e9\"]\nretain = []\n[limits]\nburst = 1_000\nhistry = 1979-05-27T07:32:00Z\n",
    ];
    let tokens = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "#",
        "\n",
        "\\u",
        "\\UFFFFFFFF",
        "[a.",
        "a={",
        "[[a]]\n",
        "a.b.c=1\n",
        "protocol",
        "verbs",
        "rooms",
        "\"own\"",
        "limits",
        "enabled = false\n",
        "0x",
        "1_0",
        "inf",
        "nan",
        "1979-05-27",
        "true",
        "publish_token = \"0123456789abcdef\"\n",
    ];
    let format = Format::text("namespaces TOML", &documents, &tokens);
    let read = |case: &Case| match read("x", "x.toml", &case.text()) {
        Ok(Some(namespace)) => namespace.about.len() + namespace.retain.concat().len(),
        Ok(None) => 0,
        Err(problems) => problems.to_string().len(),
    };
    // The error of an unknown key, which may have three bytes, lists the nearest keys.
    fuzz::run(&format, |input| 200 * input + 4_096, read);
}
