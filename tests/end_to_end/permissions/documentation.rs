//! The tables in docs/permissions.md are what the code derives.

use std::path::Path;

use jetlag::Description;
use jetlag::permissions::{OPERATIONS, Permissions};
use serde_json::json;

/// A function that has everything, with words in the place of names.
fn any_function() -> Description {
    let kind = |name: &str| json!([{"type": name, "aggregate": "x", "once_per_aggregate": false}]);
    let json = json!({
        "name": "<function>", "version": "1", "summary": "", "reads": "events",
        "listens_to": kind("<heard>"), "emits": kind("<emitted>"), "admits": kind("<admitted>"), "keeps": ["x"],
        "retry": {"first_delay_ms": 1, "max_delay_ms": 1, "max_attempts": 1},
        "time_limit_ms": 1, "concurrency": 1, "batch": 1,
    });
    serde_json::from_value(json).unwrap()
}

fn table(users: &[Permissions], with_names: bool) -> String {
    let (head, rule) = if with_names { ("| User ", "|---") } else { ("", "") };
    let mut text = format!("{head}| May | Subject | To |\n{rule}|---|---|---|\n");
    for user in users {
        for (what, grants) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
            for grant in grants {
                let name = if with_names { format!("| `{}` ", user.user) } else { String::new() };
                text.push_str(&format!("{name}| {what} | `{}` | {} |\n", grant.subject, grant.why));
            }
        }
    }
    text
}

#[test]
fn the_documentation_has_every_line() {
    let function = [any_function()];
    let operations: Vec<_> =
        OPERATIONS.iter().map(|name| Permissions::of_operation(name, &function).unwrap()).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/permissions.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut wanted = text.clone();
    for (name, table) in [
        ("function", table(&[Permissions::of(&function[0])], false)),
        ("operations", table(&operations, true)),
    ] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = wanted.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        wanted = format!("{before}{begin}{table}{end}{after}");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(text == wanted, "docs/permissions.md is not what the code derives: BLESS=1 writes it");
}
