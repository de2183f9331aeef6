//! A function that ends its own process in every way that its inputs ask for; its journal tells of every run.

#![allow(clippy::expect_used, clippy::exit, missing_docs, unreachable_pub, reason = "it is here to crash")]

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jetlag::{Contract, Environment, Event, Failure, Function, Payload, Retry};
use serde::{Deserialize, Serialize};

/// What a run does to its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    Abort,
    Overflow,
    Memory,
    Survive,
}

/// A run that is asked for: it works for so long, and then does that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wanted {
    pub id: String,
    pub how: How,
    pub after_ms: u64,
}

impl Payload for Wanted {
    const TYPE: &'static str = "crash.wanted";
    const AGGREGATE: &'static str = "crash";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "C-1".into(), how: How::Survive, after_ms: 10 }
    }
}

/// It did not end the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Survived {
    pub id: String,
}

impl Payload for Survived {
    const TYPE: &'static str = "crash.survived";
    const AGGREGATE: &'static str = "crash";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "C-1".into() }
    }
}

const CONTRACT: Contract<Wanted, Survived> =
    Contract::new("crasher", "Ends its process when it is asked to.")
        .retry(Retry::exponential(Duration::from_secs(1)).attempts(3))
        .time_limit(Duration::from_secs(5))
        .concurrency(8);

struct Journal(PathBuf);

impl Journal {
    /// One line, in one write: it is there whatever happens next.
    fn note(&self, what: &str, id: &str) {
        let line = format!("{what} {id} {}\n", std::process::id());
        let file = std::fs::File::options().create(true).append(true).open(&self.0);
        file.expect("a journal").write_all(line.as_bytes()).expect("a journal to write to");
    }
}

async fn crash(journal: &Journal, event: Event<Wanted>) -> Result<Survived, Failure> {
    let Wanted { id, how, after_ms } = event.data;
    journal.note("begin", &id);
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    match how {
        How::Abort => std::process::abort(),
        How::Overflow => drop(black_box(bottomless(0))),
        How::Memory => hoard(),
        How::Survive => {}
    }
    journal.note("end", &id);
    Ok(Survived { id })
}

#[allow(unconditional_recursion, reason = "the stack is to overflow")]
fn bottomless(depth: u64) -> u64 {
    black_box([depth; 64]);
    bottomless(depth + 1) + 1
}

/// What is taken at a time; nothing is written to it, so that it costs the machine nothing.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// Takes memory until there is none.
fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(Vec::<u8>::with_capacity(CHUNK_BYTES)));
    }
}

fn main() -> ExitCode {
    let journal = |env: &mut Environment| Journal(env.text("CRASHER_JOURNAL", "a line for every run").into());
    Function::new(CONTRACT, journal, crash).run()
}
