//! The description of the API: that it says what there is, and the bounds that hold.
//! `tests/sdk/description.test.js` holds real answers against it.

use serde_json::json;

use super::played::json_of;
use super::{BEARER, open_to_backends, post};
use crate::http::get;
use crate::server::TestServer;

/// Every route of the description is there, and every one there is described.
#[tokio::test]
async fn the_description_describes_what_there_is() {
    let server = TestServer::start().await;
    let description = json_of(&server, "/api/openapi.json").await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    let paths = description["paths"].as_object().unwrap();
    let names: Vec<_> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "/api/now-playing",
            "/api/now-playing.php",
            "/api/now-playing/history",
            "/api/openapi.json",
            "/api/{namespace}/{room}",
            "/bus-message/{room}",
        ]
    );
    for (path, methods) in paths {
        let target = path.replace("{namespace}", "bus").replace("{room}", "r");
        for method in methods.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" => get(server.address, &target, "").await,
                "post" => post(&server, &target, "", "1").await,
                other => panic!("{other}"),
            };
            let described = &description["paths"][path][method]["responses"];
            for (status, response) in described.as_object().unwrap() {
                let said = response["description"].as_str().unwrap_or_default();
                assert!(!said.is_empty(), "{method} {path}: {status}");
                let problem = response["content"].get("application/problem+json");
                assert_eq!(problem.is_some(), status.as_str() >= "400", "{response}");
            }
            let status = answer.status.to_string();
            assert!(
                described.get(&status).is_some(),
                "{method} {path}: {status}"
            );
        }
    }
    server.stop().await;
}

/// The bounds stand in attributes, which take no constants.
#[tokio::test]
async fn the_bounds_of_the_description_are_those_that_hold() {
    let server = open_to_backends().await;
    let description = json_of(&server, "/api/openapi.json").await;
    for (path, name) in [
        ("/api/now-playing/history", "limit"),
        ("/api/now-playing.php", "q"),
    ] {
        let parameters = &description["paths"][path]["get"]["parameters"];
        let mut parameters = parameters.as_array().unwrap().iter();
        let found = parameters.find(|parameter| parameter["name"] == name);
        let schema = &found.unwrap()["schema"];
        let (least, most) = (&schema["minimum"], &schema["maximum"]);
        let (least, most) = (least.as_i64().unwrap(), most.as_i64().unwrap());
        for (limit, status) in [(least - 1, 400), (least, 200), (most, 200), (most + 1, 400)] {
            let answer = get(server.address, &format!("{path}?{name}={limit}"), "").await;
            assert_eq!(answer.status, status, "{path}: {limit}");
        }
    }
    let track = &description["components"]["schemas"]["PostedTrack"];
    assert_eq!(track["required"], json!(["track"]));
    let length = &track["properties"]["length"];
    let (least, most) = (&length["minimum"], &length["maximum"]);
    let (least, most) = (least.as_i64().unwrap(), most.as_i64().unwrap());
    for (length, status) in [(least - 1, 400), (least, 202), (most, 202), (most + 1, 400)] {
        let track = json!({"track": "T", "length": length}).to_string();
        let answer = post(&server, "/api/metadata/next", BEARER, &track).await;
        assert_eq!(answer.status, status, "{length}: {}", answer.body);
    }
    server.stop().await;
}
