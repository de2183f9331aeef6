//! Programs that are not ours against the real function `order`: the SDKs of CloudEvents for Go and for Python, and
//! schemathesis, which looks for differences between what a function answers and what its document says it does.
//!
//! `.ci/run` installs them and runs this: `HTTP_TOOLS` is the directory of a Python environment with
//! tests/sdk/python/requirements.txt.

use std::path::{Path, PathBuf};

use reqwest::Client;
use serde_json::json;
use tests::{built, free_port, logged, until};
use tokio::process::{Child, Command};

use crate::field::Field;
use crate::process::client;

/// How many requests schemathesis makes up for each operation.
const EXAMPLES: &str = "150";
/// Where it begins. How many requests follow from one another depends on the answers, and differs from run to run.
const SEED: &str = "20261122";

/// The function, and its log.
struct Order {
    url: String,
    log: PathBuf,
    client: Client,
    _child: Child,
}

impl Order {
    async fn start(field: &Field, trigger: &str) -> Self {
        built();
        let test = std::env::current_exe().unwrap();
        // target/debug/deps/faults-… and target/debug/order.
        let program = test.parent().and_then(Path::parent).unwrap().join("order");
        let (port, log) = (free_port(), field.path().join(format!("order-{trigger}.log")));
        let mut command = Command::new(program);
        let env = [("NATS_URL", field.server.url()), ("PORT", port.to_string())];
        let child = logged(command.envs(env).env("JETLAG_TRIGGER", trigger), &log);
        let order = Self { url: format!("http://127.0.0.1:{port}"), log, client: client(), _child: child };
        until("ready order", async || {
            let ready = order.client.get(format!("{}/ready", order.url)).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        order
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs `program` in `directory` below tests/sdk, and gives what it says.
    async fn meets(&self, program: impl AsRef<Path>, directory: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program.as_ref());
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(directory);
        let command = command.args(arguments).current_dir(&directory).env("SCHEMATHESIS_HOOKS", "hooks");
        let output = command.env("PYTHONPATH", &directory).output().await.unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}\n{}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
        said
    }
}

fn tool(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("HTTP_TOOLS").expect("HTTP_TOOLS, see .ci/run")).join("bin").join(name)
}

#[tokio::test]
#[ignore = "needs the SDKs of CloudEvents: a step of .ci/run"]
async fn the_sdks_of_cloud_events_send_in_every_mode_and_read_the_replies() {
    let field = Field::new(json!({})).await;
    let order = Order::start(&field, "http").await;
    let url = format!("{}/", order.url);
    for (name, said) in [
        ("go", order.meets("go", "go", &["run", ".", &url]).await),
        ("python", order.meets(tool("python"), "python", &["send.py", &url]).await),
    ] {
        println!("{name}:\n{said}");
        assert_eq!(said.lines().filter(|line| line.ends_with("twice the same")).count(), 2, "{said}");
        assert!(said.contains("batch: an outcome for each"), "{said}");
    }
    // Two modes and two of a batch, each sent twice or more: one event each.
    let confirmed = field.operator().await.read("EVENTS", "orders.confirmed.*.*", 1).await.unwrap();
    assert_eq!(confirmed.len(), 2 * (2 + 2));
}

#[tokio::test]
#[ignore = "needs schemathesis: a step of .ci/run"]
async fn schemathesis_finds_nothing() {
    let field = Field::new(json!({})).await;
    let order = Order::start(&field, "both").await;
    let document = format!("{}/openapi.json", order.url);
    let common = ["--no-color", "--config-file", "schemathesis.toml", "run", &document];
    let thorough = ["-n", EXAMPLES, "--seed", SEED, "--continue-on-failure", "--exclude-path", "/metrics"];
    // What an event must hold is its type's business, and not in the document: so what the document allows may be refused.
    for rest in [&["--exclude-path", "/"][..], &["--exclude-checks", "positive_data_acceptance"]] {
        let arguments = [&common[..], &thorough, rest].concat();
        let said = order.meets(tool("schemathesis"), "python", &arguments).await;
        let summary = said.lines().filter(|line| line.contains("generated") || line.contains("Tested:"));
        println!("{}", summary.collect::<Vec<_>>().join("\n"));
        assert!(said.contains("Tested: "), "{said}");
    }
}
