//! A function as a program: its contract, what it depends on, its handler, and what its command line answers.

use std::process::ExitCode;

use crate::description::{Description, EndpointDescription, ViewDescription};
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::handler::{Bindings, Handler, Takes};
use crate::http::server::Ways;
use crate::serve;
use crate::settings::Settings;
use crate::view::View;
use crate::{Contract, Incoming, Outgoing, Terms};

/// The exit code for a wrong command line (`EX_USAGE`).
pub(crate) const EXIT_USAGE: u8 = 64;
/// The exit code for a wrong contract, a fault of the program itself (`EX_SOFTWARE`).
pub(crate) const EXIT_SOFTWARE: u8 = 70;
/// The exit code for a wrong configuration (`EX_CONFIG`).
pub(crate) const EXIT_CONFIG: u8 = 78;

/// A function, ready to be run as a program.
///
/// ```no_run
/// # use jetlag::{AnyEvent, Contract, Event, Failure, Nothing};
/// # const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("watcher", "Counts what happens.");
/// # struct Counter;
/// # impl Counter { fn from_env(_: &mut jetlag::Environment) -> Self { Self } }
/// # async fn count(_: &Counter, _: Event<AnyEvent>) -> Result<Option<Nothing>, Failure> { Ok(None) }
/// fn main() -> std::process::ExitCode {
///     jetlag::Function::new(CONTRACT, Counter::from_env, count).run()
/// }
/// ```
#[must_use = "a function does nothing until it is run"]
pub struct Function {
    terms: Terms,
    takes: Takes,
    bind: Box<dyn FnOnce(&mut Environment) -> Bindings>,
    ways: Ways,
}

impl Function {
    /// The function of `contract`, whose `handler` is given what `deps` makes of the environment.
    ///
    /// `deps` reads variables and must do nothing else: it also runs for `--help`, with nothing set.
    pub fn new<D, I, O, H, Form>(
        contract: Contract<I, O>,
        deps: fn(&mut Environment) -> D,
        handler: H,
    ) -> Self
    where
        D: Send + Sync + 'static,
        I: Incoming,
        O: Outgoing,
        H: for<'a> Handler<'a, D, I, O, Form>,
        Form: 'static,
    {
        Self {
            terms: contract.terms(),
            takes: <H as Handler<'static, D, I, O, Form>>::TAKES,
            bind: Box::new(move |env| Bindings::new(contract, deps(env), handler)),
            ways: Ways::default(),
        }
    }

