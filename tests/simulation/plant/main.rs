//! Plants bugs in a copy of the core, one at a time, and looks how soon the simulation finds each:
//! `plant [--seeds 30000] [--seconds 240] [--only WORDS]`. Prints a table in Markdown.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "a tool for tests"
)]

mod bug;
mod tree;
mod trial;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bug::Bug;
use tree::Tree;
use trial::{Found, Trial};

/// The bugs.
const BUGS: &str = include_str!("bugs.txt");
const USAGE: &str = "plant [--seeds COUNT] [--seconds LIMIT] [--only WORDS]";
/// How many seeds are tried for a bug, and for how long, if nobody says otherwise.
const SEEDS: u64 = 30_000;
const SECONDS: u64 = 240;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Whether the simulation found every bug that it is to find.
fn run(arguments: &[String]) -> Result<bool, String> {
    let (mut trial, mut only) = (Trial { seeds: SEEDS, limit: Duration::from_secs(SECONDS) }, "");
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(USAGE.into()) };
        let number = || value.parse().map_err(|_| format!("{value} is not a number; {USAGE}"));
        match name.as_str() {
            "--seeds" => trial.seeds = number()?,
            "--seconds" => trial.limit = Duration::from_secs(number()?),
            "--only" => only = value,
            _ => return Err(USAGE.into()),
        }
    }
    let bugs = bug::read(BUGS)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the repository has a root")?;
    let tree = Tree::copy(root)?;
    // All of them first: what no longer applies is an error, and it is soon found.
    for bug in &bugs {
        tree.planted(bug)?;
    }
    eprintln!("building the core as it is, and what it needs: this takes a while the first time");
    tree.build()?;
    if let Found::By { seed, why, .. } = trial.run(&tree.simulate())? {
        return Err(format!("seed {seed} fails without any bug: {why}"));
    }
    println!("| Planted bug | Found by seed | Seeds tried | Seconds | What it said |\n|---|---|---|---|---|");
    let mut all_found = true;
    for bug in bugs.iter().filter(|bug| bug.name.contains(only)) {
        tree.plant(bug)?;
        let found = tree.build().and_then(|()| trial.run(&tree.simulate()));
        tree.clear(bug)?;
        let found = found.map_err(|why| format!("{}: {why}", bug.name))?;
        all_found &= matches!(found, Found::By { .. });
        println!("{}", found.row(bug));
    }
    Ok(all_found)
}

/// What a cell of a table may hold.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

impl Found {
    /// The line of the table.
    fn row(&self, bug: &Bug) -> String {
        let name = if bug.was_there { format!("{} *(was there)*", bug.name) } else { bug.name.clone() };
        match self {
            Self::By { seed, tried, took, why } => {
                let seconds = took.as_secs_f64();
                format!("| {} | {seed} | {tried} | {seconds:.1} | {} |", cell(&name), cell(why))
            }
            Self::Not { tried, took } => {
                let seconds = took.as_secs_f64();
                format!("| {} | **not found** | {tried} | {seconds:.1} | |", cell(&name))
            }
        }
    }
}
