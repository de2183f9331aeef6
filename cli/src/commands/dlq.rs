//! `jetlag dlq`: inputs that were given up.

use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jetlag::jetstream::{Operator, OperatorError};

use super::{Format, Target, print};
use crate::console::Console;
use crate::letters::{self, Outcome, Pick, Row, Whole, table};
use crate::problem::{Exit, Problem};

/// Look at dead letters, send them again, or purge them
#[derive(Debug, Args)]
pub struct Dlq {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Redrive(Redrive),
    Purge(Purge),
}

/// List dead letters, oldest first
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
struct List {
    #[command(flatten)]
    pick: Pick,
    #[command(flatten)]
    target: Target,
}

const LIST_EXAMPLES: &str = "\
Examples:
  jetlag dlq list                                              all of them
  jetlag dlq list --function payment --since 2h                what payment gave up in the last two hours
  jetlag dlq list --reason attempts_exhausted -o json | jq length

Exit codes:
  0 listed, even if there are none    64 usage    66 nothing runs here    69 no answer    78 denied by the broker";

/// Show one dead letter whole: reason, attempts, headers, bytes
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct Show {
    /// Its sequence, as `jetlag dlq list` shows it
    #[arg(value_name = "SEQUENCE")]
    sequence: u64,
    #[command(flatten)]
    target: Target,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  jetlag dlq show 17
  jetlag dlq show 17 -o json | jq .payload

Exit codes:
  0 shown    64 usage    66 it is not there, or nothing runs    69 no answer    78 denied by the broker";

/// Send dead letters to their functions again
///
/// Each goes to the function that gave it up, and to no other that listens to the same event; it has its attempts anew. It
/// is safe to do twice, or to interrupt and do again: nothing leaves the dead letter stream before it is sent, and what is
/// sent twice is handled once. What a handler did outside before it died is told by the event's idempotency key. The
/// redrive is noted in the trail. What dies again comes back as a new dead letter.
#[derive(Debug, Args)]
#[command(after_help = REDRIVE_EXAMPLES)]
struct Redrive {
    #[command(flatten)]
    pick: Pick,

    /// Every dead letter there is
    #[arg(long)]
    all: bool,

    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,

    /// At most so many a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,

    /// Send one dead letter with these bytes instead of its own: the same event (id, type, aggregate_id) with other data
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,

    /// Who does it, for the trail
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown", hide_env_values = true)]
    by: String,

    #[command(flatten)]
    target: Target,
}

const REDRIVE_EXAMPLES: &str = "\
Examples:
  jetlag dlq redrive 17                                           that one
  jetlag dlq redrive --function payment --reason attempts_exhausted --dry-run
  jetlag dlq redrive --function payment --since 2h --rate 50      gently, after an outage
  jetlag dlq redrive 17 --with mended.json                        with its data mended

Exit codes:
  0 all sent    1 some were left: they are listed    64 usage    66 none is meant    69 no answer    78 denied by the broker";

/// Delete dead letters for good
#[derive(Debug, Args)]
#[command(after_help = PURGE_EXAMPLES)]
struct Purge {
    #[command(flatten)]
    pick: Pick,

    /// Every dead letter there is
    #[arg(long)]
    all: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    target: Target,
}

const PURGE_EXAMPLES: &str = "\
Examples:
  jetlag dlq purge 17                                         that one; it asks first
  jetlag dlq purge --reason invalid_data --until 7d --yes     those that are older than a week, without asking

Exit codes:
  0 purged    1 some were left    64 usage    66 none is meant    69 no answer    78 denied by the broker
  130 the answer was no";

impl Dlq {
    /// Does what is asked.
    ///
    /// # Errors
    /// None is meant (66), some could not be sent (1), or the broker does not answer (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        match self.command {
            Command::List(list) => list.run(console).await,
            Command::Show(show) => show.run().await,
            Command::Redrive(redrive) => redrive.run(console).await,
            Command::Purge(purge) => purge.run(console).await,
        }
    }
}

impl List {
    async fn run(self, console: Console) -> Result<(), Problem> {
        let (operator, url) = self.target.source.connect().await?;
        let rows = selected(console, &operator, &url, &self.pick).await?;
        let text = || if rows.is_empty() { "no dead letters\n".to_owned() } else { table(&rows) };
        print(self.target.output, text, &rows)
    }
}

impl Show {
    async fn run(self) -> Result<(), Problem> {
        let (operator, url) = self.target.source.connect().await?;
        let page = operator.dead_letters(self.sequence).await.map_err(|error| unreadable(&url, error))?;
        let found = page.into_iter().flatten().find(|letter| letter.sequence == self.sequence);
        let letter = found.ok_or_else(|| none_meant(&url))?;
        let whole = Whole::of(&letter);
        print(self.target.output, || whole.in_words(), &whole)
    }
}

