//! The users of operations: what each command needs, it may; nothing that it may is not needed.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::shop::Shop;
use futures::StreamExt;
use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::permissions::{METRICS, OPERATOR, PROVISION, PUBLISHER, Permissions, RESCUE};
use jetlag::topology::{Sizing, Topology};
use jetlag_cli::app::{self, Build};
use jetlag_cli::console::Console;
use nkeys::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{Lacking, Server, publish, until, with_password};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// How many accounts are worked in at a time.
const AT_A_TIME: usize = 4;
/// How long events are kept, as the rescue is told: what is half as old is carried on, for a while.
const HORIZON: Duration = Duration::from_secs(60);
/// There are many accounts, and each sets this aside.
const EVENTS_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// The exit code for a wrong configuration.
const EXIT_CONFIG: Option<i32> = Some(78);
/// How long a command may take to end that was told to, or was denied something.
const END_LIMIT: Duration = Duration::from_secs(30);

/// An account whose user lacks one line, or none.
struct Case {
    account: String,
    key: KeyPair,
    lacking: Lacking,
}

/// A case for each line of the user `name`, and one with all of them.
fn cases(name: &str, functions: &[Description]) -> Vec<Case> {
    let user = Permissions::of_operation(name, functions).unwrap();
    let case = |(number, lacking): (usize, Lacking)| Case {
        account: format!("{name}-{number}"),
        key: KeyPair::new_user(),
        lacking,
    };
    Lacking::each(&user).into_iter().enumerate().map(case).collect()
}

impl Case {
    fn configured(&self) -> Value {
        self.lacking.account(&self.account, json!({"nkey": self.key.public_key()}))
    }

    /// What is missing, as the command must tell it.
    fn told(&self) -> Option<&str> {
        self.lacking.told.as_deref()
    }
}

/// A server with an account for each case, and what the functions of the test's own shop say of themselves.
struct Place {
    server: Server,
    shop: Shop,
    functions: Vec<Description>,
    contracts: PathBuf,
    directory: tempfile::TempDir,
}

async fn place(names: &[&str]) -> (Place, Vec<Case>) {
    let shop = Shop::new();
    let build = Build::like_this_program();
    let functions = app::describe(Some(&shop.manifest()), build, Console::silent()).await.unwrap();
    let cases: Vec<Case> = names.iter().flat_map(|name| cases(name, &functions)).collect();
    let accounts = cases.iter().map(|case| (case.account.clone(), case.configured()));
    let accounts = Value::Object(accounts.collect());
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &format!("accounts: {accounts}"), &[]).await;
    let contracts = directory.path().join("contracts.json");
    let mut streams = keda::Deploy::default().streams;
    streams.max_bytes = EVENTS_BYTES_MAX;
    let text = serde_json::to_string(&keda::Contracts::of(&functions, &streams)).unwrap();
    std::fs::write(&contracts, text).unwrap();
    (Place { server, shop, functions, contracts, directory }, cases)
}

impl Place {
    async fn admin(&self, case: &Case) -> Operator {
        let url = format!("nats://admin-{}:x@127.0.0.1:{}", case.account, self.server.port);
        Operator::connect(&Connection::to(url)).await.unwrap()
    }

    /// Makes the streams of `functions`, and their consumers too.
    async fn provision(&self, case: &Case, functions: &[Description], and_consumers: bool) {
        let sizing = Sizing { events_bytes_max: EVENTS_BYTES_MAX, ..Sizing::default() };
        let mut topology = Topology::of(functions, &sizing);
        topology.consumers.retain(|_| and_consumers);
        self.admin(case).await.provision(&topology).await.unwrap();
    }

