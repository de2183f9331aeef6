//! `jetlag check`: what no function answered for.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use jetlag::Description;
use jetlag::jetstream::{Operator, OperatorError, ProvisionError, Unanswered};
use jetlag::topology::{EVENTS, INTAKE, RETRY, Sizing, Topology};
use serde::Serialize;
use time::OffsetDateTime;

use super::{Target, print};
use crate::app::{self, Build};
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// Find what no function answered for
///
/// Looks for inputs that the broker will not deliver again and that their function has not answered for, for receipts of
/// death without their dead letter, for consumers and streams that are missing or are not as the contracts need them, and
/// for functions that are behind by more than half the horizon. It asks the functions of the workspace what they need, as
/// `jetlag up` does, and changes nothing without --repair.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// Send what is unanswered to its function again, once, and to no other
    #[arg(long)]
    repair: bool,

    /// Read this file instead of the nearest jetlag.yaml at or above the current directory
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,

    /// Ask the binaries beside this program, as they are, instead of building them
    #[arg(long)]
    no_build: bool,

    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag check                                          of the up or demo that runs here
  jetlag check --repair                                 and send what is unanswered to its function again
  jetlag check -o json | jq '.findings[] | .what'       for a program

Exit codes:
  0 nothing was found, or all of it was repaired    1 something was found: each with what to do    2 it could not be looked
  78 the broker denies this user something";

/// The result.
#[derive(Debug, Serialize)]
struct Checked {
    /// What is not as it has to be.
    findings: Vec<Finding>,
    /// What is so, and may be meant so.
    notes: Vec<String>,
}

/// One thing that is not as it has to be.
#[derive(Debug, Serialize)]
struct Finding {
    /// What kind of thing.
    kind: &'static str,
    /// What is wrong.
    what: String,
    /// Where.
    place: String,
    /// What to do.
    remedy: String,
    /// Whether --repair has done it.
    repaired: bool,
}

impl Check {
    /// Looks, repairs if it is told to, and prints.
    ///
    /// # Errors
    /// Something was found that is not repaired (1), or it could not be looked (2).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let unable = |problem: Problem| problem.exiting(Exit::CouldNotLook);
        let build = if self.no_build { Build::Beside } else { Build::like_this_program() };
        let described = app::describe(self.app.as_deref(), build, console).await.map_err(unable)?;
        let (operator, url) = self.target.source.connect().await.map_err(unable)?;
        let looked = console.watch("looking", look(&operator, &described, self.repair)).await;
        let checked = looked.map_err(|error| {
            Problem::new(Exit::CouldNotLook, format!("the broker at {url} could not be looked at"))
                .because(error)
        })?;
        print(self.target.output, || checked.in_words(), &checked)?;
        match checked.findings.iter().filter(|finding| !finding.repaired).count() {
            0 => Ok(()),
            left => {
                let what = format!("{left} of {} findings at {url} are left", checked.findings.len());
                Err(Problem::new(Exit::Failed, what).remedy("each says above what to do"))
            }
        }
    }
}

async fn look(
    operator: &Operator,
    described: &[Description],
    repair: bool,
) -> Result<Checked, anyhow::Error> {
    let mut findings = differing(operator, described).await?;
    let names: Vec<String> = described.iter().map(|function| function.name.clone()).collect();
    for input in operator.unanswered(&names).await? {
        findings.push(unanswered(operator, input, repair).await?);
    }
    findings.extend(half_dead(operator).await?);
    findings.extend(behind(operator, described).await?);
    Ok(Checked { findings, notes: unheard(operator, described).await? })
}

/// Streams and consumers that are missing or otherwise there.
async fn differing(operator: &Operator, described: &[Description]) -> Result<Vec<Finding>, ProvisionError> {
    let differences = operator.differences(&Topology::of(described, &Sizing::default())).await?;
    let finding = |difference: jetlag::jetstream::Difference| {
        let is_missing = difference.fields.is_empty();
        Finding {
            kind: if is_missing { "missing" } else { "differs" },
            what: if is_missing {
                "it is not there".to_owned()
            } else {
                difference.fields.join(";").trim().to_owned()
            },
            place: difference.what,
            remedy: if is_missing {
                "start the function, or `jetlag up`: it makes what is missing".to_owned()
            } else {
                "change it back by hand: with max_deliver the broker gives up without a word".to_owned()
            },
            repaired: false,
        }
    };
    Ok(differences.into_iter().map(finding).collect())
}

