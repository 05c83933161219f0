//! What `Accept` says of the forms that a list can have (RFC 9110, section 12.5.1).
//! Knows two forms, and no content.

use axum::http::{HeaderMap, header};

/// Whether CSV is rather accepted than JSON, which is what there is else.
pub(super) fn prefers_csv(request: &HeaderMap) -> bool {
    let lines = request.get_all(header::ACCEPT).iter();
    let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    is_csv_preferred(&lines.join(","))
}

/// The higher weight wins; of equal ones the form that was named first.
fn is_csv_preferred(accept: &str) -> bool {
    let csv = Wish::of(["text/csv", "text/*", "*/*"], accept);
    let json = Wish::of(["application/json", "application/*", "*/*"], accept);
    match (csv, json) {
        (Some(csv), _) if csv.weight == 0.0 => false,
        (Some(csv), Some(json)) if csv.weight == json.weight => csv.place < json.place,
        (Some(csv), Some(json)) => csv.weight > json.weight,
        (csv, _) => csv.is_some(),
    }
}

/// How much a form is wanted.
struct Wish {
    weight: f32,
    /// Where in the list it is named.
    place: usize,
}

impl Wish {
    /// By the first of these names that the list has: the narrower one counts.
    fn of(names: [&str; 3], accept: &str) -> Option<Self> {
        names.iter().find_map(|name| {
            let kinds = accept.split(',').enumerate();
            let mut wishes = kinds.filter_map(|(place, kind)| {
                let mut parts = kind.split(';').map(str::trim);
                let is_it = parts.next()?.eq_ignore_ascii_case(name);
                let weight = parts.find_map(weight).unwrap_or(1.0);
                is_it.then_some(Self { weight, place })
            });
            wishes.next()
        })
    }
}

/// The weight that a parameter gives; nothing if it is another, or gives none.
fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let value = value
        .trim()
        .parse()
        .ok()
        .filter(|_| name.trim().eq_ignore_ascii_case("q"));
    value.filter(|weight| (0.0..=1.0).contains(weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_for_those_who_want_it_more() {
        for (accept, csv) in [
            ("text/csv", true),
            ("TEXT/CSV; charset=utf-8", true),
            ("text/csv, */*", true),
            ("text/csv;q=0.9, */*;q=0.8", true),
            ("text/csv;q=0.9, */*", false),
            ("text/html, text/csv, application/json", true),
            ("application/json, text/csv", false),
            ("application/json;q=0.5, text/csv", true),
            ("application/json; q = 0.5, text/csv; q = 0.6", true),
            ("application/json;q=0, */*", true),
            ("text/csv;q=0, application/json", false),
            ("text/csv;q=0", false),
            ("text/csv;q=0, application/json;q=0", false),
            ("text/csv;q=0.1, application/json", false),
            ("text/csv;q=NaN, application/json;q=0.9", true),
            (
                "text/*;q=0.5, text/csv;q=0.1, application/json;q=0.2",
                false,
            ),
            ("text/*", true),
            (
                "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
                false,
            ),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(is_csv_preferred(accept), csv, "{accept}");
        }
    }
}
