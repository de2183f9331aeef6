//! `jetlag up` with real processes: a small application, a companion and a real nats-server.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::stream::DiscardPolicy;
use jetlag_cli::app::{App, Options, Running, status};
use jetlag_cli::problem::Exit;
use jetlag_cli::supervisor::{Phase, Status};
use jetlag_cli::traces::Traces;
use tests::{PATIENCE, until};

use crate::shop::Shop;

impl Shop {
    /// Adds a companion that is a shell script.
    fn with_companion(self, name: &str, script: &str) -> Self {
        let path = self.manifest();
        let text = std::fs::read_to_string(&path).unwrap();
        let entry = format!("companions:\n  {name}:\n    command: sh\n    args: [-c, '{script}']\n");
        std::fs::write(path, text.replacen("companions:\n", &entry, 1)).unwrap();
        self
    }

    fn command(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_jetlag"))
            .args(["up", "--port-base", "0", "--nats-port", "0", "-o", "json", "--app"])
            .arg(self.manifest())
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(File::create(self.told()).unwrap())
            .spawn()
            .unwrap()
    }

    /// What the command that was started last says on standard output.
    fn told(&self) -> PathBuf {
        self.beside("told.json")
    }

    /// Waits until the command that was started last says that all it runs is up.
    async fn all_up(&self) -> Status {
        let told = async || serde_json::from_slice(&std::fs::read(self.told()).unwrap()).ok();
        let status: Status = until("everything up", told).await;
        assert!(status.processes.len() == 4 && status.processes.iter().all(|entry| entry.phase == Phase::Up));
        status
    }
}

fn get(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap().success());
}

fn runs(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Kills a process, and waits until its successor is up.
async fn killed_and_back(running: &Running, name: &str) {
    let before = running.entry(name).unwrap();
    signal(before.pid.unwrap(), "KILL");
    let after = until(&format!("{name} that is back"), async || {
        let entry = running.entry(name)?;
        (entry.phase == Phase::Up && entry.pid != before.pid).then_some(entry)
    })
    .await;
    assert_eq!(after.addresses, before.addresses, "{name} came back where it was");
    assert_eq!(after.restarts, before.restarts + 1);
}

async fn none_runs(status: &Status) {
    let pids: Vec<_> = status.processes.iter().filter_map(|entry| entry.pid).collect();
    assert!(!pids.is_empty());
    until("end of every process", async || pids.iter().all(|pid| !runs(*pid)).then_some(())).await;
}

#[tokio::test]
async fn everything_is_up_and_told_where_the_rest_is() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let till = running.url("shop-till").unwrap();
    assert_eq!(get(&till, "/env/NATS_URL"), running.broker_url().unwrap());
    assert_eq!(get(&till, "/env/JETLAG_PROVISION"), "false");
    assert_eq!(get(&till, "/env/BANK_URL"), format!("{}/v1", running.companion("bank").unwrap()));
    assert_eq!(get(&till, "/env/DRAWER"), shop.data().join("drawer").display().to_string());
    assert!(get(&running.monitor_url().unwrap(), "/healthz").contains("ok"));
    assert_eq!(status(&shop.data()), Some(running.status()));
    until("log with what it wrote", async || {
        let log = std::fs::read_to_string(running.log("shop-till")?).ok()?;
        log.contains("/env/NATS_URL 200 OK").then_some(())
    })
    .await;

    let second = App::start(shop.options()).await.unwrap_err();
    assert_eq!(second.exit(), Exit::TryLater);
    let message = second.to_string();
    assert!(
        message.contains(&format!("pid {}", std::process::id())) && message.contains("http://"),
        "{message}"
    );

    let before = running.status();
    running.drain().await;
    none_runs(&before).await;
    assert_eq!(status(&shop.data()), None);
    assert!(running.status().processes.iter().all(|entry| entry.phase == Phase::Stopped));
}

#[tokio::test]
async fn whatever_is_killed_comes_back_where_it_was() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "KEPT".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    jetstream.publish("kept.one", "1".into()).await.unwrap().await.unwrap();

    killed_and_back(&running, "broker").await;
    let messages = until("client that is connected again", async || {
        Some(jetstream.get_stream("KEPT").await.ok()?.cached_info().state.messages)
    })
    .await;
    assert_eq!(messages, 1);
    killed_and_back(&running, "shop-till").await;
    killed_and_back(&running, "shop-till").await;
    killed_and_back(&running, "bank").await;
    running.drain().await;
}

