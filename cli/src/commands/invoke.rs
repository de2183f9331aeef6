//! `jetlag invoke`: one event through the true pipeline of one function.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use jetlag::invoke::{Crash, Input, Parts, Report, Request};
use jetlag::{Envelope, RawValue};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{Format, print};
use crate::app::{self, Bench, Build};
use crate::console::Console;
use crate::invoked::{self, fixture};
use crate::problem::{Exit, Problem};

/// How long one invocation may take, companions aside: eight attempts at their longest.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// Run one event through a function's own program
///
/// The program runs the very pipeline that it runs behind a broker (reading, guard, state, commit, retry, dead letter), on a
/// broker in memory: no network of its own, and nothing left behind. Companions of jetlag.yaml that the function is told of,
/// such as a payment gateway, are started for it. Waits between attempts are not waited for.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Invoke {
    /// The function
    #[arg(value_name = "FUNCTION")]
    function: String,

    #[command(flatten)]
    event: Event,

    /// The function's state before it: KIND/KEY=JSON, or a file with a JSON object of such keys, as often as wanted
    #[arg(long, value_name = "KEY=JSON|FILE", value_parser = given)]
    state: Vec<Given>,

    #[command(flatten)]
    faults: Faults,

    /// Post it as a CloudEvent to a function that runs at this URL (JETLAG_TRIGGER=http or both), instead
    #[arg(long, value_name = "URL", conflicts_with_all = ["state", "attempt", "duplicate", "fail_first", "crash", "timeout"])]
    url: Option<String>,

    /// Send it through the broker of the `up` that runs here, or of NATS_URL, to the function that runs, instead: to that
    /// function alone, and once, or twice with --duplicate. What that commits is shown; its state is not
    #[arg(long, conflicts_with_all = ["url", "save", "state", "attempt", "fail_first", "crash", "timeout"])]
    broker: bool,

    /// Keep the event as a fixture of the function, for --fixture: fixtures/NAME.json in its directory
    #[arg(long, value_name = "NAME", value_parser = fixture_name, conflicts_with = "url")]
    save: Option<String>,

    /// Read this file instead of the nearest jetlag.yaml at or above the current directory
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,

    /// Run the binary beside this program as it is
    #[arg(long)]
    no_build: bool,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Where the event comes from: a file or standard input, or parts, the rest being the type's own example.
#[derive(Debug, Args)]
struct Event {
    /// The example of the function's first type, or of --type (the default on a terminal)
    #[arg(long, conflicts_with = "file")]
    example: bool,

    /// A whole event, or a CloudEvent in either HTTP mode (in binary mode: header lines, an empty line, the body), from this
    /// file; - is standard input (the default where it is none of a terminal)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "kind", "id", "aggregate_id", "trace_id", "field"])]
    file: Option<PathBuf>,

    /// A whole event that was kept with --save, or a dead letter that was
    #[arg(long, value_name = "NAME", value_parser = fixture_name, conflicts_with_all = ["example", "file", "data", "kind", "id", "aggregate_id", "trace_id", "field"])]
    fixture: Option<String>,

    /// The data of the event, as JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    data: Option<Box<RawValue>>,

    /// The type of the event
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// The event's id
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// What the event is about
    #[arg(long, value_name = "ID")]
    aggregate_id: Option<String>,

    /// The W3C trace id
    #[arg(long, value_name = "ID")]
    trace_id: Option<String>,

    /// A field of the data that is to be otherwise, as often as wanted; what is not JSON is text
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    field: Vec<(String, Box<RawValue>)>,
}

/// What goes wrong.
#[derive(Debug, Args)]
struct Faults {
    /// It is this attempt, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    attempt: u32,

    /// The broker delivers it a second time
    #[arg(long)]
    duplicate: bool,

    /// The first N runs of the handler fail
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail_first: u32,

    /// The process dies once: before the effects are committed, after that, or before the broker is told
    #[arg(long, value_name = "POINT", value_parser = ["before-commit", "after-commit", "before-ack"])]
    crash: Option<String>,

