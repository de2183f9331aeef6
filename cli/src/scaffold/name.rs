//! The name of a new function, and what it is in Rust.

use crate::problem::{Exit, Problem};

/// Words that Cargo or Rust do not take for a crate.
const TAKEN: [&str; 58] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "use",
    "virtual",
    "where",
    "while",
];

/// A name that can be.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// The same as an identifier.
    pub(super) krate: String,
}

impl Name {
    /// # Errors
    /// It cannot be the name of a function, of a crate or of an object in Kubernetes (64).
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let mut faults = jetlag::faults_of_name(text);
        if faults.is_empty() && !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            faults
                .push(format!("the name {text:?} must begin with a letter: it is also that of a Rust crate"));
        }
        if text.ends_with('-') || text.contains("--") {
            faults.push(format!("the name {text:?} must not end with - or have two of them together"));
        }
        if TAKEN.contains(&text) || text == "jetlag" || text == "func" {
            faults
                .push(format!("the name {text:?} is taken: it is a word of Rust, Cargo, Jetlag or Knative"));
        }
        if faults.is_empty() {
            return Ok(Self { text: text.to_owned(), krate: text.replace('-', "_") });
        }
        Err(Problem::new(Exit::Usage, format!("{text:?} cannot be the name of a function"))
            .details(faults)
            .remedy("choose another, such as `loyalty` or `stock-alarm`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_crate_and_an_object_is_a_name() {
        assert_eq!(Name::read("stock-alarm2").unwrap().krate, "stock_alarm2");
        let long = "a".repeat(41);
        for wrong in [
            "", "Loyalty", "2fast", "-x", "x-", "a--b", "ä", "a.b", "a_b", "fn", "test", "jetlag", "rescue",
            &long,
        ] {
            let problem = Name::read(wrong).unwrap_err();
            assert_eq!(problem.exit(), Exit::Usage, "{wrong}");
        }
        assert!(TAKEN.is_sorted());
    }
}
