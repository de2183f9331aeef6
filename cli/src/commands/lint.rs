//! `jetlag lint`: what will go wrong between contracts, streams, KEDA and Kubernetes, before it does.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use keda::lint::{Finding, Placed, Severity};
use serde::Serialize;

use super::contracted::Contracted;
use super::{Format, print};
use crate::app::{self, Deployable};
use crate::console::Console;
use crate::objects;
use crate::problem::{Exit, Problem};

/// Find what will go wrong with contracts and manifests, before it does
///
/// Looks at the functions' contracts, which their programs tell, at the `deploy` section of jetlag.yaml, and at the
/// ScaledObjects, Deployments and JetStream consumers in FILE, whoever wrote them. Each finding says what is wrong, what
/// comes of it, and what to write instead; docs/lint.md has all rules.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Lint {
    /// Manifests, or directories of them; without any, the contracts alone
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    contracted: Contracted,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  jetlag lint                                            the contracts of this workspace
  jetlag lint keda/base                                  and the manifests, as they lie there
  jetlag lint --function target/debug/till till.yaml     a function of any team, and what it is deployed with
  kubectl kustomize keda/overlays/dev | jetlag lint -    what would be applied
  jetlag lint -o json | jq '.findings[].rule'            for a program

Exit codes:
  0 nothing is wrong, or there are warnings only    1 something is wrong    2 it could not be looked";

/// The result.
#[derive(Debug, Serialize)]
struct Linted {
    /// What is wrong, in the order in which it was looked at.
    findings: Vec<Finding>,
    /// Whose contracts were looked at.
    functions: Vec<String>,
    /// How many objects were looked at.
    objects: usize,
}

impl Lint {
    /// Looks, and prints.
    ///
    /// # Errors
    /// Something is wrong (1), or it could not be looked (2).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let unable = |problem: Problem| problem.exiting(Exit::CouldNotLook);
        let given = objects::read(&self.files).map_err(unable)?;
        let linted = self.look(&given, console).await.map_err(unable)?;
        print(self.output, || linted.in_words(), &linted)?;
        match linted.count(Severity::Error) {
            0 => Ok(()),
            1 => Err(Problem::new(Exit::Failed, "something is wrong")
                .remedy("it says above what to write instead")),
            many => Err(Problem::new(Exit::Failed, format!("{many} things are wrong"))
                .remedy("each says above what to write instead")),
        }
    }

    async fn look(&self, given: &[Placed], console: Console) -> Result<Linted, Problem> {
        // Manifests can be looked at without their functions, where there are none.
        let alone = !self.files.is_empty() && self.contracted.is_unsaid();
        let (functions, sizing) = if alone && app::root(None).is_err() {
            console.note("no jetlag.yaml here: what only contracts tell is not looked at");
            (Vec::new(), keda::Deploy::default().streams.sizing())
        } else {
            let Deployable { functions, deploy, .. } = self.contracted.ask(console).await?;
            (functions, deploy.streams.sizing())
        };
        Ok(Linted {
            findings: keda::lint::lint(&functions, &sizing, given),
            functions: functions.into_iter().map(|function| function.name).collect(),
            objects: given.len(),
        })
    }
}

/// A number of things, as a person says it.
fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

impl Linted {
    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn in_words(&self) -> String {
        let mut text = String::new();
        for Finding { severity, rule, place, what, why, instead } in &self.findings {
            let _ = writeln!(text, "{severity}: {rule}: {place}\n  {what}\n  {why}\n  write: {instead}");
        }
        let (functions, objects) =
            (counted(self.functions.len(), "function"), counted(self.objects, "object"));
        let _ = match (self.count(Severity::Error), self.count(Severity::Warning)) {
            (0, 0) => writeln!(text, "{functions}, {objects}: nothing is wrong"),
            (errors, warnings) => {
                let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
                writeln!(text, "{functions}, {objects}: {errors}, {warnings}")
            }
        };
        text
    }
}