    /// Publishes as the administrator.
    async fn publish(&self, case: &Case, subject: &str, headers: &[(&str, &str)], payload: &Value) {
        let mut head = String::from("NATS/1.0\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let publish = publish(subject, head.as_bytes(), payload.to_string().as_bytes());
        let login = with_password(&format!("admin-{}", case.account), "x");
        let said = self.server.say(&login, &[&publish]).await;
        assert!(!said.contains("-ERR"), "{said}");
    }

    /// Runs the command as the user of the case.
    async fn jetlag(&self, case: &Case, arguments: &[&str]) -> Output {
        self.command(case, arguments).output().await.unwrap()
    }

    fn command(&self, case: &Case, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        let seed = case.key.seed().unwrap();
        let url = format!("nats://127.0.0.1:{}", self.server.port);
        command.args(arguments).env("NATS_URL", url).env("NATS_NKEY", seed);
        command
    }

    /// What came of a case: with all lines every command ends well and nobody was denied anything, and without one a
    /// command ends with what to grant.
    fn judge(&self, case: &Case, outputs: &[Output]) {
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let all: Vec<_> = outputs.iter().map(|output| (output.status.code(), said(output))).collect();
        match case.told() {
            None => {
                assert!(all.iter().all(|(code, _)| *code == Some(0)), "{}: {all:#?}", case.account);
                assert_eq!(self.server.violations(&case.account), Vec::<String>::new());
            }
            Some(told) => {
                let is_told = |(code, said): &(Option<i32>, String)| {
                    *code == EXIT_CONFIG && said.replace(['\n', ' '], "").contains(&told.replace(' ', ""))
                };
                assert!(all.iter().any(is_told), "{} without {told:?}: {all:#?}", case.account);
            }
        }
    }
}

fn event(kind: &str, id: &str) -> Value {
    json!({
        "id": id, "type": kind, "aggregate_id": "S-1", "data": {}, "timestamp": "2026-01-02T03:04:05Z",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    })
}

/// The id of the cause that `clerk` makes of the sale `id`.
fn cause(id: &str) -> String {
    jetlag::derive(&["clerk", &format!("sales.made.S-1.{id}"), "", "0"])
}

async fn makes(place: &Place, case: &Case) {
    // Where nothing is, everything is made. Where streams are that have other types of events, these are added.
    if case.told().is_none_or(|told| told.contains("STREAM.UPDATE")) {
        let mut before = place.functions.clone();
        for kind in before.iter_mut().flat_map(|function| {
            function.listens_to.iter_mut().chain(&mut function.emits).chain(&mut function.admits)
        }) {
            kind.name = format!("{}-before", kind.name);
        }
        place.provision(case, &before, false).await;
    }
    let contracts = place.contracts.to_str().unwrap();
    let output = place.jetlag(case, &["provision", "--wait", "1s", "--contracts", contracts]).await;
    place.judge(case, &[output]);
}

async fn looks_and_mends(place: &Place, case: &Case) {
    place.provision(case, &place.functions, true).await;
    // What was given up, of an event and of what never became one.
    for (id, subject, kind) in
        [("a", "sales.made.S-1.given-up", "sales.made"), ("b", "sales.told", "sales.told")]
    {
        let headers = [
            ("Jetlag-Function", "clerk"),
            ("Jetlag-Reason", "attempts_exhausted"),
            ("Jetlag-Subject", subject),
        ];
        place.publish(case, &format!("dlq.clerk.{id}"), &headers, &event(kind, "given-up")).await;
    }
    // What the broker does not deliver any more, in each stream.
    place.publish(case, "sales.made.S-1.lost", &[], &event("sales.made", "lost")).await;
    let retry = [("Jetlag-Subject", "sales.made.S-1.again"), ("Jetlag-Attempt", "2")];
    place.publish(case, "retry.clerk.again.2", &retry, &event("sales.made", "again")).await;
    place.publish(case, "sales.told", &[], &event("sales.told", "told")).await;
    for stream in ["EVENTS", "RETRY", "INTAKE"] {
        let advisory = json!({
            "timestamp": "2026-11-21T18:49:56Z", "stream": stream, "consumer": "clerk", "stream_seq": 1, "deliveries": 3,
        });
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.clerk");
        place.publish(case, &subject, &[], &advisory).await;
    }
    let manifest = place.shop.manifest();
    let commands: [&[&str]; 5] = [
        &["doctor", "--rate", "1/d", "--look", "--app", manifest.to_str().unwrap()],
        &["trail", "S-1"],
        &["audit", "verify"],
        &["check", "--repair", "--app", manifest.to_str().unwrap()],
        &["dlq", "redrive", "--all"],
    ];
    let mut outputs = Vec::new();
    for command in commands {
        outputs.push(place.jetlag(case, command).await);
    }
    let status = place.jetlag(case, &["status"]).await;
    // It has found something, as it should: the broker gave up inputs.
    if case.told().is_some() || status.status.code() != Some(1) {
        outputs.push(status);
    }
    place.judge(case, &outputs);
}

/// `jetlag metrics` as it is deployed, with something that waits in every stream.
async fn tells(place: &Place, case: &Case) {
    place.provision(case, &place.functions, true).await;
    let given_up = [("Jetlag-Function", "clerk"), ("Jetlag-Subject", "sales.made.S-1.given-up")];
    place.publish(case, "dlq.clerk.a", &given_up, &event("sales.made", "given-up")).await;
    place.publish(case, "sales.made.S-1.waits", &[], &event("sales.made", "waits")).await;
    let retry = [("Jetlag-Subject", "sales.made.S-1.again"), ("Jetlag-Attempt", "2")];
    place.publish(case, "retry.clerk.again.2", &retry, &event("sales.made", "again")).await;
    place.publish(case, "sales.told", &[], &event("sales.told", "told")).await;

    let log = place.directory.path().join(format!("{}.log", case.account));
    let mut command = place.command(case, &["metrics", "--listen", "127.0.0.1:0", "--verify-audit", "24h"]);
    command.stderr(std::fs::File::create(&log).unwrap()).stdin(Stdio::null()).kill_on_drop(true);
    let mut metrics = command.spawn().unwrap();
    // A user who may not even hear answers ends it before that.
    let answering = until("metrics that answer or end", async || {
        let address = address(&log);
        (address.is_some() || metrics.try_wait().unwrap().is_some()).then_some(address)
    });
    let answering = answering.await;
    if case.told().is_none() {
        let address = answering.expect("it answers");
        let text = until("every metric", async || {
            let text = scrape(&address).await;
            // Of the trail, too, which is read beside.
            text.contains("jetlag_audit_verified_timestamp_seconds").then_some(text)
        })
        .await;
        for line in [
            "jetlag_broker_answers 1",
            r#"jetlag_lag{function="clerk",stream="EVENTS"} 1"#,
            r#"jetlag_lag{function="clerk",stream="RETRY"} 1"#,
            r#"jetlag_lag{function="clerk",stream="INTAKE"} 1"#,
            r#"jetlag_dead_letters{function="clerk"} 1"#,
            r#"jetlag_stream_messages{stream="DLQ"} 1"#,
            "jetlag_audit_faults 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let pid = metrics.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
        kill_process(pid.unwrap(), Signal::TERM).unwrap();
    } else if let Some(address) = answering {
        scrape(&address).await;
    }
    let status = end(&mut metrics, case).await;
    place.judge(case, &[Output { status, stdout: Vec::new(), stderr: std::fs::read(&log).unwrap() }]);
}

/// Where it answers, once it says so.
fn address(log: &Path) -> Option<String> {
    let said = std::fs::read_to_string(log).unwrap();
    let (_, rest) = said.split_once("answering on http://")?;
    Some(rest.split_once("/metrics")?.0.to_owned())
}

/// What it tells; nothing if it ends meanwhile.
async fn scrape(address: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(address).await {
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let _ = stream.read_to_string(&mut text).await;
    }
    text
}

async fn end(child: &mut Child, case: &Case) -> ExitStatus {
    let ended = tokio::time::timeout(END_LIMIT, child.wait()).await;
    ended.unwrap_or_else(|_| panic!("{} goes on without {:?}", case.account, case.told())).unwrap()
}

async fn publishes(place: &Place, case: &Case) {
    place.provision(case, &place.functions, true).await;
    let (url, seed) = (format!("nats://127.0.0.1:{}", place.server.port), case.key.seed().unwrap());
    let mut env = jetlag::Environment::of([("NATS_URL", url.as_str()), ("NATS_NKEY", seed.as_str())]);
    let published = async {
        let publisher = Operator::connect_as(&Connection::from_env(&mut env), PUBLISHER).await?;
        let payload = event("sales.told", "told").to_string();
        publisher.publish("sales.told", "told", payload.into()).await?;
        Ok::<(), anyhow::Error>(())
    };
    match (case.told(), published.await) {
        (None, Ok(())) => {}
        (Some(told), Err(why)) => assert!(why.to_string().contains(told), "{why}"),
        (told, published) => panic!("without {told:?}: {published:?}"),
    }
}

async fn rescues(place: &Place, case: &Case, turns: &Semaphore) {
    let turn = turns.acquire().await.unwrap();
    place.provision(case, &place.functions, true).await;
    // An event that waits, one that was half buried, one that is committed and comes again, and one that was admitted.
    for id in ["old", "half"] {
        place.publish(case, &format!("sales.made.S-1.{id}"), &[], &event("sales.made", id)).await;
    }
    let dead = [("Jetlag-Reason", "attempts_exhausted")];
    place.publish(case, &format!("done.clerk.S-1.{}", cause("half")), &dead, &json!({})).await;
    place.publish(case, &format!("done.clerk.S-1.{}", cause("done")), &[], &json!({})).await;
    let retry = [("Jetlag-Subject", "sales.made.S-1.done"), ("Jetlag-Attempt", "2")];
    place.publish(case, "retry.clerk.done.2", &retry, &event("sales.made", "done")).await;
    place.publish(case, "sales.told.S-1.told", &[], &event("sales.told", "told")).await;
    place.publish(case, "sales.told", &[], &event("sales.told", "told")).await;
    drop(turn);
    tokio::time::sleep(HORIZON / 2 + Duration::from_secs(1)).await;
    let _turn = turns.acquire().await.unwrap();
    // And one that is young, which is given back.
    place.publish(case, "sales.made.S-1.young", &[], &event("sales.made", "young")).await;
    let horizon = format!("{}s", HORIZON.as_secs());
    // The horizon is asked for where it is not told.
    let told = place.jetlag(case, &["rescue", "--once", "--horizon", &horizon]).await;
    let asked = place.jetlag(case, &["rescue", "--once"]).await;
    place.judge(case, &[told, asked]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_users_who_make_and_tell_and_look_and_publish_need_each_line_and_no_other() {
    let (place, cases) = place(&[PROVISION, METRICS, OPERATOR, PUBLISHER]).await;
    let work = futures::stream::iter(&cases).map(async |case| match case.lacking.user.user.as_str() {
        PROVISION => makes(&place, case).await,
        METRICS => tells(&place, case).await,
        OPERATOR => looks_and_mends(&place, case).await,
        _ => publishes(&place, case).await,
    });
    work.buffer_unordered(AT_A_TIME).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rescue_needs_each_line_and_no_other() {
    let (place, cases) = place(&[RESCUE]).await;
    // All of them wait at the same time, and a few of them work: a broker that is asked by all at once answers some too late.
    let turns = Semaphore::new(AT_A_TIME);
    futures::future::join_all(cases.iter().map(|case| rescues(&place, case, &turns))).await;
}