    /// One run of the handler may take so many milliseconds
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  jetlag invoke payment                                      on the example that comes with its contract
  jetlag invoke payment --field amount=2000                  a card that is declined
  jetlag invoke order --type payments.declined
  jetlag invoke inventory --state 'stock/85123A={\"available\":3}' --file order.json
  jetlag invoke inventory --state stock.json                 state from a file: {\"stock/85123A\": {\"available\": 3}}
  jetlag invoke payment --field amount=2000 --save declined  keep it, and run it again with --fixture declined
  jetlag invoke payment --duplicate                          delivered twice: charged once
  jetlag invoke payment --crash after-commit                 the process dies at the worst moment
  jetlag invoke payment --fail-first 2 -o json | jq '.deliveries[].at_ms'
  jetlag invoke payment --url http://127.0.0.1:8083/         a function that runs
  jetlag invoke payment --fixture declined --broker          the same through the broker of `jetlag up`
  jetlag invoke payment --example --broker --duplicate       sent twice, charged once

Exit codes:
  0 acknowledged    1 to be tried again, or given back    2 a dead letter    64 usage    65 the build failed
  66 no such function, program, file or fixture    69 a companion or the URL does not answer
  73 the fixture is there already    78 configuration";

impl Invoke {
    /// Runs it, prints what came of it, and says so by the exit code.
    ///
    /// # Errors
    /// It was not acknowledged, or nothing was run.
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        if self.url.is_some() || self.broker {
            return self.elsewhere(console).await;
        }
        // What is wrong with the event is told before anything is built or started.
        let early = match &self.event.fixture {
            None => Some(self.event.input()?),
            Some(_) => None,
        };
        let state = self.states()?;
        let bench = self.bench(console).await?;
        let input = match (early, &self.event.fixture) {
            (Some(input), _) => input,
            (None, name) => {
                Input::Bytes(fixture::read(&bench.directory, name.as_deref().unwrap_or_default())?)
            }
        };
        let keep = self.save.as_deref().map(|name| fixture::free(&bench.directory, name)).transpose()?;
        let report = run(&self.function, &bench, &self.request(input, state)).await?;
        if let Some(path) = keep {
            fixture::save(&path, report.event.as_bytes())?;
            console.good("saved", &path.display().to_string());
        }
        print(self.output, || invoked::in_words(&report), &report)?;
        invoked::verdict(&report)
    }

    /// Runs it in a function that runs.
    async fn elsewhere(&self, console: Console) -> Result<(), Problem> {
        let input = match &self.event.fixture {
            Some(name) => {
                let directory = app::directory_of(&self.function, self.app.as_deref()).await?;
                Input::Bytes(fixture::read(&directory, name)?)
            }
            None => self.event.input()?,
        };
        if let Some(url) = &self.url {
            let event = match input {
                Input::Bytes(event) => event,
                input => self.made(input, console).await?,
            };
            return invoked::post(url, event, self.output).await;
        }
        let event = match input {
            Input::Bytes(event) if Envelope::read(event.as_bytes()).is_ok() => event,
            input => self.made(input, console).await?,
        };
        let report = invoked::broker::through(&self.function, &event, self.faults.duplicate).await?;
        print(self.output, || invoked::in_words(&report), &report)?;
        invoked::verdict(&report)
    }

    /// The event that the function's own program makes of `input`: of parts and its example, or of a CloudEvent. Its handler
    /// is not run.
    async fn made(&self, input: Input, console: Console) -> Result<String, Problem> {
        let bench = self.bench(console).await?;
        let request = Request { fail_first: u32::MAX, ..self.request(input, BTreeMap::new()) };
        Ok(run(&self.function, &bench, &request).await?.event)
    }

    /// The program, and what is around it.
    async fn bench(&self, console: Console) -> Result<Bench, Problem> {
        let build = if self.no_build { Build::Beside } else { Build::like_this_program() };
        let bench = Bench::of(&self.function, self.app.as_deref(), build, quiet(console)).await?;
        if let Some(newer) = &bench.newer {
            let what = format!("`{}` is newer than `{}`", newer.display(), bench.program.display());
            console.warn(&format!("{what}: what runs is an older contract; leave out --no-build"));
        }
        Ok(bench)
    }

    /// All the state that is given; what comes later counts.
    fn states(&self) -> Result<BTreeMap<String, Box<RawValue>>, Problem> {
        let mut states = BTreeMap::new();
        for given in &self.state {
            match given {
                Given::One(key, value) => drop(states.insert(key.clone(), value.clone())),
                Given::File(path) => {
                    let name = path.display();
                    let text = std::fs::read_to_string(path).map_err(|error| {
                        Problem::new(Exit::NoInput, format!("cannot read the state in `{name}`"))
                            .because(error)
                    })?;
                    let values: BTreeMap<String, Box<RawValue>> =
                        serde_json::from_str(&text).map_err(|error| {
                            Problem::new(Exit::Usage, format!("`{name}` is no JSON object of states"))
                                .because(error)
                                .remedy(
                                    "it has the form of .state in `jetlag invoke -o json`: {\"KIND/KEY\": …}",
                                )
                        })?;
                    states.extend(values);
                }
            }
        }
        Ok(states)
    }

    fn request(&self, input: Input, state: BTreeMap<String, Box<RawValue>>) -> Request {
        let crash = self.faults.crash.as_deref().map(|point| match point {
            "before-commit" => Crash::BeforeCommit,
            "after-commit" => Crash::AfterCommit,
            _ => Crash::BeforeAck,
        });
        Request {
            input,
            state,
            attempt: self.faults.attempt,
            duplicate: self.faults.duplicate,
            fail_first: self.faults.fail_first,
            crash,
            time_limit_ms: self.faults.timeout,
        }
    }
}

impl Event {
    fn input(&self) -> Result<Input, Problem> {
        let is_whole = self.file.is_some() || (!self.has_parts() && !std::io::stdin().is_terminal());
        if is_whole && let Some(text) = self.read()? {
            return Ok(Input::Bytes(text));
        }
        Ok(Input::Parts(Parts {
            kind: self.kind.clone(),
            id: self.id.clone(),
            aggregate_id: self.aggregate_id.clone(),
            trace_id: self.trace_id.clone(),
            data: self.data.clone(),
            fields: self.field.iter().cloned().collect(),
        }))
    }

