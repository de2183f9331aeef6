//! A function that is scaled, with an endpoint that says what it is told to, and processes that do nothing.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use jetlag::Description;
use keda::decision::{Fallback, FallbackBehaviour, Trigger};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::scaled::Surroundings;
use super::*;
use crate::console::Console;
use crate::problem::Problem;
use crate::supervisor::process::Output;
use crate::supervisor::spawn::Spawner;
use crate::supervisor::{Addresses, Board, Group, Kind, Launch, Phase, Service, Tier};

/// A minute is over in six tenths of a second.
const SPEED: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// A process that does nothing until it is told to stop, and then says so.
struct Idler(String);

impl Service for Idler {
    fn name(&self) -> &str {
        &self.0
    }

    fn kind(&self) -> Kind {
        Kind::Function
    }

    fn launch(&self, _: &Addresses) -> Result<Launch, Problem> {
        let script =
            "trap 'echo finished; exit 0' TERM; echo listening on http://here; while :; do sleep 0.02; done";
        let args = vec!["-c".to_owned(), script.to_owned()];
        Ok(Launch { program: "sh".into(), args, ..Launch::default() })
    }

    async fn up(&self, _: u32, output: &Output, _: &Addresses) -> Result<Addresses, Problem> {
        Ok(output.announced(&["http"]).await)
    }

