//! The files of a function, made of those in cli/templates/function: `{{word}}` is filled in, and what stands between
//! `#if word,!other` and `#end` is there only if that is so.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::kind::Kind;
use super::manifest;
use super::name::Name;
use super::place::Place;
use crate::problem::{Exit, Problem};

const LIB: &str = include_str!("../../templates/function/lib.rs");
const MAIN: &str = include_str!("../../templates/function/main.rs");
const PAYLOAD: &str = include_str!("../../templates/function/payload.rs");
const TEST: &str = include_str!("../../templates/function/test.rs");
const MANIFEST: &str = include_str!("../../templates/function/jetlag.yaml");

/// What a template is filled with.
struct Filling<'f> {
    words: Vec<(&'f str, String)>,
    is: Vec<(&'f str, bool)>,
}

/// The files, with their paths in the function's directory.
///
/// # Errors
/// A template is wrong (70).
pub(super) fn files(
    name: &Name,
    place: &Place,
    listens: &Kind,
    emits: Option<&Kind>,
    state: bool,
) -> Result<Vec<(PathBuf, String)>, Problem> {
    let out = emits.map_or("Nothing", |kind| kind.ident.as_str());
    let made = match emits {
        Some(kind) if kind.is_new() => {
            format!("{} {{ id{} }}", kind.ident, if state { ": id.clone()" } else { "" })
        }
        Some(kind) => format!("{}::example()", kind.ident),
        None => String::new(),
    };
    let kinds: Vec<&Kind> = std::iter::once(listens).chain(emits).collect();
    let is = vec![("state", state), ("emits", emits.is_some())];
    let fill = |template: &str, more: Vec<(&str, String)>| {
        let words = [
            ("name", name.text.clone()),
            ("crate", name.krate.clone()),
            ("In", listens.ident.clone()),
            ("Out", out.to_owned()),
            ("out", made.clone()),
        ];
        Filling { words: words.into_iter().chain(more).collect(), is: is.clone() }.fill(template)
    };
    let mut payloads = String::new();
    for kind in kinds.iter().filter(|kind| kind.is_new()) {
        let aggregate = kind.wire.split('.').next().unwrap_or_default().to_owned();
        let words = vec![("type", kind.wire.clone()), ("Type", kind.ident.clone()), ("aggregate", aggregate)];
        payloads.push_str(&fill(PAYLOAD, words)?);
    }
    let packages: BTreeSet<String> = kinds.iter().filter_map(|kind| kind.package.clone()).collect();
    let words =
        vec![("uses", uses_of_lib(&kinds, emits, state)), ("payloads", payloads.trim_end().to_owned())];
    let lib = fill(LIB, words)?.replace("\n\n\n", "\n\n");
    let test = fill(TEST, vec![("uses", uses_of_test(name, &kinds, emits.is_some(), state))])?;
    let mut files = vec![
        (PathBuf::from("Cargo.toml"), manifest::text(name, place, &packages)),
        (PathBuf::from("src/lib.rs"), lib),
        (PathBuf::from("src/main.rs"), fill(MAIN, vec![])?),
        (PathBuf::from(format!("tests/{}.rs", name.krate)), test),
    ];
    if place.root.is_none() {
        files.push((PathBuf::from("jetlag.yaml"), fill(MANIFEST, vec![])?));
    }
    Ok(files)
}

fn uses_of_lib(kinds: &[&Kind], emits: Option<&Kind>, state: bool) -> String {
    let is_some_new = kinds.iter().any(|kind| kind.is_new());
    let needs_payload = is_some_new || emits.is_some_and(|kind| !kind.is_new());
    let mut uses = uses_of_packages(kinds);
    let items = [
        ("Contract", true),
        ("Effects", state),
        ("Event", true),
        ("Failure", true),
        ("Nothing", emits.is_none()),
        ("Payload", needs_payload),
        ("State", state),
        ("Stored", state),
        ("kind_of", state),
    ];
    uses.push(format!("use jetlag::{};", braced(&items)));
    if is_some_new || state {
        uses.push("use serde::{Deserialize, Serialize};".to_owned());
    }
    uses.sort();
    uses.join("\n")
}

fn uses_of_test(name: &Name, kinds: &[&Kind], emits: bool, state: bool) -> String {
    let mut uses = uses_of_packages(kinds);
    // What the test does not name is not imported.
    let named = |kind: &&&Kind| kind.is_new() && (emits || kinds.first() == Some(*kind));
    let own: BTreeSet<&str> = kinds.iter().filter(named).map(|kind| kind.ident.as_str()).collect();
    let mut items = vec![("CONTRACT", true)];
    items.extend(own.into_iter().map(|ident| (ident, true)));
    items.extend([("Tally", state && !emits), ("handle", true)]);
    items.sort();
    uses.push(format!("use {}::{};", name.krate, braced(&items)));
    uses.push("use jetlag::Payload;".to_owned());
    uses.push("use jetlag::testing::{Fault, System};".to_owned());
    uses.sort();
    uses.join("\n")
}

/// One line for each package of the workspace whose types are used.
fn uses_of_packages(kinds: &[&Kind]) -> Vec<String> {
    let packages: BTreeSet<&str> = kinds.iter().filter_map(|kind| kind.package.as_deref()).collect();
    let line = |package: &str| {
        let of = kinds.iter().filter(|kind| kind.package.as_deref() == Some(package));
        let idents: BTreeSet<&str> = of.map(|kind| kind.ident.as_str()).collect();
        let items: Vec<(&str, bool)> = idents.into_iter().map(|ident| (ident, true)).collect();
        format!("use {}::{};", package.replace('-', "_"), braced(&items))
    };
    packages.into_iter().map(line).collect()
}

fn braced(items: &[(&str, bool)]) -> String {
    let items: Vec<&str> = items.iter().filter(|(_, is)| *is).map(|(item, _)| *item).collect();
    match items[..] {
        [only] => only.to_owned(),
        _ => format!("{{{}}}", items.join(", ")),
    }
}

impl Filling<'_> {
    fn fill(&self, template: &str) -> Result<String, Problem> {
        let mut text = String::new();
        let mut conditions = Vec::new();
        for line in template.lines() {
            match (line.strip_prefix("#if "), line) {
                (Some(condition), _) => conditions.push(condition.split(',').all(|word| self.is(word))),
                (None, "#end") => drop(conditions.pop()),
                _ if conditions.iter().all(|holds| *holds) => {
                    text.push_str(line);
                    text.push('\n');
                }
                _ => {}
            }
        }
        for (word, value) in &self.words {
            text = text.replace(&format!("{{{{{word}}}}}"), value);
        }
        match text.contains("{{") {
            true => Err(Problem::new(Exit::Internal, format!("a template is not filled: {text}"))),
            false => Ok(text),
        }
    }

    fn is(&self, word: &str) -> bool {
        let (word, wanted) = word.strip_prefix('!').map_or((word, true), |word| (word, false));
        self.is.iter().any(|(known, is)| *known == word && *is == wanted)
    }
}
