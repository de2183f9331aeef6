//! The Cargo.toml of a new function.

use std::collections::BTreeSet;

use super::name::Name;
use super::place::{Place, Source};
use crate::app::has;

/// What a package may inherit from its workspace, and what it says otherwise.
const INHERITED: [(&str, &str); 5] = [
    ("version", "\"0.1.0\""),
    ("edition", "\"2024\""),
    ("rust-version", ""),
    ("license", ""),
    ("publish", "false"),
];

/// Its text. `packages` are those of the workspace that it uses.
pub(super) fn text(name: &Name, place: &Place, packages: &BTreeSet<String>) -> String {
    let mut lines = vec![
        "[package]".to_owned(),
        format!("name = \"{}\"", name.text),
        format!("description = \"The function {}.\"", name.text),
    ];
    for (key, value) in INHERITED {
        if has(&place.workspace, "workspace.package", key) {
            lines.push(format!("{key}.workspace = true"));
        } else if !value.is_empty() {
            lines.push(format!("{key} = {value}"));
        }
    }
    lines.extend(["", "[package.metadata.jetlag]", "function = true", ""].map(str::to_owned));
    lines.push("# Nothing is to be tested in main.rs: no harness is built for it.".to_owned());
    lines.push(format!("[[bin]]\nname = \"{}\"\npath = \"src/main.rs\"\ntest = false", name.text));
    lines.extend(["", "[dependencies]"].map(str::to_owned));
    let mut dependencies: BTreeSet<String> =
        packages.iter().map(|package| dependency(place, package, &path_of(place, package), "")).collect();
    dependencies.insert(dependency(place, "jetlag", &jetlag(place), ""));
    dependencies.insert(dependency(place, "serde", "version = \"1\"", "\"derive\""));
    lines.extend(dependencies);
    lines.extend(["", "[dev-dependencies]"].map(str::to_owned));
    lines.push(match place.inherits("jetlag") {
        true => "jetlag = { workspace = true, features = [\"testing\"] }".to_owned(),
        false => format!("jetlag = {{ {}, features = [\"testing\"] }}", jetlag(place)),
    });
    lines.push(dependency(place, "tokio", "version = \"1\"", "\"macros\", \"rt\""));
    if place.root.is_none() {
        lines.extend(
            ["", "# A workspace of its own, whatever is around it.", "[workspace]"].map(str::to_owned),
        );
    } else if place.workspace.contains("[workspace.lints") {
        lines.extend(["", "[lints]", "workspace = true"].map(str::to_owned));
    }
    lines.join("\n") + "\n"
}

fn dependency(place: &Place, package: &str, source: &str, features: &str) -> String {
    match (place.inherits(package), features) {
        (true, _) => format!("{package}.workspace = true"),
        (false, "") => format!("{package} = {{ {source} }}"),
        (false, features) => format!("{package} = {{ {source}, features = [{features}] }}"),
    }
}

fn jetlag(place: &Place) -> String {
    match &place.jetlag {
        Some(Source::Path(path)) => format!("path = {:?}", path.display().to_string()),
        Some(Source::Git(url)) => format!("git = {url:?}"),
        None => String::new(),
    }
}

/// Where a package of the workspace is.
fn path_of(place: &Place, package: &str) -> String {
    let sources = place.libraries.iter().find(|(name, _)| name == package).map(|(_, sources)| sources);
    let directory = sources.and_then(|sources| sources.parent()).unwrap_or(&place.directory);
    format!("path = {:?}", directory.display().to_string())
}
