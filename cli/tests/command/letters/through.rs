//! `jetlag invoke --broker`: one event through the real broker to the function that runs.

use std::io::Write;
use std::process::Stdio;

use jetlag::topology::RETRY;
use serde_json::Value;

use super::{Shop, Told};

impl Shop {
    /// `jetlag invoke FUNCTION --broker` with this on standard input.
    fn invoke(&self, arguments: &[&str], stdin: &str) -> Told {
        let mut command = self.command_at_broker();
        command.arg("invoke").args(arguments).args(["--broker", "--no-build", "-o", "json"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Told::of(&child.wait_with_output().unwrap())
    }

    /// How often the gateway has charged for `order`.
    fn charges(&self, order: &str) -> usize {
        let ledger = std::fs::read_to_string(self.data.path().join("gateway.jsonl")).unwrap();
        ledger.lines().filter(|line| line.contains(&format!("\"{order}\""))).count()
    }
}

/// What each delivery came to: an event's type, or `already`.
fn ends(report: &Value) -> Vec<&str> {
    let deliveries = report["deliveries"].as_array().unwrap().iter();
    let end = |delivered: &'_ Value| delivered["disposition"]["already"] == true;
    deliveries
        .map(|one| if end(one) { "already" } else { one["events"][0]["kind"].as_str().unwrap_or("nothing") })
        .collect()
}

pub(crate) async fn one_event_is_sent_to_one_function(shop: &Shop) {
    let letters = shop.letters().await;
    let once = async |order: &str, kind: &str| {
        assert_eq!(shop.count(&format!("{kind}.{order}.*")).await, 1, "{kind} of {order}");
    };
    // Of parts, twice.
    let parts = ["payment", "--aggregate-id", "I-1", "--field", "order_id=I-1", "--duplicate"];
    let twice = shop.invoke(&parts, "").is(0).json();
    assert_eq!(ends(&twice), ["payments.processed", "already"], "{twice}");
    once("I-1", "payments.processed").await;
    assert_eq!(shop.charges("I-1"), 1);
    // What was sent, whole, from standard input and from a file: it is known.
    let event = twice["event"].as_str().unwrap();
    assert_eq!(ends(&shop.invoke(&["payment"], event).is(0).json()), ["already"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), event).unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(ends(&shop.invoke(&["payment", "--file", path], "").is(0).json()), ["already"]);
    assert_eq!(shop.charges("I-1"), 1);
    // A CloudEvent in either mode is the same event.
    let data = r#"{"order_id":"I-2","customer_id":"C-1","amount":2000,"currency":"USD"}"#;
    let binary = format!(
        "ce-specversion: 1.0\nce-id: i-2\nce-source: /shop\nce-type: inventory.reserved\nce-subject: I-2\n\
         Content-Type: application/json\n\n{data}"
    );
    let structured = format!(
        r#"{{"specversion":"1.0","id":"i-2","source":"/shop","type":"inventory.reserved","subject":"I-2","data":{data}}}"#
    );
    assert_eq!(ends(&shop.invoke(&["payment"], &binary).is(0).json()), ["payments.declined"]);
    assert_eq!(ends(&shop.invoke(&["payment"], &structured).is(0).json()), ["already"]);
    once("I-2", "payments.declined").await;
    // The example, to a function that keeps state; the order that it is of was never placed here.
    let example = shop.invoke(&["inventory", "--example", "--duplicate"], "").is(0).json();
    assert_eq!(ends(&example)[1], "already", "{example}");

    let dead = shop.invoke(&["payment", "--aggregate-id", "I-3", "--field", "amount=-1"], "").is(2);
    assert_eq!(dead.json()["deliveries"][0]["disposition"]["reason"], "invalid_data", "{dead:?}");
    shop.jetlag(&["dlq", "purge", "--function", "payment", "--order", "I-3", "--yes"]).is(0);
    for (arguments, stdin, code, words) in [
        (&["audit"][..], event, 66, "no function `audit` takes single events"),
        (&["nobody"], event, 66, "no function `nobody` takes single events"),
        (&["nobody", "--example"], "", 66, "there is no function `nobody`"),
        (&["payment"], "{}", 65, "no event"),
        (&["payment", "--crash", "after-commit"], event, 64, "--crash"),
    ] {
        let told = shop.invoke(arguments, stdin).is(code);
        assert!(told.err.contains(words), "{arguments:?}: {told:?}");
    }
    let waiting = shop.operator.stream_state(RETRY).await.unwrap().messages;
    assert_eq!((waiting, shop.letters().await), (0, letters), "nothing is left behind");
}
