//! A Cargo workspace read from its files alone, where nothing is built: asking Cargo takes longer than running a function.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::discover::Workspace;

/// The workspace that `directory` is in; nothing if its files say more than is understood here, and Cargo has to be asked.
pub(crate) fn glance(directory: &Path) -> Option<Workspace> {
    let own = directory.ancestors().find(|ancestor| ancestor.join("Cargo.toml").is_file())?;
    let is_root = |ancestor: &&Path| has_table(&read(ancestor), "workspace");
    let root = own.ancestors().find(is_root)?;
    let text = read(root);
    let mut directories: Vec<PathBuf> = Vec::new();
    if has_table(&text, "package") {
        directories.push(root.to_owned());
    }
    for member in list(&text, "members") {
        match member.strip_suffix("/*") {
            Some(parent) if !parent.contains('*') => {
                let entries = std::fs::read_dir(root.join(parent)).ok()?;
                let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
                directories.extend(entries.filter(|path| path.join("Cargo.toml").is_file()));
            }
            None if !member.contains('*') => directories.push(root.join(member)),
            _ => return None,
        }
    }
    directories.sort();
    let packages: Option<Vec<Value>> = directories.iter().map(|directory| package(directory)).collect();
    serde_json::from_value(json!({ "packages": packages?, "workspace_root": root })).ok()
}

fn package(directory: &Path) -> Option<Value> {
    let text = read(directory);
    let name = value(&text, "package", "name")?;
    let (mut targets, mut is_main_named) = (Vec::new(), false);
    for table in text.split("[[bin]]").skip(1) {
        let table = table.split("\n[").next().unwrap_or_default();
        let key = |key: &str| {
            table.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='))
        };
        is_main_named |= key("path").is_none_or(|path| path.contains("src/main.rs"));
        targets.push(json!({ "name": key("name")?.trim().trim_matches('"'), "kind": ["bin"] }));
    }
    if !is_main_named && directory.join("src/main.rs").is_file() {
        targets.push(json!({ "name": name, "kind": ["bin"] }));
    }
    if directory.join("src/lib.rs").is_file() {
        targets.push(json!({ "name": name, "kind": ["lib"] }));
    }
    for entry in std::fs::read_dir(directory.join("src/bin")).into_iter().flatten() {
        let path = entry.ok()?.path();
        targets.push(json!({ "name": path.file_stem()?.to_str()?, "kind": ["bin"] }));
    }
    let is_function = value(&text, "package.metadata.jetlag", "function").as_deref() == Some("true");
    Some(json!({
        "name": name, "id": name, "manifest_path": directory.join("Cargo.toml"), "targets": targets,
        "metadata": is_function.then(|| json!({ "jetlag": { "function": true } })),
    }))
}

fn read(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("Cargo.toml")).unwrap_or_default()
}

/// Whether a Cargo.toml has this table.
fn has_table(text: &str, table: &str) -> bool {
    text.lines().any(|line| line.trim() == format!("[{table}]"))
}

/// Whether a table of a Cargo.toml has a key.
pub(crate) fn has(text: &str, table: &str, key: &str) -> bool {
    line_of(text, table, key).is_some()
}

/// The value of a key that is on one line, without its quotes.
fn value(text: &str, table: &str, key: &str) -> Option<String> {
    let rest = line_of(text, table, key)?.trim_start().strip_prefix('=')?;
    Some(rest.split('#').next()?.trim().trim_matches('"').to_owned())
}

/// What is behind the key, on its line.
fn line_of<'t>(text: &'t str, table: &str, key: &str) -> Option<&'t str> {
    let mut is_inside = false;
    text.lines().find_map(|line| {
        let line = line.trim();
        if line.starts_with('[') {
            is_inside = line == format!("[{table}]");
        }
        let rest = line.strip_prefix(key).filter(|_| is_inside)?;
        rest.trim_start().starts_with(['=', '.']).then_some(rest)
    })
}

/// The texts in a list of the workspace's table, which may have several lines.
fn list<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let table = text.split_once("[workspace]\n").map_or("", |(_, table)| table);
    let table = table.split_once("\n[").map_or(table, |(table, _)| table);
    let values = table.split_once(&format!("{key} = [")).and_then(|(_, rest)| rest.split_once(']'));
    values.map_or("", |(values, _)| values).split('"').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_what_cargo_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (seen, told) = (glance(&root.join("cli")).unwrap(), Workspace::of(root).await.unwrap());
        assert_eq!(seen.root, told.root);
        let functions = |workspace: &Workspace| -> Vec<(String, Option<String>, PathBuf)> {
            let functions = workspace.functions();
            let one = |package: &&super::super::Package| {
                (
                    package.name.clone(),
                    package.main_bin().map(str::to_owned),
                    package.directory().unwrap().to_owned(),
                )
            };
            functions.iter().map(one).collect()
        };
        assert_eq!(functions(&seen), functions(&told));
        assert!(functions(&seen).len() >= 5);
        let world = seen.packages.iter().find(|package| package.name == "world").unwrap();
        assert!(world.has_bin("gateway") && world.has_bin("receiver"));
    }

    #[test]
    fn a_list_may_have_several_lines() {
        let text =
            "[workspace]\nmembers = [\n  \"a\", # the first\n  \"b/*\",\n]\n[package]\nname = \"x\" # y\n";
        assert_eq!(list(text, "members"), ["a", "b/*"]);
        assert_eq!(value(text, "package", "name").as_deref(), Some("x"));
        assert!(has_table(text, "workspace") && !has(text, "workspace", "name"));
    }
}
