//! `jetlag replay`: what a function would do today with the events that it had, and a new function's first events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jetlag::jetstream::{OperatorError, ProvisionError};
use jetlag::permissions::PROVISION;
use jetlag::topology::{EVENTS, Sizing, Start, Topology};
use jetlag::{Description, RawValue, Source};
use serde_json::json;

use super::{Target, print};
use crate::app::{self, Bench, Build};
use crate::console::Console;
use crate::moment::{self, Place};
use crate::problem::{Exit, Problem};
use crate::replay::compare::Compared;
use crate::replay::program::Program;
use crate::replay::state::{self, State};
use crate::replay::words::{self, Summary};
use crate::replay::{History, Span};

/// Run events of the stream through a function again, and compare with what it did
///
/// Reads the events that the function listens to, runs each through its own program as it is here, on a broker in memory,
/// and holds what it would commit against what it committed then. Nothing is sent to the broker. Companions of jetlag.yaml
/// that the function is told of, such as a payment gateway, are started for it, and no other is called. State is one
/// message for each key, so what it was then is gone: say with --state what the function finds. What the last of these
/// inputs left under a key is compared at the end.
///
/// With --into it runs nothing: it makes the consumer of a function that has none yet, so that its first event is the one
/// at --from. Without it a new function begins at the oldest event that is still there.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Replay {
    /// The function
    #[arg(value_name = "FUNCTION")]
    function: String,

    /// From here on: a sequence of EVENTS (41), a time (2025-01-31T08:00:00Z) or an age (90s, 15m, 2h, 3d)
    #[arg(long, value_name = "PLACE", value_parser = moment::place)]
    from: Place,

    /// Up to here, inclusive [default: to the end]
    #[arg(long, value_name = "PLACE", value_parser = moment::place, conflicts_with = "into")]
    to: Option<Place>,

    /// Only what is about this order, or whatever else events are about
    #[arg(long, value_name = "ID", conflicts_with = "into")]
    key: Option<String>,

    /// At most so many events
    #[arg(long, value_name = "N", default_value_t = LIMIT, conflicts_with = "into")]
    limit: usize,

    /// The state that the function finds: `none`, and then what the events before it left; KEY=JSON, as often as wanted, and
    /// then the same; or `now`: for every event what the stream has now
    #[arg(long, value_name = "STATE", value_parser = given, default_value = "none", conflicts_with = "into")]
    state: Vec<Given>,

    /// A field of events' data that is not compared, as often as wanted
    #[arg(long, value_name = "FIELD", conflicts_with = "into")]
    ignore: Vec<String>,

    /// Make the consumer of this new function, so that it begins at --from
    #[arg(long)]
    into: bool,

    /// Read this file instead of the nearest jetlag.yaml at or above the current directory
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,

    /// Run the binary beside this program as it is
    #[arg(long)]
    no_build: bool,

    #[command(flatten)]
    target: Target,
}

/// How many events are run unless it is said otherwise: a few seconds' worth.
const LIMIT: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  jetlag replay payment --from 2h                              after a change: is it the same?
  jetlag replay payment --from 41 --to 41                      one event
  jetlag replay payment --from 1 --key 536365 --ignore payment_id
  jetlag replay inventory --from 1 --state none -o json | jq .summary
  jetlag replay inventory --from 15m --state now               what it would do if they came now
  jetlag replay fraud --into --from 1d                         a new function: from yesterday on

Exit codes:
  0 everything as it was, or made    1 something is different    64 usage    65 the build failed
  66 no such function, or no such event    69 no answer    73 the function has a consumer already    78 configuration";

/// What the function finds.
#[derive(Debug, Clone)]
enum Given {
    None,
    Now,
    Value(String, Box<RawValue>),
}