async fn unanswered(operator: &Operator, input: Unanswered, repair: bool) -> Result<Finding, OperatorError> {
    let Unanswered { function, stream, sequence, subject, why, at, .. } = &input;
    let place = match subject {
        Some(subject) => format!("{function}, {stream} {sequence}: {subject}"),
        None => format!("{function}, {stream} {sequence}"),
    };
    let mut finding = Finding {
        kind: "unanswered",
        what: format!("{function} has not answered for it since {at}: {why}"),
        place,
        remedy: "`jetlag check --repair` sends it to this function again".to_owned(),
        repaired: false,
    };
    if subject.is_none() {
        finding.remedy = "it is gone: find it in the audit trail, and place it again".to_owned();
    } else if repair {
        match operator.send_again(&input).await {
            Ok(()) => finding.repaired = true,
            Err(error @ OperatorError::Denied(_)) => return Err(error),
            Err(error) => finding.remedy = format!("it could not be sent again ({error}): try it later"),
        }
    }
    Ok(finding)
}

async fn half_dead(operator: &Operator) -> Result<Vec<Finding>, OperatorError> {
    let finding = |missing: jetlag::jetstream::LetterMissing| {
        Finding {
        kind: "letter_missing",
        what: format!("given up for {}, and there is no dead letter", missing.reason),
        place: format!("{}: {}", missing.function, missing.input),
        remedy: "if it was purged, this goes away with its receipt, after the horizon; else start the function: it writes \
                 the dead letter when the input comes again"
            .to_owned(),
        repaired: false,
    }
    };
    Ok(operator.letters_missing().await?.into_iter().map(finding).collect())
}

/// Functions whose oldest event is older than half the horizon.
async fn behind(operator: &Operator, described: &[Description]) -> Result<Vec<Finding>, anyhow::Error> {
    let horizon = match operator.horizon().await {
        Ok(horizon) => horizon,
        Err(jetlag::jetstream::RescueError::NoHorizon) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut findings = Vec::new();
    for consumer in Topology::of(described, &Sizing::default()).consumers {
        if consumer.stream != EVENTS {
            continue;
        }
        let oldest = match operator.oldest_unanswered(EVENTS, &consumer.durable).await {
            Ok(oldest) => oldest,
            // A consumer that is missing has been told of already.
            Err(OperatorError::Refused(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(oldest) = oldest.filter(|oldest| *oldest < OffsetDateTime::now_utc() - horizon / 2) {
            findings.push(Finding {
                kind: "behind",
                what: format!(
                    "its oldest unanswered event is of {oldest}; events expire after {} s",
                    horizon.as_secs()
                ),
                place: format!("{} on {EVENTS}", consumer.durable),
                remedy: format!(
                    "`jetlag rescue {} --once` now, and see to it that it runs",
                    consumer.durable
                ),
                repaired: false,
            });
        }
    }
    Ok(findings)
}

/// Types of event that are there and that nobody listens to.
async fn unheard(operator: &Operator, described: &[Description]) -> Result<Vec<String>, OperatorError> {
    let mut notes = Vec::new();
    for kind in operator.event_types().await? {
        let is_heard = described.iter().any(|function| function.listens_to.iter().any(|k| k.name == kind));
        if !is_heard && operator.has_event_of(&kind).await? {
            notes.push(format!("no function of this workspace listens to {kind}, and there are some"));
        }
    }
    Ok(notes)
}

impl Checked {
    fn in_words(&self) -> String {
        let mut text = String::new();
        for Finding { kind, what, place, remedy, repaired } in &self.findings {
            let done = if *repaired { "repaired: it was sent again" } else { remedy };
            let _ = writeln!(text, "{kind}: {place}\n  {what}\n  {done}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        if self.findings.is_empty() {
            let _ =
                writeln!(text, "every input of {EVENTS}, {RETRY} and {INTAKE} is answered for, or will be");
        }
        text
    }
}
