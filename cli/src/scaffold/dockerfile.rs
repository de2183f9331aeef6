//! The lines of images/Dockerfile that build one more function.

use std::path::{Path, PathBuf};

/// Where it is in a workspace.
const PATH: &str = "images/Dockerfile";
/// What stands behind the functions where they are built, where they are copied, and where the images are: the command's own
/// program.
const COMMAND: &str = " \\\n && cargo build --locked --profile dist-small";
const COPIED: &str = " dist-small/jetlag /out/";
const LAST: &str = "FROM base AS jetlag\n";

/// The workspace's Dockerfile with a target for `name`; nothing if it has none, and its path if it has another form.
pub(super) fn with(root: &Path, name: &str) -> Option<Result<(PathBuf, String), PathBuf>> {
    let path = root.join(PATH);
    let text = std::fs::read_to_string(&path).ok()?;
    Some(add(&text, name).map(|text| (path.clone(), text)).ok_or(path))
}

fn add(text: &str, name: &str) -> Option<String> {
    let target = format!(
        "FROM base AS {name}\nCOPY --from=build /out/{name} /{name}\nENTRYPOINT [\"/{name}\"]\n\n{LAST}"
    );
    let mut text = text.to_owned();
    for (before, after) in
        [(COMMAND, format!(" -p {name}{COMMAND}")), (COPIED, format!(" dist/{name}{COPIED}")), (LAST, target)]
    {
        if text.matches(before).count() != 1 {
            return None;
        }
        text = text.replace(before, &after);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dockerfile_gets_a_target_or_is_left_alone() {
        let text =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../images/Dockerfile")).unwrap();
        let with = add(&text, "loyalty").unwrap();
        assert!(with.contains("FROM base AS loyalty\nCOPY --from=build /out/loyalty /loyalty\n"), "{with}");
        assert!(
            with.contains(" -p loyalty \\\n") && with.contains(" dist/loyalty dist-small/jetlag /out/"),
            "{with}"
        );
        assert_eq!(add("FROM scratch\n", "loyalty"), None);
    }
}
