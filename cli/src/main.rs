//! The `jetlag` command: a table of contents. Each subcommand is a file in `commands/`.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use jetlag_cli::commands::audit::Audit;
use jetlag_cli::commands::check::Check;
use jetlag_cli::commands::completions::Completions;
use jetlag_cli::commands::demo::Demo;
use jetlag_cli::commands::dlq::Dlq;
use jetlag_cli::commands::doctor::Doctor;
use jetlag_cli::commands::invoke::Invoke;
use jetlag_cli::commands::lint::Lint;
use jetlag_cli::commands::man::Man;
use jetlag_cli::commands::manifests::Manifests;
use jetlag_cli::commands::metrics::Metrics;
use jetlag_cli::commands::new::New;
use jetlag_cli::commands::place::Place;
use jetlag_cli::commands::provision::Provision;
use jetlag_cli::commands::replay::Replay;
use jetlag_cli::commands::rescue::Rescue;
use jetlag_cli::commands::status::Status;
use jetlag_cli::commands::top::Top;
use jetlag_cli::commands::trail::Trail;
use jetlag_cli::commands::up::Up;
use jetlag_cli::console::Console;
use jetlag_cli::problem::Exit;

/// Runs, feeds and inspects functions on NATS JetStream
#[derive(Debug, Parser)]
#[command(name = "jetlag", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(Demo),
    New(New),
    Up(Up),
    Invoke(Invoke),
    Place(Place),
    Status(Status),
    Top(Top),
    Metrics(Metrics),
    Trail(Trail),
    Dlq(Dlq),
    Replay(Replay),
    Audit(Audit),
    Rescue(Rescue),
    Check(Check),
    Lint(Lint),
    Doctor(Doctor),
    Manifests(Manifests),
    Provision(Provision),
    Completions(Completions),
    Man(Man),
}

const EXAMPLES: &str = "\
Examples:
  jetlag demo                                            a shop with real orders, and its books balanced
  jetlag up                                              run the whole application here
  jetlag new loyalty --listens orders.confirmed          a function of your own
  jetlag invoke payment                                  one event through one function, without a broker
  jetlag place data/online-retail/orders-2010-12.csv     give it real orders
  jetlag status                                          how everything is, what looks wrong, and what to do
  jetlag top                                             the same, again and again
  jetlag metrics --listen 127.0.0.1:9464                 the same figures, for Prometheus
  jetlag trail 536365                                    what happened to one of them
  jetlag dlq list                                        what was given up, and why
  jetlag replay payment --from 2h                        what it would do today with what it had
  jetlag audit verify                                    that nothing in the trail was changed or removed
  jetlag manifests                                       write what Kubernetes and KEDA need
  jetlag lint keda/base                                  what would go wrong with it, before it does
  jetlag doctor --rate 167/s                             what such a rate asks of the broker, and whether it fits
  jetlag help up                                         everything about one command

Results go to standard output, everything else to standard error.";

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return told(&usage),
    };
    let console = Console::stderr();
    let outcome = match cli.command {
        Command::Demo(demo) => demo.run(console).await,
        Command::New(new) => new.run(console).await,
        Command::Up(up) => up.run(console).await,
        Command::Invoke(invoke) => invoke.run(console).await,
        Command::Place(place) => place.run(console).await,
        Command::Status(status) => status.run(console).await,
        Command::Top(top) => top.run(console).await,
        Command::Metrics(metrics) => metrics.run(console).await,
        Command::Trail(trail) => trail.run(console).await,
        Command::Dlq(dlq) => dlq.run(console).await,
        Command::Replay(replay) => replay.run(console).await,
        Command::Audit(audit) => audit.run(console).await,
        Command::Check(check) => check.run(console).await,
        Command::Lint(lint) => lint.run(console).await,
        Command::Doctor(doctor) => doctor.run(console).await,
        Command::Manifests(manifests) => manifests.run(console).await,
        Command::Provision(provision) => provision.run(console).await,
        Command::Rescue(rescue) => rescue.run(console).await,
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command(), console),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            console.error(&problem.render());
            problem.exit().into()
        }
    }
}

/// Prints help or version, or what is wrong with the command line.
fn told(usage: &clap::Error) -> ExitCode {
    let _ = usage.print();
    if usage.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that do something, each with its words.
    fn leaves(command: &clap::Command, words: &str, found: &mut Vec<(String, clap::Command)>) {
        let mut inside = command.get_subcommands().filter(|inner| inner.get_name() != "help").peekable();
        if inside.peek().is_none() {
            found.push((words.to_owned(), command.clone()));
        }
        for inner in inside {
            leaves(inner, &format!("{words} {}", inner.get_name()), found);
        }
    }

    #[test]
    fn every_command_has_examples_and_exit_codes_and_its_flags_fit_together() {
        Cli::command().debug_assert();
        let mut found = Vec::new();
        leaves(&Cli::command(), "jetlag", &mut found);
        assert!(found.len() > 15, "{}", found.len());
        for (words, command) in found {
            let help = command.clone().render_long_help().to_string();
            let examples = help.split("\nExamples:\n").nth(1).unwrap_or_default();
            assert!(examples.contains(&format!("  {words}")), "`{words} --help` has no example of itself");
            assert!(help.contains("\nExit codes:\n"), "`{words} --help` does not say how it exits");
            assert!(command.get_about().is_some(), "`{words}` does not say what it does");
        }
    }
}
