//! An application as it is deployed elsewhere: its functions' own words, and what they cannot know.

use std::path::{Path, PathBuf};

use jetlag::Description;

use super::plan::Plan;
use super::{Build, describe, manifest, plan};
use crate::console::Console;
use crate::problem::Problem;

/// An application as it is deployed elsewhere.
#[derive(Debug)]
pub struct Deployable {
    /// Where its manifest is.
    pub root: PathBuf,
    /// What its functions say of themselves.
    pub functions: Vec<Description>,
    /// What they cannot know.
    pub deploy: keda::Deploy,
}

/// The application of `manifest`, or of the nearest one. Its functions are `programs`, which need no application, or, if
/// none is named, those of the Cargo workspace, which are built.
///
/// # Errors
/// There is no application, it is not built, or a function does not describe itself.
pub async fn deployable(
    manifest: Option<&Path>,
    programs: &[PathBuf],
    build: Build,
    console: Console,
) -> Result<Deployable, Problem> {
    if programs.is_empty() {
        let mut plan = Plan::read(manifest).await?;
        if build == Build::Beside {
            // What runs beside the functions here need not be there. A build takes it in, as that of `up` does: with other
            // packages Cargo would choose other features, and build again what is built.
            plan.manifest.companions.clear();
        }
        let executables = plan.executables(build, console).await?;
        let functions = describe::all(&plan.programs(&executables)?).await?;
        return Ok(Deployable { root: plan.root, functions, deploy: plan.manifest.deploy });
    }
    let (root, deploy) = match plan::manifest_path(manifest) {
        Ok(path) => {
            let deploy = manifest::Manifest::read(&path)?.deploy;
            (path.parent().unwrap_or(Path::new(".")).to_owned(), deploy)
        }
        // Programs that are named need no application around them.
        Err(_) => (PathBuf::from("."), keda::Deploy::default()),
    };
    let named: Vec<_> = programs.iter().map(|path| (path.display().to_string(), path.clone())).collect();
    let functions = describe::all(&named).await?;
    Ok(Deployable { root, functions, deploy })
}
