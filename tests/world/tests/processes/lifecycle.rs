//! Start and end: exit codes, and the one line that explains them.

use std::process::{Command, Output};

use serde_json::json;

use crate::running::{GATEWAY, RECEIVER, Running, client};

fn refused(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(program).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn a_signal_ends_the_process_in_order() {
    assert_eq!(Running::gateway(&[]).end("TERM").code(), Some(0));
    assert_eq!(Running::gateway(&[]).end("INT").code(), Some(0));
    assert_eq!(Running::receiver(&[]).end("TERM").code(), Some(0));
}

#[tokio::test]
async fn a_signal_ends_a_gateway_that_holds_requests() {
    let gateway = Running::gateway(&["--hang"]);
    let held = tokio::spawn(client().get(format!("{}/v1/payment_intents/pi_1", gateway.url)).send());
    assert_eq!(gateway.get("/control").await["hang"], json!(true));
    assert_eq!(gateway.end("TERM").code(), Some(0));
    assert!(held.await.unwrap().is_err());
}

#[test]
fn a_port_in_use_is_one_clear_line_and_69() {
    let gateway = Running::gateway(&[]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    for (program, arguments) in
        [(GATEWAY, ["--listen", address]), (RECEIVER, ["--listen", address]), (RECEIVER, ["--smtp", address])]
    {
        let (code, stderr) = refused(program, &arguments);
        assert_eq!(code, Some(69));
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");
    }
}

#[test]
fn a_data_file_that_is_in_use_or_damaged_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let gateway = Running::gateway_on(&path);
    let (code, stderr) = refused(GATEWAY, &["--data", path.to_str().unwrap()]);
    assert_eq!((code, stderr.contains("in use by another process")), (Some(69), true), "{stderr}");
    gateway.kill();

    std::fs::write(&path, "{\"not\": \"ours\"}\n").unwrap();
    let (code, stderr) = refused(GATEWAY, &["--data", path.to_str().unwrap()]);
    assert_eq!((code, stderr.contains("line 1")), (Some(65), true), "{stderr}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"not\": \"ours\"}\n");
}