impl Replay {
    /// Runs and compares, or makes a consumer.
    ///
    /// # Errors
    /// Something is different (1), or it could not be done.
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let build = if self.no_build { Build::Beside } else { Build::like_this_program() };
        let described = app::describe_one(self.app.as_deref(), &self.function, build, console).await?;
        self.is_possible(&described)?;
        if self.into {
            return self.begin(&described).await;
        }
        let (operator, url) = self.target.source.connect().await?;
        let unreadable = |error: OperatorError| {
            Problem::new(Exit::Unavailable, format!("the events at {url} cannot be read")).because(error)
        };
        let span = Span { from: self.from, to: self.to, key: self.key.clone(), limit: self.limit };
        let reading = History::read(&operator, &described, &span);
        let history = console.watch("reading the events", reading).await.map_err(unreadable)?;
        if history.inputs.is_empty() {
            return Err(Problem::new(
                Exit::NoInput,
                format!("EVENTS at {url} has no event from {} on that {} listens to", self.from, self.function),
            )
            .remedy("look at --from, --to and --key; `jetlag trail ORDER -o json` tells the sequences of one order"));
        }
        let is_now = self.state.iter().any(|given| matches!(given, Given::Now));
        let state = if is_now {
            History::state_now(&operator, &described).await.map_err(unreadable)?
        } else {
            self.given_state()
        };
        let quiet = if console.is_terminal() { console } else { Console::silent() };
        let bench = Bench::of(&self.function, self.app.as_deref(), build, quiet).await?;
        let limit = Duration::from_millis(described.time_limit_ms);
        let program = Program::start(&bench.program, &bench.env, limit, state, !is_now)?;
        let (compared, mut summary) = self.compare(console, program, &history).await?;
        // Whoever finds what is there now finds what it wrote itself.
        let states = if is_now { Vec::new() } else { state::compare(&history.left, &compared, &self.ignore) };
        let written: BTreeSet<&str> =
            compared.iter().flat_map(|one| &one.state).map(|written| written.key.as_str()).collect();
        summary.count_state(&states, written.len() as u64);
        self.tell(&described, &history, (&compared, &states), &summary)?;
        let Summary { inputs, different, state_different, state_missing, .. } = summary;
        if summary.is_same() {
            return Ok(());
        }
        let what = match different {
            0 => format!("{} keys of state would have another value today", state_different + state_missing),
            _ => format!("{different} of {inputs} inputs would be handled otherwise today"),
        };
        Err(Problem::new(Exit::Failed, what))
    }

    fn is_possible(&self, function: &Description) -> Result<(), Problem> {
        let several = self.state.iter().filter(|given| !matches!(given, Given::Value(..))).count();
        if several > 0 && self.state.len() > 1 {
            return Err(Problem::new(Exit::Usage, "--state none and --state now stand alone")
                .remedy("give either of them, or KEY=JSON as often as wanted"));
        }
        let name = &function.name;
        if function.reads == Source::Audit {
            return Err(Problem::new(
                Exit::Usage,
                format!("{name} reads the audit trail in order, from its first entry"),
            )
            .remedy("`jetlag audit verify` computes again what it did"));
        }
        if function.listens_to.is_empty() {
            return Err(Problem::new(Exit::Usage, format!("{name} listens to no event")));
        }
        Ok(())
    }

    fn given_state(&self) -> BTreeMap<String, Box<RawValue>> {
        let values = self.state.iter().filter_map(|given| match given {
            Given::Value(key, value) => Some((key.clone(), value.clone())),
            Given::None | Given::Now => None,
        });
        values.collect()
    }

    async fn compare(
        &self,
        console: Console,
        mut program: Program,
        history: &History,
    ) -> Result<(Vec<Compared>, Summary), Problem> {
        let bar = console.bar(history.inputs.len() as u64, "running them again");
        let (mut all, mut summary) = (Vec::with_capacity(history.inputs.len()), Summary::default());
        for input in &history.inputs {
            let reran = program.run(&input.event).await.map_err(|problem| {
                problem.details(vec![format!("at {} of EVENTS: {}", input.sequence, input.subject)])
            })?;
            let compared = Compared::of(input, &reran, &self.ignore);
            summary.count(&compared);
            all.push(compared);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok((all, summary))
    }

    fn tell(
        &self,
        function: &Description,
        history: &History,
        (compared, states): (&[Compared], &[State]),
        summary: &Summary,
    ) -> Result<(), Problem> {
        let more = history.has_more.then(|| history.inputs.last()).flatten().map(|last| last.sequence + 1);
        let text = || {
            let mut text: String = compared.iter().map(|one| words::in_words(one, &self.ignore)).collect();
            text.extend(states.iter().map(|one| words::of_state(one, &self.ignore)));
            text.push_str(&summary.in_words());
            if !function.keeps.is_empty() {
                text.push_str(&self.on_what(function));
            }
            if let Some(next) = more {
                text.push_str(&format!("there are more: go on with --from {next}, or raise --limit\n"));
            }
            text
        };
        let whole = json!({"function": function.name, "summary": summary, "inputs": compared, "state": states, "next": more});
        print(self.target.output, text, &whole)
    }

    /// On what state it was run, and what that means.
    fn on_what(&self, function: &Description) -> String {
        let kinds = function.keeps.join(", ");
        let as_then = "It is what it had then only if every event that it ever had is among these";
        let found = match self.state.first() {
            Some(Given::Now) => {
                "for every event it found what the stream has now, which is not what it had then"
            }
            Some(Given::Value(..)) => {
                &format!("it found what you gave, and then what the events before had left. {as_then}")
            }
            _ => &format!("it found nothing, and then what the events before had left. {as_then}"),
        };
        format!("{} keeps state ({kinds}): {found}.\n", function.name)
    }

    /// Makes the consumer of a function that is new.
    async fn begin(&self, function: &Description) -> Result<(), Problem> {
        let (operator, url) = self.target.source.connect_as(PROVISION).await?;
        let name = &function.name;
        let cannot = |what: String| Problem::new(Exit::Unavailable, what);
        let there =
            operator.progress_of(EVENTS, name).await.or_else(absent).map_err(|error| {
                cannot(format!("the consumers at {url} cannot be looked at")).because(error)
            })?;
        if let Some(there) = there {
            let what = format!(
                "{name} has its consumer at {url} already: it was given events up to {}",
                there.delivered
            );
            return Err(Problem::new(Exit::CannotCreate, what).remedy(format!(
                "it goes on from there; `jetlag replay {name} --from …` runs earlier events again with effects off"
            )));
        }
        let start = match self.from {
            Place::Sequence(sequence) => Start::Sequence(sequence),
            Place::Time(at) => Start::Time(at),
        };
        let topology = Topology::of(std::slice::from_ref(function), &Sizing::default()).starting_at(start);
        let done = operator.provision(&topology).await.map_err(|error| not_made(error, &url))?;
        let pending =
            operator.progress_of(EVENTS, name).await.ok().flatten().map_or(0, |progress| progress.pending);
        let text = || {
            let mut text: String = done.created.iter().map(|what| format!("made      {what}\n")).collect();
            text.push_str(&format!("{name} begins at {}: {pending} events wait for it\n", self.from));
            text
        };
        print(self.target.output, text, &json!({"provisioned": done, "from": self.from, "pending": pending}))
    }
}

/// Where there is no stream, there is no consumer either: both are made.
fn absent<T>(error: OperatorError) -> Result<Option<T>, OperatorError> {
    match error {
        OperatorError::Refused(why) if why.contains("10059") => Ok(None),
        error => Err(error),
    }
}

fn not_made(error: ProvisionError, url: &str) -> Problem {
    let exit = if matches!(error, ProvisionError::Differs { .. }) { Exit::Config } else { Exit::Unavailable };
    Problem::new(exit, format!("its consumers cannot be made at {url}")).because(error)
}

fn given(text: &str) -> Result<Given, String> {
    match text.split_once('=') {
        None if text == "none" => Ok(Given::None),
        None if text == "now" => Ok(Given::Now),
        None => Err("it is none, now, or KEY=JSON".to_owned()),
        Some((key, json)) => {
            let value =
                RawValue::from_string(json.to_owned()).map_err(|error| format!("not JSON: {error}"))?;
            Ok(Given::Value(key.to_owned(), value))
        }
    }
}