impl Redrive {
    async fn run(self, console: Console) -> Result<(), Problem> {
        insist_on_choice(&self.pick, self.all, "redrive")?;
        let with = self.with.as_ref().map(|file| {
            std::fs::read(file).map_err(|error| {
                Problem::new(Exit::NoInput, format!("cannot read {}", file.display())).because(error)
            })
        });
        let with = with.transpose()?;
        if with.is_some() && self.pick.sequences.len() != 1 {
            return Err(Problem::new(Exit::Usage, "--with gives the bytes of one dead letter")
                .remedy("name its sequence: `jetlag dlq redrive SEQUENCE --with FILE`"));
        }
        let (operator, url) = self.target.source.connect().await?;
        let rows = selected(console, &operator, &url, &self.pick).await?;
        if rows.is_empty() {
            return Err(none_meant(&url));
        }
        if self.dry_run {
            let text = || format!("{}{} would be sent again\n", table(&rows), rows.len());
            return print(self.target.output, text, &rows);
        }
        let work = letters::redrive(&operator, &self.pick, with.as_deref(), self.rate, &self.by);
        let outcome = console.watch("sending", work).await.map_err(|error| interrupted(&url, error))?;
        told(self.target.output, "sent again", &outcome)
    }
}

impl Purge {
    async fn run(self, console: Console) -> Result<(), Problem> {
        insist_on_choice(&self.pick, self.all, "purge")?;
        let (operator, url) = self.target.source.connect().await?;
        let rows = selected(console, &operator, &url, &self.pick).await?;
        if rows.is_empty() {
            return Err(none_meant(&url));
        }
        if !self.yes && !confirmed(console, &rows)? {
            return Err(Problem::new(Exit::Interrupted, "nothing was purged"));
        }
        let work = letters::purge(&operator, &self.pick);
        let outcome = console.watch("purging", work).await.map_err(|error| interrupted(&url, error))?;
        told(self.target.output, "purged", &outcome)
    }
}

async fn selected(
    console: Console,
    operator: &Operator,
    url: &str,
    pick: &Pick,
) -> Result<Vec<Row>, Problem> {
    let work = letters::select(operator, pick);
    console.watch("reading the dead letters", work).await.map_err(|error| unreadable(url, error))
}

/// All of them is never meant by forgetting to say which.
fn insist_on_choice(pick: &Pick, all: bool, verb: &str) -> Result<(), Problem> {
    match (pick.is_all(), all) {
        (true, false) => {
            Err(Problem::new(Exit::Usage, format!("it is not said which dead letters to {verb}"))
                .remedy("give sequences or options that pick them, or --all"))
        }
        (false, true) => Err(Problem::new(Exit::Usage, "--all and a choice exclude each other")
            .remedy("leave one of them out")),
        _ => Ok(()),
    }
}

/// Asks whoever sits there.
fn confirmed(console: Console, rows: &[Row]) -> Result<bool, Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::new(Exit::Usage, "nobody is there to be asked whether to purge")
            .remedy("say --yes if you are sure"));
    }
    console.note(&format!("{}purge these {} for good? [y/N]", table(rows), rows.len()));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn told(format: Format, verb: &str, outcome: &Outcome) -> Result<(), Problem> {
    let text = || {
        let mut text = format!("{} {verb}\n", outcome.done);
        for refusal in &outcome.refusals {
            text.push_str(&format!("left {}: {}\n", refusal.sequence, refusal.why));
        }
        text
    };
    print(format, text, outcome)?;
    if outcome.left == 0 {
        return Ok(());
    }
    Err(Problem::new(Exit::Failed, format!("{} dead letters were left where they are", outcome.left))
        .remedy("`jetlag dlq show SEQUENCE` tells about one; `--with FILE` sends it with its data mended"))
}

fn none_meant(url: &str) -> Problem {
    Problem::new(Exit::NoInput, format!("no dead letter at {url} is meant by that"))
        .remedy("`jetlag dlq list` shows what there is")
}

fn unreadable(url: &str, error: OperatorError) -> Problem {
    Problem::new(Exit::Unavailable, format!("the dead letters at {url} cannot be read")).because(error)
}

fn interrupted(url: &str, error: OperatorError) -> Problem {
    Problem::new(Exit::Unavailable, format!("it ended in the middle: {url} does not do its part"))
        .because(error)
        .remedy("run it again: what was done is not done twice")
}
