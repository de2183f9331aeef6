use super::*;
use crate::http::double::Client;

/// Every path of the document is answered with the methods that it names, and with no other; nothing else is answered.
#[tokio::test]
async fn the_document_and_the_server_say_the_same() {
    let client = Client::new(true);
    let document = client.ask("GET", PATH, &[], "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "watcher");
    let paths = document["paths"].as_object().unwrap();
    let mut told: Vec<&str> = paths.keys().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, ["/", "/health", "/metrics", "/openapi.json", "/orders", "/orders/{id}", "/ready"]);
    for (path, item) in paths {
        let asked = path.replace("{id}", "ORD-1");
        for method in ["get", "post", "put", "delete", "patch"] {
            let answer = client.ask(&method.to_uppercase(), &asked, &[], "").await;
            assert_eq!(answer.status == 405, item.get(method).is_none(), "{method} {path}: {answer:?}");
        }
    }
}

/// Every reference leads somewhere, and every status that the tests of the door and the trigger see is told.
#[tokio::test]
async fn every_reference_leads_somewhere_and_operations_have_names_of_their_own() {
    let document = Client::new(true).ask("GET", PATH, &[], "").await.json();
    let (mut references, mut names) = (Vec::new(), Vec::new());
    let mut rest = vec![&document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("$ref", Value::String(to)) => references.push(to.clone()),
                        ("operationId", Value::String(id)) if value.is_string() => names.push(id.clone()),
                        _ => {}
                    }
                    rest.push(value);
                }
            }
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for status in ["202", "400", "409", "413", "415", "422", "429", "500", "503", "504"] {
        assert!(document["paths"]["/orders"]["post"]["responses"].get(status).is_some(), "{status}");
    }
    names.sort();
    let all = names.len();
    names.dedup();
    // The link from the answer to the view names the view's operation once more.
    assert_eq!((names.len(), all), (7, 8), "{names:?}");
}
