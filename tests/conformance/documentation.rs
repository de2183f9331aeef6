//! What docs/conformance.md says is so: the list of properties is that of the battery, and every trap has an answer.

use std::fs;
use std::path::{Path, PathBuf};

use jetlag::testing::conformance::properties;

const BEGIN: &str = "<!-- properties -->\n";
const END: &str = "<!-- /properties -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_documentation_lists_every_property() {
    let path = root().join("docs/conformance.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = String::from("| Property | What it says |\n|---|---|\n");
    for property in properties() {
        let real =
            property.real_only.map_or_else(String::new, |why| format!(" Only of the real one: {why}."));
        table.push_str(&format!("| `{}` | {}{real} |\n", property.name, property.says));
    }
    let wanted = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(
        text == wanted,
        "docs/conformance.md does not list the properties as they are: BLESS=1 writes them"
    );
}

#[test]
fn every_trap_is_impossible_or_has_a_test() {
    let text = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let (_, traps) = text.split_once("\n## Traps\n").unwrap();
    let rows: Vec<(&str, &str)> = traps
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Trap"))
        .map(|line| line.trim_matches(['|', ' ']).split_once(" | ").unwrap())
        .collect();
    assert!(rows.len() > 40, "{} traps", rows.len());
    let tests = functions(&root());
    let mut open = Vec::new();
    for (trap, answer) in rows {
        // Names of tests are sentences; other names in code have fewer words.
        let named: Vec<&str> =
            answer.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3).collect();
        for name in &named {
            if !tests.iter().any(|test| test == name) {
                open.push(format!("there is no test {name}: {trap}"));
            }
        }
        let is_answered = answer.starts_with("impossible")
            || answer.starts_with("not impossible, and said plainly")
            || answer.contains("tests/faults")
            || !named.is_empty();
        if !is_answered {
            open.push(format!("no answer: {trap}"));
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
}

/// The names of all functions in Rust below `place`.
fn functions(place: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with(".git") {
                names.extend(functions(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            names.extend(text.split("fn ").skip(1).map(|rest| {
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
            }));
        }
    }
    names
}
