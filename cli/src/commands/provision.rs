//! `jetlag provision`: makes the streams and consumers of a file of contracts, and checks those that are there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use jetlag::jetstream::{Difference, ProvisionError, Provisioned};
use jetlag::topology::Topology;
use keda::Contracts;

use super::{Target, print};
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// Contracts of some hundred functions are less than this.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The field that provisioning adds to.
const SUBJECTS: &str = "subjects:";
/// The wait between two attempts to reach the broker.
const RETRY: Duration = Duration::from_secs(1);

/// Make the streams and consumers of a file of contracts, and check those that are there
///
/// What is missing is made; what is there as it must be is left alone; what is there and incompatible is told with the
/// difference, and nothing is changed. It can be run any number of times. In a cluster it is the Job jetlag-provision, with
/// the file that `jetlag manifests` wrote: a consumer that is missing keeps a function that has scaled to zero there.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Provision {
    /// The file: streams and functions, as `jetlag manifests` writes it into the ConfigMap jetlag-contracts
    #[arg(long, value_name = "FILE")]
    contracts: PathBuf,

    /// Make nothing; fail if something is missing or differs
    #[arg(long)]
    check: bool,

    /// Wait so long for the broker, such as 90s
    #[arg(long, value_name = "TIME", value_parser = super::duration, default_value = "2m")]
    wait: Duration,

    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag provision --contracts contracts.json --url nats://nats.example:4222
  jetlag provision --contracts contracts.json --check        whether it would change anything

Exit codes:
  0 all is there    1 something is missing (--check)    64 usage    66 no such file    69 no answer
  78 what is there is incompatible, or the file is wrong; nothing was changed";

impl Provision {
    /// Makes, or checks.
    ///
    /// # Errors
    /// See the exit codes.
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let topology = read(&self.contracts)?.topology();
        let done = self.until_there(&topology, console).await?;
        print(self.target.output, || in_words(&done), &done)
    }

    /// Tries again while the broker does not answer: in a cluster it may be starting too.
    async fn until_there(&self, topology: &Topology, console: Console) -> Result<Provisioned, Problem> {
        let deadline = Instant::now() + self.wait;
        let mut told = None;
        loop {
            match self.once(topology).await {
                Err(problem) if problem.exit() == Exit::Unavailable && Instant::now() < deadline => {
                    let why = problem.sentence();
                    if told.as_ref() != Some(&why) {
                        console.note(&format!("not there yet: {why}"));
                        told = Some(why);
                    }
                    tokio::time::sleep(RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn once(&self, topology: &Topology) -> Result<Provisioned, Problem> {
        let (operator, url) = self.target.source.connect_as(PROVISION).await?;
        // Everything is looked at before anything is made, so that a refusal has changed nothing.
        let differences = operator.differences(topology).await.map_err(|error| problem(error, &url))?;
        let (missing, incompatible): (Vec<_>, Vec<_>) =
            differences.iter().partition(|found| is_mendable(found));
        if !incompatible.is_empty() {
            return Err(refusal(&incompatible, &url));
        }
        if self.check && !missing.is_empty() {
            let what = format!("at {url}, not everything is there that the contracts need");
            return Err(Problem::new(Exit::Failed, what)
                .details(missing.iter().flat_map(|found| lines_of(found)).collect())
                .remedy("the same command without --check makes it"));
        }
        operator.provision(topology).await.map_err(|error| problem(error, &url))
    }
}

/// Whether provisioning makes it right: it is missing, or a stream lacks types of new contracts.
fn is_mendable(found: &Difference) -> bool {
    found.fields.iter().all(|field| field.trim_start().starts_with(SUBJECTS))
}

fn lines_of(found: &Difference) -> Vec<String> {
    let Difference { what, fields } = found;
    if fields.is_empty() {
        return vec![format!("{what} is missing")];
    }
    fields.iter().map(|field| format!("{what}: {}", field.trim())).collect()
}

fn refusal(incompatible: &[&Difference], url: &str) -> Problem {
    let what = format!("at {url}, there is what the contracts cannot work with; nothing was changed");
    Problem::new(Exit::Config, what).details(incompatible.iter().flat_map(|found| lines_of(found)).collect()).remedy(
        "change it by hand, or remove it if nothing needs it: a consumer that is made again starts at the first event that \
         is kept, and what was answered for is recognised\ndocs/deploy.md has the steps",
    )
}

fn read(path: &Path) -> Result<Contracts, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(Exit::NoInput, format!("cannot read `{}`", path.display())).because(error)
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        let what = format!("`{}` has more than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Problem::new(Exit::Config, what));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    serde_json::from_str(&text).map_err(|error| {
        Problem::new(Exit::Config, format!("`{}` is no file of contracts", path.display()))
            .because(error)
            .remedy("`jetlag manifests` writes it; its version must be that of this command")
    })
}

fn problem(error: ProvisionError, url: &str) -> Problem {
    // Somebody else may have made it in between.
    let exit = if matches!(error, ProvisionError::Differs { .. }) { Exit::Config } else { Exit::Unavailable };
    Problem::new(exit, format!("the broker at {url} cannot be provisioned")).because(error)
}

fn in_words(done: &Provisioned) -> String {
    let line = |word: &'static str| move |what: &String| format!("{word:<9} {what}\n");
    let Provisioned { created, extended, unchanged } = done;
    created
        .iter()
        .map(line("made"))
        .chain(extended.iter().map(line("extended")))
        .chain(unchanged.iter().map(line("as it was")))
        .collect()
}
