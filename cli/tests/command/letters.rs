//! Dead letters, trails and replays on the application as `jetlag up` runs it: one run for all of it.

mod through;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{DEAD_LETTERS, EVENTS, Sizing, Topology};
use jetlag_cli::app::{App, Build, Options, Running};
use jetlag_cli::console::Console;
use serde_json::{Value, json};
use tests::{Server, built, until};

/// The root of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// How many dead letters are sent again while that is killed.
const MANY: usize = 40;

/// The application, and a look into its broker.
struct Shop {
    running: Running,
    operator: Operator,
    data: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        built();
        let data = tempfile::tempdir().unwrap();
        let options = Options {
            build: Build::Beside,
            manifest: Some(Path::new(ROOT).join("jetlag.yaml")),
            port_base: 0,
            nats_port: Some(0),
            console: Console::silent(),
            ..Options::new(data.path())
        };
        let running = App::start(options).await.unwrap();
        let operator = Operator::connect(&Connection::to(running.broker_url().unwrap())).await.unwrap();
        Self { running, operator, data }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        command.args(arguments).arg("--data").arg(self.data.path()).current_dir(ROOT);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The command, told of the broker as a function is.
    fn command_at_broker(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        command.env("NATS_URL", self.running.broker_url().unwrap()).current_dir(ROOT);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn jetlag(&self, arguments: &[&str]) -> Told {
        Told::of(&self.command(arguments).output().unwrap())
    }

    /// `jetlag dlq edit`, the shell command `editor` being the editor.
    fn edit(&self, sequence: u64, editor: &str) -> Told {
        let sequence = sequence.to_string();
        let mut command = self.command(&["dlq", "edit", &sequence, "--no-build", "--by", "ann"]);
        Told::of(&command.env_remove("VISUAL").env("EDITOR", editor).output().unwrap())
    }

    async fn place(&self, order: &str) {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let url = format!("{}/orders", self.running.url("order").unwrap());
        let body = json!({
            "order_id": order, "customer_id": "C-1", "currency": "GBP", "amount": 12,
            "lines": [{"sku": "A-1", "quantity": 1}],
        });
        let request = client.post(url).header("content-type", "application/json").body(body.to_string());
        assert_eq!(request.send().await.unwrap().status(), 202);
    }

    /// An event from outside.
    async fn publish(&self, kind: &str, about: &str, data: Value) -> String {
        let (subject, event) = event(kind, about, &data);
        self.operator.publish(&subject, &subject, event.into()).await.unwrap();
        subject
    }

    /// The sequence of the dead letter of payment about `order`.
    async fn letter(&self, order: &str) -> u64 {
        let arguments = ["dlq", "list", "--function", "payment", "--order", order, "-o", "json"];
        until("dead letter", async || self.jetlag(&arguments).json()[0]["sequence"].as_u64()).await
    }

    async fn count(&self, filter: &str) -> usize {
        self.operator.read(EVENTS, filter, 1).await.unwrap().len()
    }

    async fn letters(&self) -> u64 {
        self.operator.stream_state(DEAD_LETTERS).await.unwrap().messages
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The subject and the bytes of an event.
fn event(kind: &str, about: &str, data: &Value) -> (String, String) {
    let id = format!("{about}-1");
    let event = json!({
        "id": id, "type": kind, "aggregate_id": about, "data": data, "timestamp": "2026-11-22T00:00:00Z", "trace_id": "",
    });
    (format!("{kind}.{about}.{id}"), event.to_string())
}

fn reserved(order: &str, amount: i64) -> Value {
    json!({"order_id": order, "customer_id": "C-1", "amount": amount, "currency": "GBP"})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_is_found_mended_sent_again_and_told() {
    let shop = Shop::open().await;
    shop.publish("stock.received", "A-1", json!({"sku": "A-1", "quantity": 100})).await;
    until("stock", async || (shop.count("state.inventory.*").await > 0).then_some(())).await;
    a_trail_is_followed_to_its_end_and_verified(&shop).await;
    a_dead_letter_is_edited(&shop).await;
    a_dead_letter_becomes_a_fixture(&shop).await;
    a_redrive_that_is_killed_can_be_run_again(&shop).await;
    through::one_event_is_sent_to_one_function(&shop).await;
    events_are_run_again_with_effects_off(&shop).await;
    a_forged_entry_is_found(&shop).await;
    shop.running.drain().await;
}

async fn a_trail_is_followed_to_its_end_and_verified(shop: &Shop) {
    shop.place("O-1").await;
    let followed = shop.jetlag(&["trail", "O-1", "--follow"]).is(0).out;
    for line in
        ["orders.placed  by order", "payments.processed  by payment", "notifications.sent  by notification"]
    {
        assert!(followed.contains(line), "{followed}");
    }
    assert!(followed.contains("at rest"), "{followed}");
    let tree = shop.jetlag(&["trail", "O-1"]).is(0).out;
    let shape: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.get(24..))
        .map(|line| line.split("  at ").next().unwrap())
        .collect();
    let at = |text: &str| {
        shape.iter().position(|line| *line == text).unwrap_or_else(|| panic!("no {text:?} in {tree}"))
    };
    assert!(at("└─ inventory.reserved  by inventory") < at("   └─ payments.processed  by payment"), "{tree}");
    // Who handles it first is not said: notification follows from what order made, inventory from the payment.
    assert!(tree.contains("─ orders.confirmed  by order") && tree.contains("─ inventory  done"), "{tree}");
    assert!(tree.contains("└─ notifications.sent  by notification"), "{tree}");
    let steps = shop.jetlag(&["trail", "O-1", "-o", "json"]).is(0).json()["steps"].as_array().unwrap().len();

    let sealed = until("seal", async || {
        let json = shop.jetlag(&["trail", "O-1", "--verify", "-o", "json"]).is(0).json();
        (json["audit"]["sealed"].as_array()?.len() == steps).then_some(json)
    });
    let sealed = sealed.await;
    assert!(sealed["audit"]["hash"].as_str().unwrap().len() == 64, "{sealed}");
    assert_eq!(sealed["audit"]["altered"], json!([]));
    assert!(shop.jetlag(&["trail", "O-1", "--verify"]).is(0).out.contains("byte for byte"));
}

async fn a_dead_letter_is_edited(shop: &Shop) {
    shop.publish("inventory.reserved", "B-1", reserved("B-1", -1)).await;
    let letter = shop.letter("B-1").await;
    let before = shop.letters().await;

    let unchanged = shop.edit(letter, "true").is(0);
    assert!(unchanged.err.contains("nothing was changed"), "{unchanged:?}");
    let no_json = shop.edit(letter, "sed -i 's/\"amount\": -1/\"amount\" -1/'").is(65);
    assert!(no_json.err.contains("column 14: expected `:`"), "{no_json:?}");
    let no_amount = shop.edit(letter, "sed -i 's/: -1,/: \"much\",/'").is(65);
    assert!(no_amount.err.contains("not an amount"), "{no_amount:?}");
    let not_valid = shop.edit(letter, "sed -i 's/: -1,/: -2,/'").is(65);
    assert!(not_valid.err.contains("it must be more than zero"), "{not_valid:?}");
    let another = shop.edit(letter, "sed -i 's/B-1-1/B-1-2/'").is(65);
    assert!(another.err.contains("id, type and aggregate_id must stay"), "{another:?}");
    for (refused, has_place) in [(no_json, true), (no_amount, true), (not_valid, false), (another, false)] {
        let kept = refused.err.split("your text is in ").nth(1).unwrap().trim();
        let text = std::fs::read_to_string(kept).unwrap();
        std::fs::remove_file(kept).unwrap();
        let place = refused.err.split_once("not sent: line ");
        assert_eq!(place.is_some(), has_place, "{refused:?}");
        // The line that is told is the one in the file that is kept.
        if let Some((_, line)) = place {
            let line: usize = line.split_once(',').unwrap().0.parse().unwrap();
            assert!(text.lines().nth(line - 1).unwrap().contains("\"amount\""), "{refused:?}: {text}");
        }
    }
    shop.edit(letter, "false").is(69);
    assert_eq!(
        (shop.letters().await, shop.count("done.payment.B-1.*").await),
        (before, 1),
        "nothing was sent"
    );

    // A dry run says what then happens.
    let sequence = letter.to_string();
    let with = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(with.path(), event("inventory.reserved", "B-1", &reserved("B-1", 12)).1).unwrap();
    let dry =
        ["dlq", "redrive", &sequence, "--with", with.path().to_str().unwrap(), "--dry-run", "-o", "json"];
    let intent = shop.jetlag(&dry).is(0).json();
    assert_eq!((&intent[0]["sends"], shop.letters().await), (&json!(true), before));
    // Opened again with what is wrong, it can be mended.
    let twice = "f() { grep -q WRONG \"$1\" && sed -i 's/: 0,/: 12.50,/' \"$1\" || sed -i 's/: -1,/: 0,/' \"$1\"; }; f";
    let sent = shop.edit(letter, twice).is(0);
    assert!(sent.err.contains("+    \"amount\": 12.50,"), "{sent:?}");
    until("payment", async || (shop.count("payments.processed.B-1.*").await == 1).then_some(())).await;
    assert_eq!(shop.count(intent[0]["note"].as_str().unwrap()).await, 1);
    assert_eq!(shop.letters().await, before - 1);
    let told = shop.jetlag(&["trail", "B-1"]).is(0).out;
    for line in
        ["payment  gave it up: invalid_data", &format!("payment  dead letter {letter} sent again by ann")]
    {
        assert!(told.contains(line), "{told}");
    }
    shop.edit(letter, "true").is(66);
}

async fn a_dead_letter_becomes_a_fixture(shop: &Shop) {
    shop.publish("inventory.reserved", "B-2", reserved("B-2", -1)).await;
    let letter = shop.letter("B-2").await.to_string();
    let file = shop.data.path().join("fixtures/no-amount.json");
    let file = file.to_str().unwrap();
    shop.jetlag(&["dlq", "show", &letter, "--save", file]).is(0);
    let again = shop.jetlag(&["dlq", "show", &letter, "--save", file]).is(73);
    assert!(again.err.contains("choose another name"), "{again:?}");
    let mut invoke = Command::new(env!("CARGO_BIN_EXE_jetlag"));
    let invoke = invoke.args(["invoke", "payment", "--no-build", "--file", file]).current_dir(ROOT);
    let invoked = Told::of(&invoke.stdin(Stdio::null()).output().unwrap()).is(2);
    assert!(invoked.out.contains("dead letter, invalid_data"), "{invoked:?}");
    // As it is it would die again; what is no event any more would be left, and a dry run says so.
    let with = tempfile::NamedTempFile::new().unwrap();
    let dry = ["dlq", "redrive", &letter, "--dry-run", "--with", with.path().to_str().unwrap()];
    assert!(shop.jetlag(&dry).is(1).out.contains("its bytes are no event"));
    shop.jetlag(&["dlq", "purge", &letter, "--yes"]).is(0);
}

async fn a_redrive_that_is_killed_can_be_run_again(shop: &Shop) {
    let order = |number: usize| format!("K-{number}");
    for number in 0..MANY {
        let (subject, event) = event("inventory.reserved", &order(number), &reserved(&order(number), 12));
        let headers = [
            ("Jetlag-Function", "payment"),
            ("Jetlag-Reason", "rejected"),
            ("Jetlag-Subject", subject.as_str()),
        ];
        let at = format!("dlq.payment.k{number}");
        shop.operator.publish_with(&at, &headers, event.into()).await.unwrap();
    }
    let redrive =
        ["dlq", "redrive", "--function", "payment", "--reason", "rejected", "--by", "ann", "--rate"];
    let slowly = |rate: &str| shop.command(&[&redrive[..], &[rate]].concat());
    let mut killed = Killed(slowly("50").spawn().unwrap());
    until("few of many sent", async || (shop.letters().await <= MANY as u64 - 5).then_some(())).await;
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let left = shop.letters().await;
    assert!(left > 0, "it was killed in the middle");

    let done = shop.jetlag(&[&redrive[..], &["1000"], &["-o", "json"]].concat()).is(0).json();
    // What the broker took from the killed one last may have come after that look.
    let sent = done["done"].as_u64().unwrap();
    assert!(sent <= left && sent + 1 >= left && done["left"] == 0, "{done}, and {left} were left");
    for number in 0..MANY {
        let charged = format!("payments.processed.{}.*", order(number));
        until("payment", async || (shop.count(&charged).await > 0).then_some(())).await;
        assert_eq!(shop.count(&charged).await, 1);
        // One note of the redrive, and nothing else: it was committed and not given up.
        assert_eq!(shop.count(&format!("done.payment.{}.*", order(number))).await, 1);
    }
    assert_eq!(shop.letters().await, 0);
}

/// A process that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn events_are_run_again_with_effects_off(shop: &Shop) {
    shop.jetlag(&["trail", "O-1", "--follow"]).is(0);
    let before = shop.count("*.*.O-1.*").await;
    let replay =
        |arguments: &[&str]| shop.jetlag(&[&["replay"], arguments, &["--no-build", "-o", "json"]].concat());
    // The gateway names every payment anew.
    let payment = replay(&["payment", "--from", "1", "--key", "O-1"]).is(1).json();
    assert_eq!(payment["summary"]["events_different"], 1, "{payment}");
    let payment = replay(&["payment", "--from", "1", "--key", "O-1", "--ignore", "payment_id"]).is(0).json();
    assert_eq!(
        (&payment["summary"]["same"], &payment["summary"]["events_unchanged"]),
        (&json!(1), &json!(1))
    );
    let shown = shop.jetlag(&["replay", "payment", "--from", "1", "--key", "O-1", "--no-build"]).is(1).out;
    assert!(shown.contains("-  \"payment_id\"") && shown.contains("+  \"payment_id\""), "{shown}");
    // What was sent again with other data than the stream has cannot be compared.
    let mended = replay(&["payment", "--from", "1", "--key", "B-1"]).is(0).json();
    assert_eq!(
        (&mended["inputs"][0]["verdict"], &mended["inputs"][0]["redriven"]),
        (&json!("nothing_then"), &json!(true))
    );
    // Its state carried from event to event, the stock suffices; without what came before, it does not.
    let whole = replay(&["inventory", "--from", "1"]).is(0).json();
    assert!(whole["summary"]["same"].as_u64() >= Some(3), "{whole}");
    let cut = replay(&["inventory", "--from", "1", "--key", "O-1"]).is(1).json();
    assert_eq!(cut["inputs"][0]["events"][0]["what"], "missing", "{cut}");
    // Of state the end is compared: with other stock at the beginning it is another one, though all events are the same.
    assert!(whole["summary"]["state_unchanged"].as_u64() >= Some(1), "{whole}");
    let with = |available: u64| {
        let stock = format!(r#"stock/A-1={{"available":{available},"reserved":0,"sold":0}}"#);
        replay(&["inventory", "--from", "1", "--key", "O-1", "--state", &stock])
    };
    let same = with(100).is(0).json();
    let other = with(9).is(1).json();
    let stock = |told: &Value| {
        let states = told["state"].as_array().unwrap().iter();
        states
            .filter(|state| state["key"] == "stock/A-1")
            .map(|state| state["what"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (stock(&same), stock(&other)),
        (vec![json!("unchanged")], vec![json!("different")]),
        "{other}"
    );
    assert_eq!(
        (&other["summary"]["different"], &other["summary"]["state_different"]),
        (&json!(0), &json!(1))
    );
    let limited = replay(&["inventory", "--from", "1", "--limit", "1"]).is(0).json();
    assert!(limited["next"].is_u64() && limited["summary"]["inputs"] == 1, "{limited}");
    replay(&["inventory", "--from", "1", "--key", "nobody"]).is(66);
    replay(&["audit", "--from", "1"]).is(64);
    let there = replay(&["payment", "--into", "--from", "1"]).is(73);
    assert!(there.err.contains("has its consumer"), "{there:?}");
    assert_eq!(before, shop.count("*.*.O-1.*").await, "a replay changes nothing");
}

async fn a_forged_entry_is_found(shop: &Shop) {
    let (subject, _) = event("orders.confirmed", "O-1", &json!({}));
    let (_, other) = event("orders.confirmed", "O-9", &json!({"order_id": "O-9"}));
    shop.operator.publish(&subject, "forged", other.into()).await.unwrap();
    let found = until("fault", async || {
        let told = shop.jetlag(&["trail", "O-1", "--verify"]);
        (told.code == Some(1)).then_some(told)
    });
    let found = found.await;
    assert!(found.out.contains("BROKEN") && found.out.contains("orders.confirmed.O-9"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_function_begins_where_it_is_told_to() {
    built();
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "", &[]).await;
    let url = format!("nats://127.0.0.1:{}", server.port);
    let operator = Operator::connect(&Connection::to(url.clone())).await.unwrap();
    let jetlag = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        command.args(arguments).args(["--url", &url]).current_dir(ROOT).stdin(Stdio::null());
        Told::of(&command.output().unwrap())
    };
    // Another function's streams are there, with events in them that the new one listens to.
    jetlag(&["replay", "order", "--into", "--from", "1", "--no-build"]).is(0);
    for number in 1..=5 {
        let (subject, event) =
            event("orders.confirmed", &format!("N-{number}"), &json!({"order_id": format!("N-{number}")}));
        operator.publish(&subject, &subject, event.into()).await.unwrap();
    }
    let begun =
        jetlag(&["replay", "notification", "--into", "--from", "4", "--no-build", "-o", "json"]).is(0).json();
    assert_eq!(begun["pending"], 2, "{begun}");
    let progress = operator.progress_of(EVENTS, "notification").await.unwrap().unwrap();
    assert_eq!((progress.delivered, progress.pending), (3, 2));
    let again = jetlag(&["replay", "notification", "--into", "--from", "1", "--no-build"]).is(73);
    assert!(again.err.contains("has its consumer"), "{again:?}");
    // Whoever needs it takes it as it is: `up`, `provision` and the function itself.
    let topology = Topology::of(&[described("notification")], &Sizing::default());
    assert_eq!(operator.provision(&topology).await.unwrap().created, Vec::<String>::new());
    assert_eq!(operator.differences(&topology).await.unwrap(), []);
}

/// What a function says of itself.
fn described(function: &str) -> Description {
    let program: PathBuf = Path::new(env!("CARGO_BIN_EXE_jetlag")).with_file_name(function);
    let output = Command::new(program).arg("--describe").output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}
