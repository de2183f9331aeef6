//! Many events through one program, one after the other, with effects off: what `jetlag replay` asks for.
//!
//! Each event has a broker in memory of its own; state is carried from one to the next if that is asked for. Nothing that
//! a handler returns leaves the program; what it calls in the outside world is what its environment names.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::function::{EXIT_SOFTWARE, say};
use crate::handler::Bindings;
use crate::invoke::run::{REQUEST_BYTES_MAX, print, report};
use crate::invoke::{Input, Report, Request};

/// One event to be run again: one line on standard input of `--rerun`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rerun {
    /// The event, as JSON.
    pub event: String,
    /// The function's state from now on, instead of what there was: `<kind>/<key>` to value.
    pub state: Option<BTreeMap<String, Box<RawValue>>>,
    /// Whether the next event finds the state that this one leaves.
    pub carry: bool,
}

/// What came of one event: one line on standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reran {
    /// It was run. The report's `state` is empty: what was written stands in its deliveries.
    Report(Report),
    /// It was not, for this reason.
    Refused(String),
}

/// Runs one event for each line, until standard input ends.
pub(crate) fn run(bindings: &Bindings) -> ExitCode {
    let name = bindings.terms.name;
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        say(&format!("{name}: no runtime can be made"));
        return ExitCode::from(EXIT_SOFTWARE);
    };
    let mut lines = BufReader::new(std::io::stdin().lock());
    let mut state = BTreeMap::new();
    loop {
        let mut line = String::new();
        match lines.by_ref().take(REQUEST_BYTES_MAX).read_line(&mut line) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(_) => {}
            Err(error) => {
                say(&format!("{name}: standard input cannot be read: {error}"));
                return ExitCode::from(EXIT_SOFTWARE);
            }
        }
        let reran = runtime.block_on(one(bindings, &line, &mut state));
        print(&serde_json::to_string(&reran).unwrap_or_default());
    }
}

/// Runs the event in `line` on `state`.
async fn one(bindings: &Bindings, line: &str, state: &mut BTreeMap<String, Box<RawValue>>) -> Reran {
    let Rerun { event, state: given, carry } = match serde_json::from_str(line) {
        Ok(rerun) => rerun,
        Err(error) => return Reran::Refused(format!("the request is not understood: {error}")),
    };
    if let Some(given) = given {
        *state = given;
    }
    let request = Request { input: Input::Bytes(event), state: state.clone(), ..Request::default() };
    match report(bindings.clone(), request).await {
        Ok(mut report) => {
            let left = std::mem::take(&mut report.state);
            if carry {
                *state = left;
            }
            Reran::Report(report)
        }
        Err(refused) => Reran::Refused(refused.to_string()),
    }
}
