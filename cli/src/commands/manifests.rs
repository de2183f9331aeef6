//! `jetlag manifests`: writes what Kubernetes and KEDA need to run the functions, or says what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;

use super::contracted::Contracted;
use super::{Format, print};
use crate::app::Deployable;
use crate::console::Console;
use crate::difference::unified;
use crate::problem::{Exit, Problem};

/// Where manifests are, beside jetlag.yaml.
const DIRECTORY: &str = "keda";

/// Write the manifests for Kubernetes and KEDA
///
/// Everything is made from the functions' contracts, which their programs tell, and from the `deploy` section of
/// jetlag.yaml. Files that are not ours are left alone.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Manifests {
    /// Write nothing; fail if a file is not as it would be written, and name each
    #[arg(long)]
    check: bool,

    /// Write nothing; print what would change as a unified diff, and fail if there is any
    #[arg(long, conflicts_with = "check")]
    diff: bool,

    #[command(flatten)]
    contracted: Contracted,

    /// Write into this directory [default: keda, beside jetlag.yaml]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  jetlag manifests                                       write keda/
  jetlag manifests --diff                                what a changed contract changes
  jetlag manifests --function target/debug/till --output deploy
  kubectl apply -k keda/base                             into the cluster (docs/deploy.md)

Exit codes:
  0 done, or all is as it would be written    1 something differs    64 usage    65 the build failed
  73 a file cannot be written    78 configuration";

impl Manifests {
    /// Writes, or compares.
    ///
    /// # Errors
    /// A file differs (1) or cannot be written (73), or the settings lack something (78).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let Deployable { root, functions, deploy } = self.contracted.ask(console).await?;
        let files = keda::files(&functions, &deploy).map_err(|unwritable| {
            Problem::new(Exit::Config, "the manifests cannot be made")
                .details(unwritable.faults)
                .remedy("change the `deploy` section of jetlag.yaml; docs/deploy.md has its settings")
        })?;
        for finding in keda::lint::lint(&functions, &deploy.streams.sizing(), &[]) {
            console.warn(&format!("{}: {}: {}", finding.rule, finding.place, finding.what));
            console.note(&format!("write {} (`jetlag lint` says why)", finding.instead));
        }
        let directory = self.output.clone().unwrap_or_else(|| root.join(DIRECTORY));
        let changes = changes(&directory, &files)?;
        if self.check || self.diff {
            return self.compared(&directory, &changes);
        }
        for change in &changes {
            change.make()?;
        }
        let count = files.len();
        console.good(
            "manifests",
            &format!("{count} files in {}, {} changed", directory.display(), changes.len()),
        );
        Ok(())
    }

    fn compared(&self, directory: &Path, changes: &[Change]) -> Result<(), Problem> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.diff {
            let texts: Vec<String> = changes.iter().map(Change::diff).collect();
            print(Format::Text, || texts.concat(), &texts)?;
        }
        let what =
            format!("{} files in {} are not as the contracts make them", changes.len(), directory.display());
        let paths =
            changes.iter().map(|change| format!("{}: {}", change.path.display(), change.word())).collect();
        Err(Problem::new(Exit::Failed, what).details(paths).remedy("write them with `jetlag manifests`"))
    }
}

/// A file that is not as it would be written.
#[derive(Debug)]
struct Change {
    path: PathBuf,
    /// What is there; nothing if the file is not.
    before: Option<String>,
    /// What would be written; nothing if it was made once, and is not any more.
    after: Option<String>,
}

impl Change {
    fn word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "is missing",
            (Some(_), Some(_)) => "differs",
            (Some(_), None) => "is not made any more",
        }
    }

    fn diff(&self) -> String {
        let path = self.path.display().to_string();
        let name = |text: &Option<String>| if text.is_some() { path.as_str() } else { "/dev/null" };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        unified(name(&self.before), name(&self.after), &text(&self.before), &text(&self.after))
    }

    fn make(&self) -> Result<(), Problem> {
        let path = &self.path;
        let failed = |error| {
            Problem::new(Exit::CannotCreate, format!("cannot write `{}`", path.display())).because(error)
        };
        let Some(after) = &self.after else { return std::fs::remove_file(path).map_err(failed) };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        std::fs::write(path, after).map_err(failed)
    }
}

fn changes(directory: &Path, files: &BTreeMap<PathBuf, String>) -> Result<Vec<Change>, Problem> {
    let mut changes = Vec::new();
    for (path, after) in files {
        let path = directory.join(path);
        let before = text_of(&path)?;
        if before.as_ref() != Some(after) {
            changes.push(Change { path, before, after: Some(after.clone()) });
        }
    }
    let directories: BTreeSet<&Path> = files.keys().filter_map(|path| path.parent()).collect();
    for place in directories {
        let entries = std::fs::read_dir(directory.join(place)).into_iter().flatten().filter_map(Result::ok);
        let others =
            entries.map(|entry| place.join(entry.file_name())).filter(|path| !files.contains_key(path));
        for path in others.map(|path| directory.join(path)).filter(|path| path.is_file()) {
            // Whatever else is there is somebody else's.
            let before = text_of(&path)?.filter(|text| text.starts_with(keda::HEADER));
            if before.is_some() {
                changes.push(Change { path, before, after: None });
            }
        }
    }
    Ok(changes)
}

fn text_of(path: &Path) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Problem::new(Exit::NoInput, format!("cannot read `{}`", path.display())).because(error))
        }
    }
}
