//! `jetlag manifests`: writes what Kubernetes, KEDA and Knative need to run the functions, or says what differs.

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
/// Where those for Knative are, beside these, or in the directory that is named.
const KNATIVE: &str = "knative";

/// Write the manifests for Kubernetes, KEDA and Knative
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

    /// Write those for Knative too: what takes requests as a Service that is scaled by them, and triggers
    #[arg(long)]
    knative: bool,

    #[command(flatten)]
    contracted: Contracted,

    /// Write into this directory [default: keda, beside jetlag.yaml], and into `knative` in it [default: beside that]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  jetlag manifests                                       write keda/
  jetlag manifests --knative                             write keda/ and knative/
  jetlag manifests --knative --diff                      what a changed contract changes
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
        let unwritable = |unwritable: keda::Unwritable| {
            Problem::new(Exit::Config, "the manifests cannot be made")
                .details(unwritable.faults)
                .remedy("change the `deploy` section of jetlag.yaml; docs/deploy.md has its settings")
        };
        // The chart has both, whichever of them is written besides.
        let in_chart = knative::chart(&functions, &deploy);
        let files = keda::files_with(&functions, &deploy, &in_chart).map_err(unwritable)?;
        let mut places = vec![(self.output.clone().unwrap_or_else(|| root.join(DIRECTORY)), files)];
        if self.knative {
            let (place, base) = match &self.output {
                Some(output) => (output.join(KNATIVE), "../../base"),
                None => (root.join(KNATIVE), "../../keda/base"),
            };
            places.push((place, knative::files(&functions, &deploy, base).map_err(unwritable)?));
        }
        for finding in keda::lint::lint(&functions, &deploy.streams.sizing(), &[]) {
            console.warn(&format!("{}: {}: {}", finding.rule, finding.place, finding.what));
            console.note(&format!("write {} (`jetlag lint` says why)", finding.instead));
        }
        let mut all = Vec::new();
        for (directory, files) in &places {
            all.extend(changes(directory, files)?);
        }
        let changes = all;
        let names: Vec<String> = places.iter().map(|(place, _)| place.display().to_string()).collect();
        let names = names.join(" and ");
        if self.check || self.diff {
            return self.compared(&names, &changes);
        }
        for change in &changes {
            change.make()?;
        }
        let count: usize = places.iter().map(|(_, files)| files.len()).sum();
        console.good("manifests", &format!("{count} files in {names}, {} changed", changes.len()));
        Ok(())
    }

    fn compared(&self, places: &str, changes: &[Change]) -> Result<(), Problem> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.diff {
            let texts: Vec<String> = changes.iter().map(Change::diff).collect();
            print(Format::Text, || texts.concat(), &texts)?;
        }
        let what = format!("{} files in {places} are not as the contracts make them", changes.len());
        let paths =
            changes.iter().map(|change| format!("{}: {}", change.path.display(), change.word())).collect();
        Err(Problem::new(Exit::Failed, what).details(paths).remedy(if self.knative {
            "write them with `jetlag manifests --knative`"
        } else {
            "write them with `jetlag manifests`"
        }))
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