#[tokio::test]
async fn streams_and_consumers_are_there_before_the_functions_and_another_form_of_them_is_refused() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let streams: Vec<_> = running.topology().streams.iter().map(|stream| stream.name).collect();
    assert_eq!(streams, ["EVENTS", "RETRY", "DLQ", "AUDIT", "ADVISORIES", "INTAKE"]);
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let mut events = jetstream.get_stream("EVENTS").await.unwrap();
    let config = events.info().await.unwrap().config.clone();
    assert_eq!(config.max_age, Duration::from_secs(24 * 60 * 60));
    assert!(config.subjects.contains(&"sales.made.*.*".to_owned()), "{:?}", config.subjects);
    let consumer = jetstream.get_consumer_from_stream::<PullConfig, _, _>("clerk", "EVENTS").await.unwrap();
    assert_eq!(consumer.cached_info().config.filter_subjects, ["sales.made.*.*"]);
    running.drain().await;

    let running = App::start(shop.options()).await.expect("what is there is as it must be");
    let other = async_nats::jetstream::stream::Config { discard: DiscardPolicy::Old, ..config };
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    async_nats::jetstream::new(client).update_stream(other).await.unwrap();
    running.drain().await;

    let problem = App::start(shop.options()).await.unwrap_err();
    assert_eq!(problem.exit(), Exit::Config);
    let message = problem.render();
    assert!(message.contains("not as the functions need them") && message.contains("discard"), "{message}");
    assert_eq!(status(&shop.data()), None);
}

#[tokio::test]
async fn a_wrong_configuration_is_told_with_the_last_words_and_nothing_is_left() {
    let shop = Shop::new();
    let mut options = shop.options();
    options.env.insert("TILL_EXIT".to_owned(), "78".to_owned());
    let problem = App::start(options).await.unwrap_err();
    assert_eq!(problem.exit(), Exit::Config);
    let message = problem.render();
    assert!(message.contains("`shop-till`") && message.contains("exit code 78"), "{message}");
    assert!(message.contains("| TILL_DRAWER is not set"), "{message}");
    assert_eq!(status(&shop.data()), None);
}

#[tokio::test]
async fn a_function_that_dies_at_once_is_tried_again_and_then_told() {
    let shop = Shop::new();
    let mut options = shop.options();
    options.env.insert("TILL_EXIT".to_owned(), "1".to_owned());
    let problem = App::start(options).await.unwrap_err();
    assert_eq!(problem.exit(), Exit::Unavailable);
    assert!(problem.render().contains("ended before it was up: exit code 1"), "{}", problem.render());
}

#[tokio::test]
async fn a_companion_with_the_name_of_the_collector_is_told_before_anything_starts() {
    let shop = Shop::new().with_companion("collector", "sleep 60");
    let traces = Traces { collector: "/bin/false".into(), viewer: None };
    let problem = App::start(Options { traces: Some(traces), ..shop.options() }).await.unwrap_err();
    assert_eq!(problem.exit(), Exit::Config);
    assert!(problem.render().contains("`collector`"), "{}", problem.render());
    assert!(status(&shop.data()).is_none());
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_before_anything_is_built_or_another_is_chosen() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    let shop = Shop::new();
    let problem = App::start(Options { port_base: taken, ..shop.options() }).await.unwrap_err();
    assert!(problem.to_string().contains(&taken.to_string()), "{problem}");

    let others = Options { port_base: taken, other_ports: true, ..shop.options() };
    let running = App::start(others).await.unwrap();
    assert!(running.url("shop-till").unwrap().starts_with("http://127.0.0.1:"));
    running.drain().await;

    let problem = App::start(Options { nats_port: Some(taken), ..shop.options() }).await.unwrap_err();
    assert_eq!(problem.to_string(), format!("port {taken} is needed for the broker, and cannot be had"));
}

#[tokio::test]
async fn a_companion_that_will_not_stop_is_killed_when_the_caller_will_not_wait() {
    let script = r#"trap "" TERM; echo listening on http://127.0.0.1:1; while :; do sleep 1; done"#;
    let shop = Shop::new().with_companion("mule", script);
    let running = App::start(shop.options()).await.unwrap();
    let before = running.status();
    let asked = Instant::now();
    let hurry = async {
        until("end of the functions", async || {
            (running.entry("shop-till")?.phase == Phase::Stopped).then_some(())
        })
        .await;
        running.kill().await;
    };
    tokio::join!(running.drain(), hurry);
    none_runs(&before).await;
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_start_that_is_interrupted_leaves_nothing() {
    let shop = Shop::new();
    let pid_file = shop.beside("mute.pid");
    let shop = shop.with_companion("mute", &format!("echo $$ > {}; exec sleep 600", pid_file.display()));
    let pid = async || std::fs::read_to_string(&pid_file).ok()?.trim().parse::<u32>().ok();
    let interrupt = async {
        until("companion that runs", pid).await;
    };
    let problem = App::start_until(shop.options(), interrupt).await.unwrap_err();
    assert_eq!(problem.exit(), Exit::Interrupted);
    assert!(!runs(pid().await.unwrap()));
    assert_eq!(status(&shop.data()), None);
}

#[tokio::test]
async fn the_command_stops_everything_on_ctrl_c() {
    let shop = Shop::new();
    let mut command = shop.command();
    let status = shop.all_up().await;
    assert_eq!(status.pid, command.id());
    signal(command.id(), "INT");
    let ended = until("end of the command", async || command.try_wait().unwrap()).await;
    assert!(ended.success(), "{ended}");
    none_runs(&status).await;
}

#[tokio::test]
async fn nothing_outlives_a_command_that_is_killed() {
    let shop = Shop::new();
    let mut command = shop.command();
    let first = shop.all_up().await;
    command.kill().unwrap();
    command.wait().unwrap();
    // With `setpriv` they die with it; without, the next run stops them.
    let mut next = shop.command();
    until("status that the next run has written", async || {
        status(&shop.data()).filter(|status| status.pid == next.id())
    })
    .await;
    none_runs(&first).await;
    shop.all_up().await;
    signal(next.id(), "TERM");
    let ended = until("end of the command", async || next.try_wait().unwrap()).await;
    assert!(ended.success(), "{ended}");
}

/// A ScaledObject of the clerk.
const SCALED: &str = "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: clerk}, spec: {
    scaleTargetRef: {name: clerk}, pollingInterval: 5, maxReplicaCount: 2, triggers: [
    {type: nats-jetstream, name: told, metadata: {stream: INTAKE, consumer: clerk, lagThreshold: '1'}}]}}";