    fn has_parts(&self) -> bool {
        let Self { example, data, kind, id, aggregate_id, trace_id, field, .. } = self;
        *example
            || data.is_some()
            || kind.is_some()
            || id.is_some()
            || aggregate_id.is_some()
            || trace_id.is_some()
            || !field.is_empty()
    }

    /// The text of the file or of standard input; nothing where standard input has none. A CloudEvent in binary mode becomes
    /// the same in structured mode.
    fn read(&self) -> Result<Option<String>, Problem> {
        Ok(self.read_as_it_is()?.map(|text| invoked::binary::structured(&text).unwrap_or(text)))
    }

    fn read_as_it_is(&self) -> Result<Option<String>, Problem> {
        let unreadable = |name: &str, error: std::io::Error| {
            Problem::new(Exit::NoInput, format!("cannot read {name}")).because(error)
        };
        match self.file.as_deref().filter(|file| file.as_os_str() != "-") {
            Some(file) => {
                let name = file.display().to_string();
                std::fs::read_to_string(file).map(Some).map_err(|error| unreadable(&name, error))
            }
            None => {
                let mut text = String::new();
                let read = std::io::stdin().lock().read_to_string(&mut text);
                read.map_err(|error| unreadable("standard input", error))?;
                Ok(Some(text).filter(|text| !text.trim().is_empty()))
            }
        }
    }
}

async fn run(function: &str, bench: &Bench, request: &Request) -> Result<Report, Problem> {
    let request = serde_json::to_vec(request)
        .map_err(|error| Problem::new(Exit::Internal, "the request does not serialise").because(error))?;
    let program = bench.program.display();
    let failed = |why: String| Problem::new(Exit::Unavailable, format!("`{program} --invoke` {why}"));
    let mut command = Command::new(&bench.program);
    command.arg("--invoke").envs(bench.env.iter().cloned());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed("cannot be run".into()).because(error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why on standard error.
        let _ = stdin.write_all(&request).await;
    }
    let output = tokio::time::timeout(RUN_LIMIT, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("did not end within {} s", RUN_LIMIT.as_secs())))?
        .map_err(|error| failed("cannot be waited for".into()).because(error))?;
    match output.status.code() {
        Some(0) => serde_json::from_slice(&output.stdout).map_err(|error| {
            failed("printed something else than a report".into())
                .because(error)
                .remedy("it may be older than this command: build it again")
        }),
        Some(64) => Err(Problem::new(Exit::Usage, format!("{function} was not run: it says why above"))),
        Some(78) => {
            Err(Problem::new(Exit::Config, format!("{function} was not run: its configuration is wrong"))
                .remedy("give the variables that it names in jetlag.yaml or in the environment"))
        }
        _ => Err(failed(format!("ended with {}", output.status))),
    }
}

/// A build is not worth a line where the result is what counts.
fn quiet(console: Console) -> Console {
    if console.is_terminal() { console } else { Console::silent() }
}

fn json(text: &str) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text.to_owned()).map_err(|error| format!("not JSON: {error}"))
}

/// State on the command line.
#[derive(Debug, Clone)]
enum Given {
    One(String, Box<RawValue>),
    File(PathBuf),
}

fn given(text: &str) -> Result<Given, String> {
    if text.contains('=') {
        return pair(text).map(|(key, value)| Given::One(key, value));
    }
    Ok(Given::File(text.into()))
}

fn fixture_name(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !text.is_empty() && text.chars().all(is_name) {
        true => Ok(text.to_owned()),
        false => Err("a name has letters, digits, - and _; for a path there is --file".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (key, value) = text.split_once('=').ok_or("it is KEY=JSON")?;
    Ok((key.to_owned(), json(value)?))
}

/// `amount=12.50` is a number, `name=Ann` is text.
fn field(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    let value = json(value).or_else(|_| json(&serde_json::Value::from(value).to_string()))?;
    Ok((name.to_owned(), value))
}
