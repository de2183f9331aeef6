//! The files of `keda/`: what is written, and committed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jetlag::Description;
use jetlag::permissions::{Permissions, claims_json, server_configuration};

use crate::deploy::Deploy;
use crate::document::Document;
use crate::kustomization::Kustomization;
use crate::parts::Page;
use crate::{chart, command, exporter, function, names, overlays, shared};

/// How a file begins that is made here, where its form has comments.
pub const HEADER: &str = "# Made by `jetlag manifests` from the contracts and the `deploy` section of jetlag.yaml. Change those, not this.\n";

/// The page of the namespace.
const NAMESPACE: &str = "namespace";

/// Why nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifests cannot be made:\n  {}", .faults.join("\n  "))]
pub struct Unwritable {
    /// Everything that is wrong, each in one line.
    pub faults: Vec<String>,
}

/// The files for `functions`, by their path in `keda/`.
///
/// # Errors
/// A function needs a setting that `deploy` does not have, or `deploy` speaks of what is not there.
pub fn files(functions: &[Description], deploy: &Deploy) -> Result<BTreeMap<PathBuf, String>, Unwritable> {
    files_with(functions, deploy, &[])
}

/// The same, with `more` in the chart.
///
/// # Errors
/// A function needs a setting that `deploy` does not have, or `deploy` speaks of what is not there.
pub fn files_with(
    functions: &[Description],
    deploy: &Deploy,
    more: &[Page],
) -> Result<BTreeMap<PathBuf, String>, Unwritable> {
    let mut functions = functions.to_vec();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let mut faults = names::faults(&functions);
    faults.extend(strangers(&functions, deploy));
    let mut pages: BTreeMap<String, Vec<Document>> = BTreeMap::from([
        (NAMESPACE.to_owned(), vec![shared::namespace(deploy)]),
        ("network".to_owned(), vec![shared::closed(deploy)]),
        ("broker".to_owned(), shared::monitoring(deploy).into()),
        ("provision".to_owned(), command::provision(&functions, deploy)),
        ("rescue".to_owned(), command::rescue(deploy)),
        ("metrics".to_owned(), exporter::objects(deploy)),
    ]);
    for function in &functions {
        let (documents, wrong) = function::objects(function, deploy);
        faults.extend(wrong);
        pages.insert(function.name.clone(), documents);
    }
    let of_more = more.iter().flat_map(|page| &page.documents);
    faults.extend(pages.values().flatten().chain(of_more).flat_map(Document::faults).cloned());
    if !faults.is_empty() {
        return Err(Unwritable { faults });
    }
    let mut files = BTreeMap::new();
    // A chart is installed into a namespace that is there.
    let in_chart = pages.iter().filter(|(name, _)| *name != NAMESPACE);
    files.extend(chart::files(&functions, deploy, in_chart, more, HEADER));
    let base = PathBuf::from("base");
    let kustomization = Kustomization::of(pages.keys().map(|name| format!("{name}.yaml")));
    files.extend(pages.iter().map(|(name, documents)| (base.join(format!("{name}.yaml")), page(documents))));
    files.insert(base.join("kustomization.yaml"), page(&[Document::of(&kustomization)]));
    let overlays = [
        ("overlays/dev", overlays::dev()),
        ("overlays/production", overlays::production(&functions, deploy)),
        ("components/podmonitor", overlays::pod_monitor(deploy)),
    ];
    for (directory, pages) in overlays {
        faults.extend(pages.iter().flat_map(|(_, page)| page).flat_map(Document::faults).cloned());
        let directory = PathBuf::from(directory);
        files.extend(pages.iter().map(|(name, documents)| (directory.join(name), page(documents))));
    }
    files.extend(broker(&functions, deploy));
    if !faults.is_empty() {
        return Err(Unwritable { faults });
    }
    Ok(files)
}

/// The users of the broker and what each may do, for its configuration and for its JWTs.
fn broker(functions: &[Description], deploy: &Deploy) -> [(PathBuf, String); 2] {
    let users = Permissions::all(functions);
    let claims = serde_json::to_string_pretty(&claims_json(&users)).unwrap_or_default() + "\n";
    let directory = PathBuf::from("broker");
    let configuration = server_configuration(&deploy.broker.account, &users);
    [(directory.join("jetlag.conf"), configuration), (directory.join("claims.json"), claims)]
}

/// Functions and variables that `deploy` speaks of, and that are not there.
fn strangers(functions: &[Description], deploy: &Deploy) -> Vec<String> {
    let unknown = deploy.functions.keys().filter(|name| !functions.iter().any(|f| f.name == **name));
    let unread = deploy.env.keys().filter(|name| {
        !functions.iter().flat_map(|function| &function.variables).any(|known| known.name == **name)
    });
    unknown
        .map(|name| format!("deploy.functions.{name}: there is no such function"))
        .chain(unread.map(|name| format!("deploy.env.{name}: no function reads it")))
        .collect()
}

pub(crate) fn page(documents: &[Document]) -> String {
    let texts: Vec<String> = documents.iter().map(Document::text).collect();
    format!("{HEADER}{}", texts.join("---\n"))
}
