//! A small function to break the broker under: it takes questions over HTTP, from the stream and from INTAKE, and answers
//! each in one commit of an event and a tally. It writes down every run of its handler, so that a test can tell work that
//! was done again from work that had its effects again.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use jetlag::{
    Contract, Effects, Endpoint, Environment, Event, EventKind, Failure, Fault, Function, Payload, State,
    Stored, Trigger, kind_of,
};
use serde::{Deserialize, Serialize};

const CONTRACT: Contract<Asked, Spoken> =
    Contract::new("teller", "Answers questions, and counts them by topic.")
        .admits(&[EventKind::of::<Asked>()])
        .keeps(&[kind_of::<Tally>()])
        .time_limit(Duration::from_secs(60))
        .concurrency(16);

/// The one that needs no broker.
const HERALD: Contract<Asked, Told> =
    Contract::new("herald", "Answers questions, to whoever asked and to the topic, and counts nothing.")
        .trigger(Trigger::Http)
        .concurrency(16);

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    question_id: String,
    topic: String,
    /// How long the answer takes.
    takes_ms: u64,
    /// Makes it larger, and its answer too.
    #[serde(default)]
    padding: String,
    /// Makes its answer larger, by so many bytes.
    #[serde(default)]
    answer_bytes: usize,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    question_id: String,
    padding: String,
}

jetlag::one_of! {
    /// What is said: answers by the handler, questions by whoever asks over HTTP.
    enum Spoken { Asked(Asked), Told(Told) }
}

/// How many questions of a topic were answered.
#[derive(Default, Serialize, Deserialize)]
struct Tally {
    count: u64,
}

impl Payload for Asked {
    const TYPE: &'static str = "questions.asked";
    const AGGREGATE: &'static str = "question";
    const ONCE_PER_AGGREGATE: bool = true;

    fn aggregate_id(&self) -> &str {
        &self.question_id
    }

    fn example() -> Self {
        Self {
            question_id: "Q-1".into(),
            topic: "weather".into(),
            takes_ms: 5,
            padding: String::new(),
            answer_bytes: 0,
        }
    }
}

impl Payload for Told {
    const TYPE: &'static str = "answers.told";
    const AGGREGATE: &'static str = "question";

    fn aggregate_id(&self) -> &str {
        &self.question_id
    }

    fn example() -> Self {
        Self { question_id: "Q-1".into(), padding: String::new() }
    }
}

impl Stored for Tally {
    const KIND: &'static str = "tally";
}

/// Where runs are written down, and what makes this process slower than others.
struct Journal {
    path: String,
    slower_ms: u64,
}

impl Journal {
    fn from_env(env: &mut Environment) -> Self {
        Self {
            path: env.text_or("TELLER_JOURNAL", "/dev/null", "file in which every run is written down"),
            slower_ms: env.parsed_or("TELLER_SLOWER_MS", 0, "how much longer this process takes to answer"),
        }
    }

    /// One write of one line at the end of the file: several processes may share it.
    fn note(&self, question_id: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(format!("{question_id}\n").as_bytes())
    }
}

async fn tell(journal: &Journal, event: Event<Asked>, state: State) -> Result<Effects<Spoken>, Failure> {
    let Asked { question_id, topic, takes_ms, padding, answer_bytes } = event.data;
    journal.note(&question_id)?;
    tokio::time::sleep(Duration::from_millis(takes_ms + journal.slower_ms)).await;
    let tally: Tally = state.get(&topic).await?.unwrap_or_default();
    let told = Effects::emit(Told { question_id, padding: padding + &"x".repeat(answer_bytes) });
    Ok(told.put(&topic, &Tally { count: tally.count + 1 }))
}

async fn proclaim(journal: &Journal, event: Event<Asked>) -> Result<Effects<Told>, Failure> {
    let Asked { question_id, topic, takes_ms, padding, .. } = event.data;
    journal.note(&question_id)?;
    tokio::time::sleep(Duration::from_millis(takes_ms)).await;
    let told = |question_id| Told { question_id, padding: padding.clone() };
    Ok(Effects::emit(told(question_id)).and_emit(told(topic)))
}

/// The body of a request is the question itself.
fn ask(asked: Asked, _: &str) -> Result<Asked, Vec<Fault>> {
    Ok(asked)
}

fn main() -> ExitCode {
    if std::env::var_os("TELLER_IS_HERALD").is_some() {
        return Function::new(HERALD, Journal::from_env, proclaim).run();
    }
    Function::new(CONTRACT, Journal::from_env, tell).endpoint(Endpoint::post("/questions", ask)).run()
}
