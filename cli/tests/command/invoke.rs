//! `jetlag invoke`, as its user runs it: the command, each function's own program, and the companions that it needs.

use std::process::{Command, Output, Stdio};

use jetlag::invoke::{Disposition, Report};
use tests::built;

/// The root of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Runs `jetlag invoke` with these arguments and nothing on standard input.
fn invoke(arguments: &[&str]) -> (Output, Option<Report>) {
    built();
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
fn each_fault_leaves_the_effects_of_each_function_there_once() {
    let declined = report(&["payment", "--field", "amount=2000"]);
    assert_eq!(emitted(&declined), ["payments.declined"]);
    let faults = [
        &["--duplicate"][..],
        &["--crash", "before-commit"],
        &["--crash", "after-commit"],
        &["--crash", "before-ack"],
        &["--fail-first", "2"],
        &["--attempt", "3"],
        &["--timeout", "30000"],
    ];
    for (function, event) in [
        ("order", "orders.confirmed"),
        ("inventory", "inventory.rejected"),
        ("payment", "payments.processed"),
        ("notification", "notifications.sent"),
        ("audit", "audit.sealed"),
    ] {
        for fault in faults {
            let (output, report) = invoke(&[&[function], fault].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let report = report.unwrap_or_else(|| panic!("{function} {fault:?}: {said}"));
            let last = &report.deliveries.last().unwrap().disposition;
            if function == "audit" && matches!(fault[0], "--fail-first" | "--attempt") {
                // Its trail has no attempts: a batch that fails is given back whole.
                assert!(!matches!(last, Disposition::DeadLetter { .. }), "{fault:?}: {last:?}");
                continue;
            }
            assert_eq!(emitted(&report), [event], "{function} {fault:?}");
            assert!(matches!(last, Disposition::Ack { .. }), "{function} {fault:?}: {last:?}");
            assert_eq!(output.status.code(), Some(0), "{function} {fault:?}: {said}");
        }
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
    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(broken.path(), "{\n  1}").unwrap();
    let broken = broken.path().to_str().unwrap();
    for (arguments, code, told) in [
        (&["payment", "--file", file][..], 2, "not_an_event"),
        (&["payment", "--type", "x.y"], 64, "it takes inventory.reserved"),
        (&["payment", "--state", "stock/x=1"], 64, "no state of this function"),
        (&["payment", "--field", "amount"], 64, "NAME=VALUE"),
        (&["nobody"], 66, "the functions are: order"),
        (&["paymnet"], 66, "did you mean `payment`?"),
        (&["payment", "--data", "{\n  1}"], 64, "line 2 column 3"),
        (&["payment", "--file", broken], 2, "line 2 column 3"),
        (&["payment", "--state", "/no/such/state"], 66, "/no/such/state"),
        (&["inventory", "--state", broken], 64, "no JSON object of states"),
        (&["payment", "--fixture", "no-such"], 66, "fixtures/no-such.json"),
        (&["payment", "--save", "../x"], 64, "letters, digits"),
        (&["payment", "--file", "/no/such/file"], 66, "/no/such/file"),
        (&["payment", "--url", "http://127.0.0.1:1/", "--file", file], 69, "does not answer"),
    ] {
        let (output, _) = invoke(arguments);
        let said = [&output.stderr[..], &output.stdout].map(String::from_utf8_lossy).concat();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn state_comes_from_a_file_too_in_the_form_in_which_it_is_told() {
    let stock = r#"stock/85123A={"available":5,"reserved":0,"sold":0}"#;
    let first = report(&["inventory", "--state", stock]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&first.state).unwrap()).unwrap();
    // The order's goods are set aside already: nothing is done twice.
    let again = report(&["inventory", "--state", file.path().to_str().unwrap()]);
    assert_eq!(emitted(&again), Vec::<&str>::new());
}

#[test]
fn a_cloud_event_in_either_mode_is_an_event() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = r#"{"order_id":"ORD-7","customer_id":"C-1","amount":12.50,"currency":"USD"}"#;
    let binary = format!(
        "ce-specversion: 1.0\nce-id: e-7\nce-source: /shop\nce-type: inventory.reserved\nce-subject: ORD-7\n\
         Content-Type: application/json\n\n{data}"
    );
    let structured = format!(
        r#"{{"specversion":"1.0","id":"e-7","source":"/shop","type":"inventory.reserved","subject":"ORD-7","data":{data}}}"#
    );
    for text in [binary, structured] {
        std::fs::write(file.path(), &text).unwrap();
        let report = report(&["payment", "--file", file.path().to_str().unwrap()]);
        assert_eq!(emitted(&report), ["payments.processed"], "{text}");
        assert_eq!(report.deliveries[0].events[0].key, "ORD-7");
    }
}

#[test]
fn an_input_is_kept_and_run_again() {
    built();
    // An application of its own, whose functions are here.
    let directory = tempfile::tempdir().unwrap();
    let package = "[package]\nname = \"order\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[package.metadata.jetlag]\nfunction = true\n";
    std::fs::create_dir_all(directory.path().join("functions/order/src")).unwrap();
    for (name, text) in [
        ("Cargo.toml", "[workspace]\nmembers = [\"functions/*\"]\n"),
        ("jetlag.yaml", "# nothing beside it\n"),
        ("functions/order/Cargo.toml", package),
        ("functions/order/src/main.rs", "fn main() {}\n"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut jetlag = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        jetlag.arg("invoke").args(arguments).args(["--no-build", "-o", "json"]).current_dir(directory.path());
        jetlag.stdin(Stdio::null()).output().unwrap()
    };
    let first =
        run(&["order", "--type", "payments.declined", "--aggregate-id", "ORD-9", "--save", "declined"]);
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(first.status.success() && said.contains("is newer than"), "{said}");
    let path = directory.path().join("functions/order/fixtures/declined.json");
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"type\": \"payments.declined\""));
    let again: Report = serde_json::from_slice(&run(&["order", "--fixture", "declined"]).stdout).unwrap();
    assert_eq!(emitted(&again), ["orders.cancelled"]);
    let second = run(&["order", "--save", "declined"]);
    assert_eq!(second.status.code(), Some(73), "what is there is not written over");
    let unknown = run(&["order", "--fixture", "decline"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there are: declined"));
}