impl Shop {
    /// `up --scale`, as fast as it goes, by an object in a file of its own.
    fn scaled(&self, object: &str) -> Command {
        let file = self.beside("clerk.yaml");
        std::fs::write(&file, object).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        command
            .args([
                "up",
                "--port-base",
                "0",
                "--nats-port",
                "0",
                "--scale",
                "--speed",
                "100",
                "-o",
                "json",
                "--app",
            ])
            .arg(self.manifest())
            .arg("--data")
            .arg(self.data())
            .arg("--scale-by")
            .arg(file)
            .stdin(Stdio::null());
        command
    }
}

#[tokio::test]
async fn a_scaled_function_starts_when_it_has_lag_and_every_change_is_an_object_on_a_line() {
    let shop = Shop::new();
    let output = shop.data().with_extension("jsonl");
    let mut command = shop.scaled(SCALED).stdout(File::create(&output).unwrap()).spawn().unwrap();
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&output).unwrap();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let up = until("it is up", async || lines().into_iter().next()).await;
    let names: Vec<_> = up["processes"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(
        names,
        ["broker", "bank", "shop-till"],
        "{up}: who reads nothing runs, and the clerk does not"
    );
    assert_eq!(up["kind"], "up");

    let client = async_nats::connect(up["broker_url"].as_str().unwrap()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    for _ in 0..2 {
        jetstream.publish("sales.told", "{}".into()).await.unwrap().await.unwrap();
    }
    let ready =
        |count: u64| lines().into_iter().find(|line| line["kind"] == "change" && line["ready"] == count);
    until("two processes are ready", async || ready(2)).await;
    let changes: Vec<_> = lines().into_iter().filter(|line| line["change"] == "replicas").collect();
    let steps: Vec<_> =
        changes.iter().map(|line| (&line["before"], &line["replicas"], &line["by"])).collect();
    assert_eq!(steps, [(&0.into(), &1.into(), &"keda".into()), (&1.into(), &2.into(), &"hpa".into())]);
    assert_eq!(changes[0]["function"], "shop-clerk");
    assert!(changes.iter().all(|line| line["lag"]["told"].as_u64() >= Some(1)), "{changes:?}");
    assert_eq!(status(&shop.data()).unwrap().processes.len(), 5);

    signal(command.id(), "INT");
    let ended = until("the command ends", async || command.try_wait().unwrap()).await;
    assert!(ended.success(), "{ended}");
    let summary = lines().pop().unwrap();
    assert_eq!(
        (&summary["kind"], &summary["functions"]["shop-clerk"]["replicas_most"]),
        (&"summary".into(), &2.into())
    );
    assert_eq!(summary["functions"]["shop-clerk"]["woken"], 1);
}

#[test]
fn an_object_that_cannot_be_followed_is_told_before_anything_starts() {
    let shop = Shop::new();
    let refused = |object: &str| {
        let output = shop.scaled(object).output().unwrap();
        assert!(output.stdout.is_empty());
        assert_eq!(status(&shop.data()), None);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = refused(&SCALED.replace("ScaledObject", "ScaledJob"));
    assert!(code == Some(65) && told.contains("there is no ScaledObject in"), "{told}");
    let (code, told) = refused(&SCALED.replace("consumer: clerk", "consumer: clark"));
    assert!(
        code == Some(65) && told.contains("the consumer clark on INTAKE, which no function has"),
        "{told}"
    );
    assert!(told.contains("clerk on EVENTS, clerk on RETRY, clerk on INTAKE"), "{told}");
}
