//! `jetlag lint`, as its user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::{built, script};

/// What a function of another team says of itself.
const TILL: &str = r#"{"name":"till","version":"1.0.0","summary":"Takes money.","reads":"events",
    "listens_to":[{"type":"orders.placed","aggregate":"order","once_per_aggregate":true}],"emits":[],"admits":[],"keeps":[],
    "retry":{"first_delay_ms":1000,"max_delay_ms":60000,"max_attempts":8},"time_limit_ms":30000,"concurrency":64,"batch":1,
    "scaling":{"min":0,"max":10,"cooldown_ms":60000,"polling_ms":5000}}"#;

/// As its team has written it.
const SCALED: &str = include_str!("../../../keda/src/lint/tests/till.yaml");

/// A directory outside of any application, with the program of the function and files.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        Self::of(TILL, files)
    }

    fn of(function: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let program = directory.path().join("till");
        script(&program, &format!("cat <<'END'\n{function}\nEND"));
        Self(directory)
    }

    fn lint(&self, arguments: &[&str]) -> (Option<i32>, Value, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_jetlag"))
            .arg("lint")
            .args(arguments)
            .args(["-o", "json"])
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
    }
}

fn rules(linted: &Value) -> Vec<&str> {
    linted["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap()).collect()
}

#[test]
fn a_function_of_any_team_and_its_manifest_need_no_application() {
    let place = Place::with(&[("till.yaml", SCALED)]);
    let (code, linted, said) = place.lint(&["--function", "./till", "till.yaml"]);
    assert_eq!((code, linted["objects"].as_u64()), (Some(0), Some(1)), "{said}");
    assert_eq!(linted["functions"], serde_json::json!(["till"]));
    assert!(rules(&linted).is_empty(), "{linted}");
}

#[test]
fn errors_fail_and_warnings_do_not() {
    let warned = SCALED.replace("cooldownPeriod: 60", "cooldownPeriod: 20");
    let wrong = SCALED.replace(
        "consumer: till, lagThreshold: \"128\"}}\n  - ",
        "consumer: till, lagThreshold: \"8\"}}\n  - ",
    );
    let place = Place::with(&[("warned.yaml", &warned), ("wrong.yaml", &wrong)]);
    let (code, linted, _) = place.lint(&["--function", "./till", "warned.yaml"]);
    assert_eq!((code, rules(&linted)), (Some(0), vec!["cooldown-below-backoff"]));
    let (code, linted, said) = place.lint(&["--function", "./till", "wrong.yaml"]);
    assert_eq!((code, rules(&linted)), (Some(1), vec!["threshold-below-held"]), "{said}");
    assert!(said.contains("what to write instead"), "{said}");
}

#[test]
fn manifests_alone_are_looked_at_as_far_as_they_tell() {
    let other = SCALED.replace("lagThreshold: \"128\"", "lagThreshold: 128");
    let place = Place::with(&[("a.yaml", SCALED), ("b.yml", &other), ("notes.txt", "no: : yaml")]);
    let (code, linted, said) = place.lint(&["."]);
    assert_eq!((code, rules(&linted)), (Some(1), vec!["trigger-not-text"; 2]), "{said}");
    assert!(said.contains("what only contracts tell is not looked at"), "{said}");
}

#[test]
fn what_cannot_be_looked_at_is_another_exit() {
    let place = Place::with(&[("chart.yaml", "a: {{ .Values.b }}\n: :\n")]);
    let (code, _, said) = place.lint(&["chart.yaml"]);
    assert!(code == Some(2) && said.contains("helm template"), "{code:?}: {said}");
    let (code, _, said) = place.lint(&["nowhere.yaml"]);
    assert!(code == Some(2) && said.contains("nowhere.yaml"), "{code:?}: {said}");
    let (code, _, said) = place.lint(&[]);
    assert!(code == Some(2) && said.contains("jetlag.yaml"), "{code:?}: {said}");
}

#[test]
fn who_writes_manifests_is_told_too() {
    let place = Place::of(&TILL.replace("\"min\":0", "\"min\":0,\"lag\":8"), &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_jetlag"))
        .args(["manifests", "--function", "./till", "--output", "out"])
        .current_dir(place.0.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("threshold-below-held: till: contract"), "{said}");
    assert!(place.0.path().join("out/base/till.yaml").is_file(), "{said}");
}

/// The contracts of the repository, and the manifests that are made of them.
#[test]
fn nothing_is_wrong_with_the_application_of_this_repository() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let functions = ["order", "inventory", "payment", "notification", "audit"];
    built();
    let beside = Path::new(env!("CARGO_BIN_EXE_jetlag")).parent().unwrap();
    let programs = functions.map(|name| beside.join(name).display().to_string());
    let mut arguments = vec!["lint", "keda/base", "knative/serving"];
    arguments.extend(programs.iter().flat_map(|program| ["--function", program]));
    let output =
        Command::new(env!("CARGO_BIN_EXE_jetlag")).args(&arguments).current_dir(&root).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{told}");
    assert!(said.ends_with("nothing is wrong\n"), "{said}{told}");
    // Five functions, each with a Deployment and a ScaledObject; order's second Deployment, and its Service of Knative; and
    // the Deployment of `jetlag metrics`.
    assert!(said.contains("5 functions, 13 objects"), "{said}{told}");
}
