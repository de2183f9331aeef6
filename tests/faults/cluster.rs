//! Three servers with three copies of every stream: a leader dies, a follower dies, the majority is away and comes back.

use std::time::{Duration, Instant};

use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{EVENTS, Sizing};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{free_port, until};

use crate::field::{ask, balances, events, topology};
use crate::process::{Launch, Process};
use crate::server::Server;

struct Cluster {
    servers: Vec<Server>,
    directory: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let settings = json!({
                "server_name": format!("s{number}"),
                "cluster": {"name": "faults", "listen": format!("127.0.0.1:{port}"), "routes": routes},
                "lame_duck_grace_period": "1s",
                "lame_duck_duration": "30s",
            });
            servers.push(Server::start(&directory.path().join(format!("s{number}")), settings).await);
        }
        Self { servers, directory }
    }

    fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// The number of the server that leads EVENTS, once all three have every copy.
    async fn leader(&self) -> usize {
        until("whole cluster with a leader", async || {
            let client = async_nats::connect(self.urls().split(',').collect::<Vec<_>>()).await.ok()?;
            let mut leader = None;
            for stream in ["RETRY", "INTAKE", "DLQ", "AUDIT", EVENTS] {
                let asked = client.request(format!("$JS.API.STREAM.INFO.{stream}"), "".into());
                let answer = tokio::time::timeout(Duration::from_secs(2), asked).await.ok()?.ok()?;
                let info: Value = serde_json::from_slice(&answer.payload).ok()?;
                let replicas = info["cluster"]["replicas"].as_array()?;
                let all = replicas.len() == 2 && replicas.iter().all(|one| one["current"] == true);
                leader = all.then(|| info["cluster"]["leader"].as_str().map(str::to_owned)).flatten();
                leader.as_ref()?;
            }
            leader?.strip_prefix('s')?.parse().ok()
        })
        .await
    }
}

pub async fn cluster_that_loses_its_leader_a_follower_and_its_majority_loses_nothing() {
    let mut cluster = Cluster::start().await;
    let urls = cluster.urls();
    let operator = Operator::connect(&Connection::to(&urls)).await.unwrap();
    let wanted = topology(&Sizing { replicas: 3, ..Sizing::default() }).await;
    until("streams with three copies", async || operator.provision(&wanted).await.ok()).await;
    let env = [("JETLAG_PROVISION", "false")];
    let launch = Launch { broker: &urls, directory: cluster.directory.path(), env: &env, namespace: None };
    let teller = Process::start(&launch);
    teller.ready().await;
    ask(&teller, "calm", 10, 50).await;

    let leader = cluster.leader().await;
    ask(&teller, "across", 10, 50).await;
    cluster.servers[leader].end(Signal::KILL).await;
    let took = taken_again(&teller, &operator, "leaderless").await;
    println!("leader killed: {took:?} to the first new event handled");
    balances(&operator, 21).await;
    cluster.servers[leader].run().await;

    let follower = (cluster.leader().await + 1) % 3;
    cluster.servers[follower].end(Signal::KILL).await;
    let took = taken_again(&teller, &operator, "follower").await;
    println!("follower killed: {took:?} to the first new event handled");
    balances(&operator, 22).await;
    cluster.servers[follower].run().await;

    let leader = cluster.leader().await;
    let away = [leader, (leader + 1) % 3];
    for one in away {
        cluster.servers[one].end(Signal::KILL).await;
    }
    let (took, report) = teller.unready().await;
    println!("majority killed: not ready after {took:?}: {}", report["conditions"]);
    assert!(took < Duration::from_secs(30), "it was ready for {took:?}");
    let (status, retry_after, problem) = teller.ask("minority-0", 10, 0).await;
    assert_eq!((status, retry_after.as_deref()), (503, Some("1")), "{problem}");
    for one in away {
        cluster.servers[one].run().await;
    }
    let took = taken_again(&teller, &operator, "minority").await;
    println!("majority back: {took:?} to the first new event handled");
    teller.ready().await;
    balances(&operator, 23).await;

    // A server that is taken out of service hands its streams over, and its clients go elsewhere.
    let leader = cluster.leader().await;
    cluster.servers[leader].signal(Signal::USR2);
    let took = taken_again(&teller, &operator, "duck").await;
    println!("lame duck: {took:?} to the first new event handled");
    cluster.servers[leader].ended().await;
    ask(&teller, "after", 3, 10).await;
    balances(&operator, 27).await;
    assert_eq!(teller.said("function started"), 1, "one process, all the while");
}

/// Asks one question until it is taken, and waits for the answer.
async fn taken_again(teller: &Process, operator: &Operator, name: &str) -> Duration {
    let began = Instant::now();
    ask(teller, name, 1, 10).await;
    until(&format!("answer to {name}"), async || {
        (!events(operator, &format!("answers.told.{name}-0.*")).await.is_empty()).then_some(())
    })
    .await;
    began.elapsed()
}
