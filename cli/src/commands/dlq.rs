//! `jetlag dlq`: inputs that were given up.

use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jetlag::DeadLetter;
use jetlag::jetstream::{Operator, OperatorError};
use jetlag::topology::EVENTS;

use super::{Format, Target, print};
use crate::app::{self, Build};
use crate::console::Console;
use crate::invoked::fixture;
use crate::letters::{self, Intent, Outcome, Pick, Row, Whole, draft, table};
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
    Edit(Edit),
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

    /// Write its event into a file for `jetlag invoke --file`: NAME is fixtures/NAME.json in the function's
    /// package, where `invoke --fixture` looks, and what has a / or ends in .json is a path
    #[arg(long, value_name = "NAME")]
    save: Option<String>,

    #[command(flatten)]
    target: Target,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  jetlag dlq show 17
  jetlag dlq show 17 -o json | jq .payload
  jetlag dlq show 17 --save no-amount              for a test: functions/payment/fixtures/no-amount.json
  jetlag dlq show 17 --save ./17.json && jetlag invoke payment --file 17.json

Exit codes:
  0 shown    64 usage    66 it is not there, or nothing runs    69 no answer    73 the file is there already, or cannot be written
  78 denied by the broker";

/// Mend a dead letter's data in an editor, and send it to its function again
///
/// Opens the event in $VISUAL or $EDITOR. What is saved is read by the function's own program before anything is sent: what
/// it could not read is opened again, with the reason and the line; left as it is then, nothing is sent, and the text is
/// kept in a file. Left as it was at first, or empty, nothing is done. It is the same as `redrive SEQUENCE --edit`.
#[derive(Debug, Args)]
#[command(after_help = EDIT_EXAMPLES)]
struct Edit {
    /// Its sequence, as `jetlag dlq list` shows it
    #[arg(value_name = "SEQUENCE")]
    sequence: u64,

    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    reader: Reader,

    /// Who does it, for the trail
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown", hide_env_values = true)]
    by: String,

    #[command(flatten)]
    target: Target,
}

const EDIT_EXAMPLES: &str = "\
Examples:
  jetlag dlq edit 17
  EDITOR='code --wait' jetlag dlq edit 17
  EDITOR='sed -i s/-1/12.50/' jetlag dlq edit 17 --dry-run     what that would send

Exit codes:
  0 sent, or nothing was changed    1 it was left    64 usage    65 what was saved is wrong, and was left so; or the build failed
  66 it is not there    69 no answer, or the editor failed    78 denied by the broker";

/// Who reads an edited event before it is sent.
#[derive(Debug, Default, Args)]
struct Reader {
    /// Find the function's program by this file instead of the nearest jetlag.yaml at or above the current directory
    #[arg(long, value_name = "FILE", conflicts_with = "unchecked")]
    app: Option<PathBuf>,

    /// Ask the binary beside this program as it is, instead of building it
    #[arg(long)]
    no_build: bool,

    /// Check what was edited as an event only, and not as what the function reads
    #[arg(long)]
    unchecked: bool,
}

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
    #[arg(long, value_name = "FILE", conflicts_with = "edit")]
    with: Option<PathBuf>,

    /// Open one dead letter's event in $VISUAL or $EDITOR, and send what was saved, once its function's program can read it
    #[arg(long)]
    edit: bool,

    #[command(flatten)]
    reader: Reader,

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
  jetlag dlq redrive 17 --edit                                    the same by hand, as `jetlag dlq edit 17`

Exit codes:
  0 all sent, or would be    1 some were left, or would be: they are listed    64 usage    65 what was edited is wrong
  66 none is meant    69 no answer, or the editor failed    78 denied by the broker";

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
            Command::Edit(edit) => edit.redrive().run(console).await,
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
        let letter = whole(&operator, &url, self.sequence).await?;
        if let Some(name) = &self.save {
            let (file, option) = fixture_file(name, &letter.function).await?;
            fixture::save(&file, &letter.payload)?;
            let run = format!("jetlag invoke {} {option} {name}", letter.function);
            let saved = serde_json::json!({"saved": file, "run": run});
            return print(self.target.output, || format!("saved as {}\n  {run}\n", file.display()), &saved);
        }
        let whole = Whole::of(&letter);
        print(self.target.output, || whole.in_words(), &whole)
    }
}

/// The file that `name` means, a path or a name among the fixtures of `function`, and the option by which `invoke` takes it.
async fn fixture_file(name: &str, function: &str) -> Result<(PathBuf, &'static str), Problem> {
    if name.contains('/') || name.ends_with(".json") {
        return Ok((PathBuf::from(name), "--file"));
    }
    Ok((fixture::path(&app::directory_of(function, None).await?, name), "--fixture"))
}