    /// Takes requests over HTTP at this endpoint too.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.ways.endpoints.push(endpoint);
        self
    }

    /// Tells over HTTP what events say of one aggregate.
    pub fn view(mut self, view: View) -> Self {
        self.ways.views.push(view);
        self
    }

    /// Does what the command line says: with no arguments, runs until SIGTERM or SIGINT.
    ///
    /// Exit codes: 0 after a drain, 64 for a wrong command line, 69 if the port is in use or the broker is not one to work
    /// with, 70 if its client failed at an input that it cannot read, 78 for a wrong configuration.
    pub fn run(self) -> ExitCode {
        let mut arguments = std::env::args().skip(1);
        match (arguments.next().as_deref(), arguments.next()) {
            (None, _) => self.serve(),
            (Some("--describe"), None) => self.describe(),
            (Some("--invoke"), None) => self.invoke(),
            (Some("--rerun"), None) => self.rerun(),
            (Some("--check"), None) => self.check(),
            (Some("--help" | "-h"), None) => self.help(),
            (Some("--version" | "-V"), None) => self.version(),
            (Some(first), _) => {
                say(&format!("{}: {first:?} is not understood; see --help", self.terms.name));
                ExitCode::from(EXIT_USAGE)
            }
        }
    }

    fn serve(self) -> ExitCode {
        let faults = self.faults();
        if !faults.is_empty() {
            return complain(self.terms.name, "the contract is wrong", &faults, EXIT_SOFTWARE);
        }
        let mut env = Environment::of_process();
        let settings = Settings::from_env(&mut env, &self.terms);
        let bindings = (self.bind)(&mut env);
        let description = describe(&self.terms, &self.ways, &env);
        if let (Some(_), Ok(description)) = (&settings.sink, &description) {
            for why in description.needs_broker(settings.trigger) {
                env.fault("K_SINK without NATS_URL", why);
            }
        }
        if !env.faults().is_empty() {
            return complain(self.terms.name, "the configuration is wrong", env.faults(), EXIT_CONFIG);
        }
        match description {
            Ok(description) => serve::run(settings, &description, bindings, self.ways),
            Err(error) => {
                complain(self.terms.name, "the contract is wrong", &[error.to_string()], EXIT_SOFTWARE)
            }
        }
    }

    /// Runs one input that is described on standard input, on a broker in memory.
    fn invoke(self) -> ExitCode {
        self.bound().map_or_else(|code| code, crate::invoke::run)
    }

    /// Runs one input for each line on standard input, each on a broker in memory.
    fn rerun(self) -> ExitCode {
        self.bound().map_or_else(|code| code, |bindings| crate::invoke::rerun::run(&bindings))
    }

    /// Says whether the event on standard input is one that it could read.
    fn check(self) -> ExitCode {
        match self.faults().as_slice() {
            [] => crate::invoke::check::run(&self.terms),
            faults => complain(self.terms.name, "the contract is wrong", faults, EXIT_SOFTWARE),
        }
    }

    /// The handler with what it depends on, or how the program ends without it.
    fn bound(self) -> Result<Bindings, ExitCode> {
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(complain(self.terms.name, "the contract is wrong", &faults, EXIT_SOFTWARE));
        }
        let mut env = Environment::of_process();
        let bindings = (self.bind)(&mut env);
        match env.faults() {
            [] => Ok(bindings),
            faults => Err(complain(self.terms.name, "the configuration is wrong", faults, EXIT_CONFIG)),
        }
    }

    /// What is wrong with the program itself.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.terms.faults_with(self.takes);
        // The trigger is configuration: the paths must do with it and without it.
        faults.extend(self.ways.faults(true));
        let emits = |endpoint: &Endpoint| self.terms.emits.iter().any(|kind| kind.name == endpoint.kind.name);
        let strange = self.ways.endpoints.iter().filter(|endpoint| !emits(endpoint));
        faults.extend(strange.map(|endpoint| format!("{endpoint:?}: the contract does not emit that type")));
        faults
    }

    fn describe(self) -> ExitCode {
        let mut env = Environment::of([]);
        let _ = Settings::from_env(&mut env, &self.terms);
        let faults = self.faults();
        let _ = (self.bind)(&mut env);
        if !faults.is_empty() {
            return complain(self.terms.name, "the contract is wrong", &faults, EXIT_SOFTWARE);
        }
        match describe(&self.terms, &self.ways, &env).and_then(|d| serde_json::to_string_pretty(&d)) {
            Ok(json) => print(&json),
            Err(error) => {
                complain(self.terms.name, "the contract is wrong", &[error.to_string()], EXIT_SOFTWARE)
            }
        }
    }

    fn help(self) -> ExitCode {
        let mut env = Environment::of([]);
        let _ = Settings::from_env(&mut env, &self.terms);
        let _ = (self.bind)(&mut env);
        let mut text = format!(
            "{}: {}\n\nUsage: {} [--describe | --check | --invoke | --rerun | --help | --version]\n\nWith no arguments it runs until SIGTERM or SIGINT, and then \
             finishes what is under way.\n  --describe  prints its contract as JSON\n  --check     says whether it could read the event on standard input\n  --invoke    runs one input that is described on standard input, without a broker; see `jetlag invoke`\n  --rerun     runs one event for each line on standard input, without a broker; see `jetlag replay`\n\nEnvironment:\n",
            self.terms.name, self.terms.summary, self.terms.name
        );
        for variable in env.variables() {
            let default = match variable.default.as_deref() {
                None => " (required)".to_owned(),
                Some("") => String::new(),
                Some(default) => format!(" [{default}]"),
            };
            text.push_str(&format!("  {:<22} {}{default}\n", variable.name, variable.about));
        }
        print(text.trim_end())
    }

    fn version(&self) -> ExitCode {
        print(&format!("{} {}", self.terms.name, env!("CARGO_PKG_VERSION")))
    }
}

fn describe(terms: &Terms, ways: &Ways, env: &Environment) -> Result<Description, serde_json::Error> {
    let endpoints = ways
        .endpoints
        .iter()
        .map(|endpoint| EndpointDescription {
            path: endpoint.path.into(),
            event_type: endpoint.kind.name.into(),
        })
        .collect();
    let views = ways
        .views
        .iter()
        .map(|view| ViewDescription {
            path: view.path.into(),
            event_types: view.kinds.iter().map(|kind| kind.name.into()).collect(),
        })
        .collect();
    Description::of(terms, env!("CARGO_PKG_VERSION"), endpoints, views, env.variables())
}

fn complain(function: &str, what: &str, faults: &[String], code: u8) -> ExitCode {
    say(&format!("{function}: {what}:"));
    for fault in faults {
        say(&format!("  {fault}"));
    }
    ExitCode::from(code)
}

#[allow(clippy::print_stdout, reason = "the answer to a question on the command line")]
fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[allow(clippy::print_stderr, reason = "said before there is a log, to whoever started the program")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
