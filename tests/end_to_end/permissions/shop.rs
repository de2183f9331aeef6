//! The whole application with each function as its own user: everything works, and nobody is denied anything.

use std::process::Stdio;

use async_nats::{Client, ConnectOptions};
use jetlag::permissions::{PUBLISHER, RESCUE};
use jetlag::topology::{DEAD_LETTERS, EVENTS, INTAKE};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{PATIENCE, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::account::{ACCOUNT, Account, functions, program, with_jwts};
use super::process::{NEEDY, Process, described};

/// A server of the outside world, and where it is.
async fn world(name: &str, arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(program(name))
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let url = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("{first}")).to_owned();
    // What it says later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, url)
}

struct Shop {
    account: Account,
    gateway: String,
    receiver: String,
    client: reqwest::Client,
    publisher: Client,
    _world: [Child; 2],
}

impl Shop {
    fn start(&self, function: &str) -> Process {
        let (url, seed) = (self.account.url(), self.account.seed(function));
        let notify = format!("{}/notify", self.receiver);
        let env = [
            ("NATS_URL", url.as_str()),
            ("NATS_NKEY", seed.as_str()),
            ("PAYMENT_GATEWAY_URL", self.gateway.as_str()),
            ("PAYMENT_GATEWAY_KEY", "sk_test"),
            ("NOTIFY_URL", notify.as_str()),
            ("JETLAG_BREAKER_FAILURES", "1"),
            ("JETLAG_BREAKER_OPEN_MS", "300"),
        ];
        // The breaker's variables are known only to functions that have one, and do no harm to others.
        Process::start(program(function), self.account.path().join(format!("{function}.log")), &env)
    }

    async fn switch(&self, url: &str, switches: Value) {
        let put = self.client.put(format!("{url}/control")).json(&switches).send().await.unwrap();
        assert!(put.status().is_success());
    }

    /// Publishes an event from outside, and sees that the stream has it.
    async fn publish(&self, kind: &str, id: &str, data: Value) {
        let event = json!({
            "id": id, "type": kind, "aggregate_id": id, "data": data, "timestamp": "2026-11-21T14:00:00Z", "trace_id": "",
        });
        let answer = self.publisher.request(kind.to_owned(), event.to_string().into()).await.unwrap();
        assert!(String::from_utf8_lossy(&answer.payload).contains("\"seq\""), "{:?}", answer.payload);
    }

    async fn order(&self, id: &str, amount: u32) {
        let data = json!({"order_id": id, "customer_id": "C-1", "amount": amount, "currency": "GBP"});
        self.publish("orders.placed", id, data).await;
    }
}

