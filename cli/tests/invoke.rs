//! `jetlag invoke`, as its user runs it: the command, each function's own program, and the companions that it needs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic: that is how they fail")]

use std::process::{Command, Output, Stdio};
use std::sync::Once;

use jetlag::invoke::{Disposition, Report};

/// The root of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Builds what is invoked, once.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let packages = ["order", "inventory", "payment", "notification", "audit", "world"];
        let packages = packages.iter().flat_map(|package| ["--package", package]);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--bins"]).args(packages).current_dir(ROOT);
        assert!(cargo.status().unwrap().success());
    });
}

/// Runs `jetlag invoke` with these arguments and nothing on standard input.
fn invoke(arguments: &[&str]) -> (Output, Option<Report>) {
    build();
    let output = Command::new(env!("CARGO_BIN_EXE_jetlag"))
        .arg("invoke")
        .args(arguments)
        .args(["--no-build", "-o", "json"])
        .current_dir(ROOT)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).ok();
    (output, report)
}

fn report(arguments: &[&str]) -> Report {
    let (output, report) = invoke(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    report.unwrap_or_else(|| panic!("{arguments:?}: no report: {said}"))
}

fn emitted(report: &Report) -> Vec<&str> {
    report.deliveries.iter().flat_map(|d| &d.events).map(|event| event.kind.as_str()).collect()
}

#[test]
fn every_function_handles_its_own_example() {
    for (function, event) in [
        ("order", "orders.confirmed"),
        ("inventory", "inventory.rejected"),
        ("payment", "payments.processed"),
        ("notification", "notifications.sent"),
        ("audit", "audit.sealed"),
    ] {
        assert_eq!(emitted(&report(&[function, "--example"])), [event]);
    }
    // With state, the example order finds what it asks for.
    let stock = r#"stock/85123A={"available":5,"reserved":0,"sold":0}"#;
    assert_eq!(emitted(&report(&["inventory", "--state", stock])), ["inventory.reserved"]);
}

#[test]
fn each_fault_leaves_the_effects_there_once() {
    let declined = report(&["payment", "--field", "amount=2000"]);
    assert_eq!(emitted(&declined), ["payments.declined"]);
    for fault in [
        &["--duplicate"][..],
        &["--crash", "before-commit"],
        &["--crash", "after-commit"],
        &["--crash", "before-ack"],
        &["--fail-first", "2"],
        &["--attempt", "3"],
    ] {
        let report = report(&[&["payment"], fault].concat());
        assert_eq!(emitted(&report), ["payments.processed"], "{fault:?}");
        let last = &report.deliveries.last().unwrap().disposition;
        assert!(matches!(last, Disposition::Ack { .. }), "{fault:?}: {last:?}");
    }
    // The gateway is real: it does not answer within a millisecond of a handler's time.
    let (output, timed_out) = invoke(&["payment", "--timeout", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let Disposition::Retry { error, .. } = &timed_out.unwrap().deliveries[0].disposition else { panic!() };
    assert!(error.contains("took longer"), "{error}");
}

#[test]
fn what_is_wrong_is_told_with_an_exit_code_of_its_own() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{\"id\": 1}").unwrap();
    let file = file.path().to_str().unwrap();
    for (arguments, code, told) in [
        (&["payment", "--file", file][..], 2, "not_an_event"),
        (&["payment", "--type", "x.y"], 64, "it takes inventory.reserved"),
        (&["payment", "--state", "stock/x=1"], 64, "no state of this function"),
        (&["payment", "--field", "amount"], 64, "NAME=VALUE"),
        (&["nobody"], 66, "the functions are: order"),
        (&["payment", "--file", "/no/such/file"], 66, "/no/such/file"),
        (&["payment", "--url", "http://127.0.0.1:1/", "--file", file], 69, "does not answer"),
    ] {
        let (output, _) = invoke(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}
