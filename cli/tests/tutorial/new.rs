//! What `jetlag new` writes, and what it refuses.

use std::process::Output;

use crate::scratch::Scratch;

const KNOWN: &[&str] = &["--listens", "parcels.sent"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of code in a source.
fn lines(source: &str) -> usize {
    source.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count()
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let scratch = Scratch::of_names();
    scratch.write("functions/taken/notes.txt", "mine");
    // Not a package, and so none of Cargo's business.
    std::fs::rename(scratch.path("functions/taken"), scratch.path("taken")).unwrap();
    let before = scratch.listing();
    let long = "a".repeat(41);
    for (arguments, code, why) in [
        (&["Loyalty"][..], 64, "lower-case letters"),
        (&[long.as_str()], 64, "1 to 40"),
        (&["2fast"], 64, "begin with a letter"),
        (&["match"], 64, "is taken"),
        (&["rescue"], 64, "user of operations"),
        (&["loyalty", "--listens", "orders"], 64, "two words joined by a dot"),
        (&["loyalty", "--listens", "state.changed"], 64, "Jetlag uses itself"),
        (&["loyalty", "--emits", "2d.printed"], 64, "no Rust type"),
        (&["loyalty", "--listens", "a.b", "--emits", "a.b"], 64, "no end to it"),
        (&["events"], 78, "has a package `events` already"),
        (&["taken", "--alone"], 78, "is there already"),
        (&["loyalty", "--alone", "--jetlag", "functions"], 66, "not that of the crate `jetlag`"),
    ] {
        let output = scratch.new_function(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{arguments:?}: {}", said(&output));
        assert_eq!(scratch.listing(), before, "{arguments:?}");
    }
    // Cargo does not see it: what was written is taken away again.
    let members = scratch.read("Cargo.toml").replace("\"functions/*\"", "\"functions/events\"");
    scratch.write("Cargo.toml", &members);
    let output = scratch.new_function(&["loyalty"]);
    assert_eq!((output.status.code(), scratch.listing()), (Some(78), before), "{}", said(&output));
}

#[test]
fn every_combination_is_laid_out_and_short() {
    let scratch = Scratch::of_names();
    let combinations: [&[&str]; 7] = [
        &[],
        &["--state"],
        &["--emits", "points.earned"],
        &["--emits", "points.earned", "--state"],
        &["--emits", "parcels.sent"],
        &["--emits", "parcels.sent", "--state", "--listens", "points.earned"],
        &["--emits", "gifts.earned", "--state", "--listens", "parcels.sent"],
    ];
    let mut files = Vec::new();
    for (number, options) in combinations.into_iter().enumerate() {
        let name = format!("made-{number}");
        let output = scratch.new_function(&[&[name.as_str()], options].concat());
        assert!(output.status.success(), "{options:?}: {}", said(&output));
        let directory = format!("functions/{name}");
        files.push(scratch.path(&format!("{directory}/src/lib.rs")));
        files.push(scratch.path(&format!("{directory}/src/main.rs")));
        files.push(scratch.path(&format!("{directory}/tests/made_{number}.rs")));
    }
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../rustfmt.toml");
    let mut rustfmt = scratch.command("rustfmt");
    rustfmt.args(["--check", "--edition", "2024", "--config-path", config]).args(files);
    let output = rustfmt.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let last = scratch.read("functions/made-6/src/lib.rs");
    assert!(last.contains("use events::Sent;") && last.contains("pub struct GiftsEarned"), "{last}");
    assert!(lines(&last) <= 40, "{} lines\n{last}", lines(&last));
    let manifest = scratch.read("functions/made-6/Cargo.toml");
    assert!(
        manifest.contains("jetlag.workspace = true") && manifest.contains("function = true"),
        "{manifest}"
    );
}

#[test]
fn alone_it_is_a_crate_of_its_own() {
    let scratch = Scratch::of_names();
    let output =
        scratch.new_function(&[&["greeter", "--alone", "--emits", "people.greeted"], KNOWN].concat());
    assert!(output.status.success(), "{}", said(&output));
    let manifest = scratch.read("greeter/Cargo.toml");
    let runtime = scratch.path("runtime").canonicalize().unwrap();
    assert!(
        manifest.contains(&format!("jetlag = {{ path = {:?} }}", runtime.display().to_string())),
        "{manifest}"
    );
    assert!(manifest.contains("[workspace]") && scratch.path("greeter/jetlag.yaml").is_file());
    let git = "https://git.example.org/jetlag";
    let output = scratch.new_function(&["guest", "--alone", "--jetlag", git]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(scratch.read("guest/Cargo.toml").contains(&format!("jetlag = {{ git = \"{git}\" }}")));
}