    fn start_limit(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// What the endpoint says of payment's consumer on EVENTS: a lag, or nothing that can be read.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Option<u64>>>);

impl Said {
    fn lag(&self, lag: impl Into<Option<u64>>) {
        *self.0.lock().unwrap() = lag.into();
    }

    fn body(&self) -> String {
        let Some(lag) = *self.0.lock().unwrap() else { return "nats is away".to_owned() };
        let consumer = serde_json::json!({"name": "payment", "num_pending": lag / 2, "num_ack_pending": lag.div_ceil(2)});
        let stream = serde_json::json!({"name": "EVENTS", "consumer_detail": [consumer]});
        serde_json::json!({"account_details": [{"name": "$G", "stream_detail": [stream]}]}).to_string()
    }
}

/// Payment, scaled.
struct Stage {
    said: Said,
    changes: Arc<Mutex<VecDeque<Change>>>,
    board: Board,
    tier: Arc<Tier>,
    task: JoinHandle<()>,
    data: TempDir,
}

impl Stage {
    async fn with(settings: Settings) -> Self {
        let said = Said::default();
        said.lag(0);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let saying = said.clone();
        let router = Router::new().route("/jsz", get(async move || saying.body()));
        tokio::spawn(async move { axum::serve(listener, router).await });

        let data = tempfile::tempdir().unwrap();
        let (console, spawner) = (Console::silent(), Arc::new(Spawner::start().await.unwrap()));
        let board = Board::new(data.path(), console);
        let tier = Arc::new(Tier::new(spawner, board.clone(), console, data.path()));
        let changes: Arc<Mutex<VecDeque<Change>>> = Arc::default();
        let told = {
            let changes = Arc::clone(&changes);
            Told::new(move |change| changes.lock().unwrap().push_back(change))
        };
        let endpoint = Arc::new(Endpoint::new(&url, console).unwrap());
        let surroundings = Surroundings { endpoint, clock: Clock::start(SPEED), sync: SYNC, told, console };
        let watched = vec![Watched { stream: "EVENTS".to_owned(), consumer: "payment".to_owned() }];
        let plan = Plan { settings, watched, origin: Origin::Contract };
        let group = Group::new("payment", Arc::clone(&tier), Idler);
        let scaled = Scaled::new("payment".to_owned(), plan, group, board.changes(), surroundings);
        Self { said, changes, board, tier, task: tokio::spawn(scaled.run()), data }
    }

    /// Waits for a change that is as wanted, and forgets those before it.
    async fn change(&self, what: &str, is_wanted: impl Fn(&Change) -> bool) -> Change {
        ::tests::until(what, async || {
            let mut changes = self.changes.lock().unwrap();
            while let Some(change) = changes.pop_front() {
                if is_wanted(&change) {
                    return Some(change);
                }
            }
            None
        })
        .await
    }

    async fn replicas(&self, replicas: u32) -> Change {
        let is_wanted =
            |change: &Change| change.replicas == replicas && matches!(change.what, What::Replicas { .. });
        self.change(&format!("change to {replicas} replicas"), is_wanted).await
    }

    async fn ready(&self, ready: u32) -> Change {
        self.change(&format!("{ready} ready processes"), |change| {
            change.ready == ready && change.stopping == 0
        })
        .await
    }

    fn names(&self) -> Vec<String> {
        self.board.status().processes.into_iter().map(|entry| entry.name).collect()
    }
}

fn settings() -> Settings {
    let trigger = Trigger { name: "events".to_owned(), target: 10.try_into().unwrap(), activation: 0 };
    let (polling, cooldown) = (Duration::from_secs(5), Duration::from_secs(60));
    Settings { polling, cooldown, max: 3, triggers: vec![trigger], ..Settings::default() }
}

fn by(change: &Change) -> By {
    let What::Replicas { by, .. } = change.what else { panic!("{change:?}") };
    by
}

#[tokio::test]
async fn keda_starts_the_first_and_stops_the_last_and_the_hpa_decides_in_between() {
    let stage = Stage::with(settings()).await;
    stage.said.lag(25);
    let first = stage.replicas(1).await;
    assert_eq!((by(&first), first.lag["events"]), (By::Keda, Some(25)));
    let more = stage.replicas(3).await;
    assert_eq!(by(&more), By::Hpa);
    stage.ready(3).await;
    assert_eq!(stage.names(), ["payment", "payment-2", "payment-3"]);
    let pids: Vec<_> = stage.board.status().processes.iter().map(|entry| entry.pid.unwrap()).collect();

    stage.said.lag(0);
    let none = stage.replicas(0).await;
    assert_eq!(by(&none), By::Keda);
    let What::Replicas { why, .. } = none.what else { panic!() };
    assert_eq!(why, "no lag for the whole cooldown");
    stage.change("end of all", |change| change.processes() == 0).await;
    assert_eq!(stage.names(), [""; 0], "up.json has what runs");
    for name in ["payment", "payment-2", "payment-3"] {
        let log = std::fs::read_to_string(stage.data.path().join(format!("{name}.log"))).unwrap();
        assert!(log.ends_with("finished\n"), "each is asked to stop, and finishes: {log}");
    }
    assert!(pids.iter().all(|pid| crate::supervisor::identity::of(*pid).is_none()));
    stage.said.lag(1);
    stage.replicas(1).await;
    stage.ready(1).await;
    // The HPA remembers the three for five minutes, which are 3 s here, and may have started more by now.
    assert_eq!(stage.names().first().map(String::as_str), Some("payment"), "a name is free again");
}

#[tokio::test]
async fn while_the_endpoint_is_away_the_fallback_starts_one_and_stops_none() {
    let fallback = Fallback { threshold: 3, replicas: 2, behaviour: FallbackBehaviour::CurrentIfHigher };
    let stage = Stage::with(Settings { fallback: Some(fallback), ..settings() }).await;
    stage.said.lag(None);
    let unread = stage.change("lag that cannot be read", |change| change.lag["events"].is_none()).await;
    assert_eq!(unread.replicas, 0, "not at the first failure");
    stage.replicas(1).await;
    stage.replicas(2).await;
    stage.ready(2).await;
    stage.said.lag(0);
    stage.replicas(0).await;
    assert_eq!(
        stage.changes.lock().unwrap().iter().filter(|change| change.lag["events"].is_none()).count(),
        0
    );
}

#[tokio::test]
async fn a_process_that_dies_is_started_again_and_one_that_is_not_wanted_is_not() {
    let stage = Stage::with(Settings { min: 1, max: 1, ..settings() }).await;
    assert!(
        matches!(stage.replicas(1).await.what, What::Replicas { before: 0, .. }),
        "at least one, without lag"
    );
    stage.ready(1).await;
    let kill = |name: &str| {
        let pid = stage.board.entry(name).unwrap().pid.unwrap();
        std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    };
    kill("payment");
    stage.ready(0).await;
    stage.ready(1).await;
    assert_eq!(stage.board.entry("payment").unwrap().restarts, 1);
    stage.task.abort();
    stage.tier.retire("payment");
    ::tests::until("end of it", async || stage.board.entry("payment").is_none().then_some(())).await;
    assert!(stage.board.status().processes.iter().all(|entry| entry.phase != Phase::Waiting));
}

#[tokio::test]
async fn a_tier_that_stops_starts_nothing_more() {
    let stage = Stage::with(settings()).await;
    stage.said.lag(5);
    stage.ready(1).await;
    stage.tier.order(crate::supervisor::Order::Drain);
    stage.said.lag(100);
    stage.tier.ended().await;
    let entries = stage.board.status().processes;
    assert!(entries.iter().all(|entry| entry.phase == Phase::Stopped), "{entries:?}");
    assert!(stage.tier.start(Idler("late".to_owned())).is_err());
}

#[test]
fn the_generated_object_is_what_is_committed_of_each_function() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keda/base");
    let committed = Objects::read(&[], &Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    let contracts = std::fs::read_to_string(directory.join("provision.yaml")).unwrap();
    let (_, json) = contracts.split_once("contracts.json: |-").unwrap();
    let json: String = json.lines().skip(1).take_while(|line| line.starts_with("    ")).collect();
    let contracts: serde_json::Value = serde_json::from_str(&json).unwrap();
    let functions: Vec<Description> = serde_json::from_value(contracts["functions"].clone()).unwrap();
    assert_eq!(functions.len(), 5);
    let topology = jetlag::topology::Topology::of(&functions, &jetlag::topology::Sizing::default());
    let nothing = tempfile::tempdir().unwrap();
    let generated = Objects::read(&[], nothing.path()).unwrap();
    for function in functions {
        let of = |objects: &Objects| objects.plan(&function, &topology).unwrap().unwrap();
        let (committed, generated) = (of(&committed), of(&generated));
        assert_eq!(committed.settings, generated.settings, "{}", function.name);
        assert_eq!(committed.watched, generated.watched, "{}", function.name);
        assert!(matches!(committed.origin, Origin::File(_)), "{committed}");
    }
}
