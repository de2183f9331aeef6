//! Every input of the fuzzer's corpus again, on every run of the tests: what a target found once, it never finds again.

mod entries;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

type Entry = fn(&[u8]);

const TARGETS: &[(&str, Entry)] = &[
    ("cloud_event", entries::cloud_event),
    ("dead_letter", entries::dead_letter),
    ("delivery", entries::delivery),
    ("event", entries::event),
    ("manifest", entries::manifest),
    ("payload", entries::payload),
    ("subject", entries::subject),
    ("traceparent", entries::traceparent),
];

#[test]
fn no_input_of_the_corpus_does_harm() {
    let mut harmful = Vec::new();
    for (target, entry) in TARGETS {
        let files = list(&format!("fuzz/corpus/{target}"));
        assert!(files.len() >= 5, "{target} has {} seeds", files.len());
        for name in files {
            let path = root().join("fuzz/corpus").join(target).join(&name);
            let bytes = fs::read(&path).unwrap();
            if catch_unwind(AssertUnwindSafe(|| entry(&bytes))).is_err() {
                harmful.push(path);
            }
        }
    }
    assert!(harmful.is_empty(), "{harmful:#?}");
}

#[test]
fn every_target_has_an_entry_and_a_corpus() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(list("fuzz/corpus"), names);
    let targets: Vec<String> = names.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(list("fuzz/fuzz_targets"), targets);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    assert!(names.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
}

fn list(place: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(place)).unwrap_or_else(|error| panic!("{place}: {error}"));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
