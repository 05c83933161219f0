//! The page and the widget as they go over the wire: headers, addresses, size.
//! What they do in a browser is tested in one (`tests/sdk/browser/page.js`).

use std::collections::BTreeMap;

use crate::http::{get, header};
use crate::server::TestServer;

const PAGE: &str = "/";
const WIDGET: &str = "/embed";

/// What a browser may have to load for a page, in bytes.
const SIZE_MOST: usize = 40 * 1024;

/// What starts the address of another file, in HTML, style or script.
const REFERENCES: [&str; 4] = ["href=\"", "src=\"", "url(\"", "from '"];

/// The addresses that a file names, as it writes them.
fn references(text: &str) -> impl Iterator<Item = &str> {
    let found = REFERENCES.into_iter().flat_map(move |start| {
        let pieces = text.split(start).skip(1);
        pieces.map(|rest| rest.split(['"', '\'']).next().unwrap())
    });
    found.filter(|address| !address.starts_with('#'))
}

/// A relative address, from the file that names it.
fn resolved(from: &str, address: &str) -> String {
    let (folder, _) = from.rsplit_once('/').unwrap();
    format!("{folder}/{}", address.trim_start_matches("./"))
}

/// What a browser loads for a page, by path: the page, and all that it names,
/// and so on; but not the other page.
async fn loaded(server: &TestServer, page: &str) -> BTreeMap<String, String> {
    let mut loaded = BTreeMap::new();
    let mut left = vec![page.to_owned()];
    while let Some(path) = left.pop() {
        let linked = path != page && [PAGE, WIDGET].contains(&path.as_str());
        if linked || loaded.contains_key(&path) {
            continue;
        }
        let answer = get(server.address, &path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        left.extend(references(&answer.body).map(|address| resolved(&path, address)));
        loaded.insert(path, answer.body);
    }
    assert!(loaded.len() >= 7, "{:?}", loaded.keys());
    loaded
}

#[tokio::test]
async fn each_file_has_its_type_and_what_protects_it() {
    let server = TestServer::start().await;
    let mut files = loaded(&server, PAGE).await;
    files.extend(loaded(&server, WIDGET).await);
    for (path, text) in files {
        let answer = get(server.address, &path, "").await;
        let kind = match path.rsplit_once('.') {
            None => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some(_) => panic!("{path} is of no known kind"),
        };
        for (name, value) in [
            ("content-type", kind),
            ("content-length", &text.len().to_string()),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{path} {name}");
        }
        let policy = header(&answer, "content-security-policy").unwrap();
        let frames = if path == WIDGET { "*" } else { "'self'" };
        let frames = format!("frame-ancestors {frames}");
        for rule in ["default-src 'none'", "script-src 'self'", &frames] {
            let mut rules = policy.split("; ");
            assert!(rules.any(|found| found == rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let server = TestServer::start().await;
    let mut tags = BTreeMap::new();
    for path in loaded(&server, PAGE).await.into_keys() {
        let answer = get(server.address, &path, "").await;
        let tag = header(&answer, "etag").unwrap().to_owned();
        for (has, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
        ] {
            let asked = format!("If-None-Match: {has}\r\n");
            let answer = get(server.address, &path, &asked).await;
            assert_eq!(answer.status, status, "{path} {has}");
            assert_eq!(answer.body.is_empty(), status == 304, "{path} {has}");
            assert_eq!(header(&answer, "etag"), Some(tag.as_str()), "{path}");
        }
        if let Some(other) = tags.insert(tag, path.clone()) {
            panic!("{path} and {other} have one tag");
        }
    }
    server.stop().await;
}

/// Also behind a proxy that serves the page below a path of its own.
#[tokio::test]
async fn a_page_names_what_this_server_has_and_nothing_else() {
    let server = TestServer::start().await;
    for page in [PAGE, WIDGET] {
        let files = loaded(&server, page).await;
        for (path, text) in &files {
            for address in references(text) {
                let elsewhere = address.starts_with('/') || address.contains("//");
                assert!(!elsewhere, "{path} names {address}");
            }
        }
        let html = &files[page];
        for inline in ["<style", " style=", " onload=", " onerror=", "<script>"] {
            assert!(!html.contains(inline), "{page} has {inline}");
        }
        let size: usize = files.values().map(String::len).sum();
        assert!(size < SIZE_MOST, "{page} is of {size} bytes");
    }
    server.stop().await;
}