async fn whole(operator: &Operator, url: &str, sequence: u64) -> Result<DeadLetter, Problem> {
    let page = operator.dead_letters(sequence).await.map_err(|error| unreadable(url, error))?;
    let found = page.into_iter().flatten().find(|letter| letter.sequence == sequence);
    found.ok_or_else(|| none_meant(url))
}

impl Edit {
    fn redrive(self) -> Redrive {
        let Self { sequence, dry_run, reader, by, target } = self;
        let pick = Pick { sequences: vec![sequence], ..Pick::default() };
        Redrive { pick, all: false, dry_run, rate: None, with: None, edit: true, reader, by, target }
    }
}

impl Redrive {
    async fn run(self, console: Console) -> Result<(), Problem> {
        insist_on_choice(&self.pick, self.all, "redrive")?;
        let sequence = match self.pick.sequences.as_slice() {
            [sequence] => Some(*sequence),
            _ => None,
        };
        if (self.with.is_some() || self.edit) && sequence.is_none() {
            return Err(Problem::new(Exit::Usage, "--with and --edit are about one dead letter")
                .remedy("name its sequence: `jetlag dlq redrive SEQUENCE --with FILE`"));
        }
        let with = self.with.as_deref().map(read).transpose()?;
        let (operator, url) = self.target.source.connect().await?;
        let with = match sequence.filter(|_| self.edit) {
            None => with,
            Some(sequence) => {
                let letter = whole(&operator, &url, sequence).await?;
                let Some(draft) = self.reader.edit(console, &letter).await? else {
                    console.note("nothing was changed, so nothing is sent");
                    return Ok(());
                };
                console.note(draft.difference.trim_end());
                Some(draft.bytes)
            }
        };
        // Also after an edit: somebody may have sent it meanwhile.
        let work = letters::intents(&operator, &self.pick, with.as_deref());
        let intents =
            console.watch("reading the dead letters", work).await.map_err(|error| unreadable(&url, error))?;
        if intents.is_empty() {
            return Err(none_meant(&url));
        }
        if with.is_some() && was_sent(&operator, &intents).await.map_err(|error| unreadable(&url, error))? {
            console.warn(
                "it was sent again before, and that was interrupted before it was taken out: if it was sent with other data \
                 than this, that counts",
            );
        }
        if self.dry_run {
            return foretold(self.target.output, &intents, self.rate);
        }
        let work = letters::redrive(&operator, &self.pick, with.as_deref(), self.rate, &self.by);
        let outcome = console.watch("sending", work).await.map_err(|error| interrupted(&url, error))?;
        told(self.target.output, "sent again", &outcome)
    }
}

impl Reader {
    /// What an editor makes of `letter`'s event; nothing if it was left as it was.
    async fn edit(&self, console: Console, letter: &DeadLetter) -> Result<Option<draft::Draft>, Problem> {
        let build = if self.no_build { Build::Beside } else { Build::like_this_program() };
        let program = match self.unchecked {
            true => None,
            false => app::program(self.app.as_deref(), &letter.function, build, console).await?,
        };
        if program.is_none() {
            console.warn(&format!(
                "what you save is checked as an event only: the program of {} is not known here",
                letter.function
            ));
        }
        draft::edit(letter, program.as_deref()).await
    }
}

/// Whether the trail tells already that one of them was sent again.
async fn was_sent(operator: &Operator, intents: &[Intent]) -> Result<bool, OperatorError> {
    for note in intents.iter().filter_map(|intent| intent.note.as_ref()) {
        if !operator.read(EVENTS, note, 1).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(file).map_err(|error| {
        Problem::new(Exit::NoInput, format!("cannot read {}", file.display())).because(error)
    })
}

/// What would be done, letter by letter.
fn foretold(format: Format, intents: &[Intent], rate: Option<NonZeroU32>) -> Result<(), Problem> {
    let left = intents.iter().filter(|intent| !intent.sends).count();
    let sent = intents.len() - left;
    let text = || {
        let mut text: String = intents.iter().map(Intent::in_words).collect();
        text.push_str(&format!("nothing was sent: {sent} would be sent again, {left} would be left"));
        if let Some(rate) = rate {
            // The first one waits for nothing.
            let seconds = (sent as u64).saturating_sub(1).div_ceil(u64::from(rate.get()));
            text.push_str(&format!("; at {rate} a second it takes {seconds} s"));
        }
        text + "\n"
    };
    print(format, text, &intents)?;
    match left {
        0 => Ok(()),
        left => Err(Problem::new(Exit::Failed, format!("{left} dead letters would be left where they are"))
            .remedy(
                "`jetlag dlq edit SEQUENCE` mends the data of one; `jetlag dlq purge SEQUENCE` removes it",
            )),
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
        .remedy("`jetlag dlq show SEQUENCE` tells about one; `jetlag dlq edit SEQUENCE` sends it with its data mended"))
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
