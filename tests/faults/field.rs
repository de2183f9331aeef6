//! The field of a test: a directory, a broker with the streams of the function, and the books that must balance.

use std::collections::BTreeMap;
use std::path::Path;

use jetlag::Description;
use jetlag::jetstream::{Connection, Operator, ReadMessage};
use jetlag::topology::{DEAD_LETTERS, EVENTS, Sizing, Topology};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::until;
use tokio::process::Command;

use crate::process::{Launch, Process};
use crate::server::Server;

/// One server, and what is needed around it.
pub struct Field {
    pub server: Server,
    /// The user that tests are, with its password, such as `admin:secret@`; nobody where there are no users.
    pub login: &'static str,
    directory: TempDir,
}

impl Field {
    /// A server with `settings`, running, without streams.
    pub async fn new(settings: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(&directory.path().join("broker"), settings).await;
        Self { server, login: "", directory }
    }

    /// The same, and every interface of the machine leads to the server.
    pub async fn on_every_interface(settings: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Server::new(&directory.path().join("broker"), settings).await.on_every_interface();
        server.run().await;
        Self { server, login: "", directory }
    }

    /// The usual: a running server, and one teller that is ready.
    pub async fn with_teller() -> (Self, Process) {
        let field = Self::new(json!({})).await;
        let teller = field.teller(&[]);
        teller.ready().await;
        (field, teller)
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A teller of this broker, just started.
    pub fn teller(&self, env: &[(&str, &str)]) -> Process {
        self.teller_at(&self.server.url(), env)
    }

    /// A teller that finds the broker at `url`.
    pub fn teller_at(&self, url: &str, env: &[(&str, &str)]) -> Process {
        Process::start(&Launch { broker: url, directory: self.path(), env, namespace: None })
    }

    pub async fn operator(&self) -> Operator {
        Operator::connect(&Connection::to(self.operators_url())).await.unwrap()
    }

    fn operators_url(&self) -> String {
        self.server.url().replace("://", &format!("://{}", self.login))
    }

    /// Makes the streams and consumers of a teller.
    pub async fn provision(&self) {
        self.operator().await.provision(&topology(&Sizing::default()).await).await.unwrap();
    }

    /// Asks the broker's own API.
    pub async fn request(&self, subject: &str, body: Value) -> Value {
        let client = async_nats::connect(self.operators_url()).await.unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = client.request(subject.to_owned(), body.into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer.get("error").is_none(), "{subject}: {answer}");
        answer
    }

    /// Waits until every question that was taken is answered, and balances.
    pub async fn settles(&self) {
        let operator = self.operator().await;
        let asked = until("answers to everything", async || {
            let asked = events(&operator, "questions.asked.*.*").await.len();
            let told = events(&operator, "answers.told.*.*").await.len();
            (asked == told && asked > 0).then_some(asked)
        })
        .await;
        balances(&operator, asked).await;
    }

    /// How often the handler ran for each question.
    pub fn runs(&self) -> BTreeMap<String, usize> {
        let journal = std::fs::read_to_string(self.path().join("journal")).unwrap_or_default();
        let mut runs = BTreeMap::new();
        for line in journal.lines() {
            *runs.entry(line.to_owned()).or_default() += 1;
        }
        runs
    }

    /// Waits until `questions` are answered, and makes sure that each was once: in the stream, and in the tallies.
    pub async fn balances(&self, questions: usize) {
        balances(&self.operator().await, questions).await;
    }
}

/// See [`Field::balances`].
pub async fn balances(operator: &Operator, questions: usize) {
    let answers = until(&format!("{questions} answers"), async || {
        let answers = events(operator, "answers.told.*.*").await;
        (answers.len() >= questions).then_some(answers)
    })
    .await;
    assert_eq!(answers.len(), questions, "an answer too many");
    let aggregate = |message: &ReadMessage| message.subject.split('.').nth(2).map(str::to_owned);
    let told: std::collections::BTreeSet<_> = answers.iter().filter_map(aggregate).collect();
    assert_eq!(told.len(), questions, "one question was answered twice");
    let mut tallies = events(operator, "state.teller.*").await;
    // The runtime keeps state of its own beside the function's.
    tallies.retain(|state| state.subject.contains(".tally%2F"));
    let count = |message: &ReadMessage| {
        serde_json::from_slice::<Value>(&message.payload).unwrap()["count"].as_u64().unwrap()
    };
    assert_eq!(tallies.iter().map(count).sum::<u64>(), questions as u64, "the tallies count otherwise");
    let letters = until("dead letter stream", async || operator.stream_state(DEAD_LETTERS).await.ok()).await;
    assert_eq!(letters.messages, 0, "no dead letters");
}

/// Every event that matches `filter`; empty while the broker does not answer.
pub async fn events(operator: &Operator, filter: &str) -> Vec<ReadMessage> {
    operator.read(EVENTS, filter, 1).await.unwrap_or_default()
}

/// What the teller needs of a broker, as it says itself.
pub async fn topology(sizing: &Sizing) -> Topology {
    Topology::of(&[description().await], sizing)
}

/// What the teller says of itself.
pub async fn description() -> Description {
    let said = Command::new(env!("CARGO_BIN_EXE_teller")).arg("--describe").output().await.unwrap();
    serde_json::from_slice(&said.stdout).unwrap()
}

/// Asks `count` questions, each until it is taken; a question that is asked twice is there once.
pub async fn ask(teller: &Process, name: &str, count: usize, takes_ms: u64) {
    for number in 0..count {
        let id = format!("{name}-{number}");
        until(&format!("place for {id}"), async || {
            (teller.ask(&id, takes_ms, 0).await.0 == 202).then_some(())
        })
        .await;
    }
}

/// Says that a test is skipped, and why; where nothing may be skipped, it fails instead.
pub fn skip(why: &str) {
    assert!(std::env::var_os("JETLAG_SKIP_NOTHING").is_none(), "this must not be skipped here: {why}");
    println!("skipped: {why}");
}
