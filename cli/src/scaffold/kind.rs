//! The type of an event that a new function listens to or emits: one that is known in the workspace, or a new one.

use std::path::Path;

use super::place::Place;
use crate::problem::{Exit, Problem};

/// How deep sources lie at most.
const DEPTH_MAX: usize = 8;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// As it is on the wire.
    pub(super) wire: String,
    /// The Rust type.
    pub(super) ident: String,
    /// The package that has it; none if it is new.
    pub(super) package: Option<String>,
}

impl Kind {
    /// # Errors
    /// It cannot be a type (64).
    pub(super) fn find(wire: &str, place: &Place) -> Result<Self, Problem> {
        let mut faults = jetlag::faults_of_type(wire);
        let ident = ident(wire);
        if faults.is_empty() && !ident.starts_with(|first: char| first.is_ascii_uppercase()) {
            faults.push(format!("the type {wire:?} must begin with a letter: {ident:?} is no Rust type"));
        }
        if !faults.is_empty() {
            return Err(
                Problem::new(Exit::Usage, format!("{wire:?} cannot be the type of an event")).details(faults)
            );
        }
        for (package, sources) in &place.libraries {
            let root = std::fs::read_to_string(sources.join("lib.rs")).unwrap_or_default();
            if let Some(ident) = declared(sources, wire, DEPTH_MAX).filter(|ident| has_word(&root, ident)) {
                return Ok(Self { wire: wire.to_owned(), ident, package: Some(package.clone()) });
            }
        }
        Ok(Self { wire: wire.to_owned(), ident, package: None })
    }

    pub(super) const fn is_new(&self) -> bool {
        self.package.is_none()
    }
}

/// # Errors
/// One and the same would be heard and told (64).
pub(super) fn check(listens: &Kind, emits: Option<&Kind>) -> Result<(), Problem> {
    let Some(emits) = emits.filter(|emits| emits.wire == listens.wire || emits.ident == listens.ident) else {
        return Ok(());
    };
    let what = if emits.wire == listens.wire {
        format!("it would listen to `{}`, which it emits itself: there would be no end to it", emits.wire)
    } else {
        format!("`{}` and `{}` would both be the Rust type `{}`", listens.wire, emits.wire, emits.ident)
    };
    Err(Problem::new(Exit::Usage, what).remedy("name another type with --listens or --emits"))
}

/// `points.earned` as `PointsEarned`.
fn ident(wire: &str) -> String {
    let mut ident = String::new();
    for word in wire.split(['.', '-', '_']) {
        let mut letters = word.chars();
        ident.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        ident.extend(letters);
    }
    ident
}

/// The Rust type that says in the sources under `directory` that it is `wire`.
fn declared(directory: &Path, wire: &str, depth: usize) -> Option<String> {
    let mut entries: Vec<_> =
        std::fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        if path.is_dir() {
            return (depth > 0).then(|| declared(&path, wire, depth - 1))?;
        }
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        declared_in(&std::fs::read_to_string(path).ok().filter(|_| is_source)?, wire)
    })
}

fn declared_in(source: &str, wire: &str) -> Option<String> {
    let constant = format!("const TYPE: &'static str = \"{wire}\";");
    let (before, _) = source.split_once(&constant)?;
    let (_, after) = before.rsplit_once("Payload for ")?;
    Some(after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_owned())
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_on_the_wire_is_a_type_in_rust() {
        assert_eq!(ident("points.earned"), "PointsEarned");
        assert_eq!(ident("gift-card.sent_out"), "GiftCardSentOut");
        let source = "impl Payload for Sent {\n const TYPE: &'static str = \"parcels.sent\";\n}\n\
            impl jetlag::Payload for Lost {\n    const TYPE: &'static str = \"parcels.lost\";\n}";
        assert_eq!(declared_in(source, "parcels.lost").as_deref(), Some("Lost"));
        assert_eq!(declared_in(source, "parcels.sent").as_deref(), Some("Sent"));
        assert_eq!(declared_in(source, "parcels.found"), None);
    }
}