pub async fn the_whole_application_works_and_nobody_is_denied_anything() {
    let directory = tempfile::tempdir().unwrap();
    let account = Account::open(directory.path(), functions().await).await;
    let look = account.provisioned().await;
    let (gateway_process, gateway) = world("gateway", &["--decline-over", "150000"]).await;
    let (receiver_process, receiver) = world("receiver", &["--smtp", "127.0.0.1:0"]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let publisher = ConnectOptions::with_nkey(account.seed(PUBLISHER))
        .custom_inbox_prefix("_INBOX_publisher")
        .connect(account.url())
        .await
        .unwrap();
    let shop =
        Shop { account, gateway, receiver, client, publisher, _world: [gateway_process, receiver_process] };
    let names = ["order", "inventory", "payment", "notification", "audit"];
    let mut running: Vec<Process> = names.iter().map(|name| shop.start(name)).collect();
    for process in &running {
        process.says("function started").await;
    }
    let events = async |filter: &str| look.read(EVENTS, filter, 1).await.unwrap().len();
    let decided = async |what: &str, count: usize| {
        until(&format!("{count} orders {what}"), async || {
            (events(&format!("orders.{what}.*.*")).await == count).then_some(())
        })
        .await;
    };

    // The chain to its end, a decline with its compensation, and what fails once is tried again.
    shop.switch(&shop.gateway, json!({"fail_next": 1})).await;
    shop.order("O-1", 10).await;
    shop.order("O-2", 2_000).await;
    decided("confirmed", 1).await;
    decided("cancelled", 1).await;

    // Outages: breakers open, probe, and close again.
    shop.switch(&shop.gateway, json!({"outage": true})).await;
    shop.switch(&shop.receiver, json!({"outage": true})).await;
    for number in 3..8 {
        shop.order(&format!("O-{number}"), 10).await;
    }
    running[2].says("circuit breaker opened").await;
    shop.switch(&shop.gateway, json!({"outage": false})).await;
    decided("confirmed", 6).await;
    running[3].says("circuit breaker opened").await;
    shop.switch(&shop.receiver, json!({"outage": false})).await;
    until("notifications", async || (events("notifications.sent.*.*").await == 7).then_some(())).await;

    // A process dies with an input in its hands: that one is marked, and runs alone.
    shop.switch(&shop.gateway, json!({"hang": true})).await;
    shop.order("O-8", 10).await;
    until("charge under way", async || (look.lag(EVENTS, "payment").await.ok()? == (0, 1)).then_some(()))
        .await;
    running[2].signal(Signal::KILL);
    running[2].exit_code().await;
    shop.switch(&shop.gateway, json!({"hang": false})).await;
    running[2] = shop.start("payment");
    decided("confirmed", 7).await;
    running[2].says("it runs alone").await;

    // What is no event is a dead letter.
    let answer = shop.publisher.request("orders.placed", "no event".into()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("\"seq\""));
    until("dead letter", async || (look.stream_state(DEAD_LETTERS).await.ok()?.messages == 1).then_some(()))
        .await;

    // Everything is answered for, and sealed; the rescue finds nothing to carry.
    for consumer in jetlag::topology::Topology::of(&shop.account.functions, &Default::default()).consumers {
        until(&format!("end of the work of {} on {}", consumer.durable, consumer.stream), async || {
            (look.lag(consumer.stream, &consumer.durable).await.ok()? == (0, 0)).then_some(())
        })
        .await;
    }
    assert_eq!(look.stream_state(INTAKE).await.unwrap().messages, 0);
    assert!(events("audit.sealed.*.*").await > 0);
    let rescue = shop.account.operator(RESCUE).await;
    let horizon = rescue.horizon().await.unwrap();
    for name in rescue.rescuable().await.unwrap() {
        let rescued = rescue.rescue(&name, horizon).await.unwrap();
        assert_eq!((rescued.failed, rescued.late), (0, 0), "{name}");
    }

    for (process, name) in running.iter_mut().zip(names) {
        process.signal(Signal::TERM);
        assert_eq!(process.exit_code().await, 0, "{name}: {}", process.log());
    }
    assert_eq!(shop.account.server.violations(ACCOUNT), Vec::<String>::new());
    let lines = shop.account.server.log();
    assert!(!lines.contains("Violation"), "{lines}");
}

pub async fn a_function_works_with_the_claims_of_its_jwt() {
    let directory = tempfile::tempdir().unwrap();
    let functions = [described(NEEDY, &[]).await];
    let (server, credentials) = with_jwts(directory.path(), &functions, "needy").await;
    let url = format!("nats://127.0.0.1:{}", server.port);
    // Its streams are not there, and it may not make them: it waits for them, and is denied nothing.
    let creds = credentials.to_str().unwrap();
    let mut process = Process::start(
        NEEDY,
        directory.path().join("needy.log"),
        &[("NATS_URL", url.as_str()), ("NATS_CREDS", creds)],
    );
    process.says("streams and consumers are not there yet").await;
    process.signal(Signal::TERM);
    assert_eq!(process.exit_code().await, 0, "{}", process.log());
    assert!(!server.log().contains("Violation"), "{}", server.log());

    // One that would make them is denied that, by name.
    let mut process = Process::start(
        NEEDY,
        directory.path().join("denied.log"),
        &[("NATS_URL", url.as_str()), ("NATS_CREDS", creds), ("JETLAG_PROVISION", "true")],
    );
    assert_eq!(process.exit_code().await, 78, "{}", process.log());
    let log = process.log();
    assert!(log.contains("the user needy (U") && log.contains("$JS.API.STREAM.CREATE.EVENTS"), "{log}");
}
