//! Asks each function's program what it is: `--describe`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jetlag::Description;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::problem::{Exit, Problem};

/// How long a program may take to describe itself. It prints a constant; the rest is for a busy machine.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(20);
/// How many of the last lines on standard error are told.
const LAST_WORDS_LINES: usize = 10;

/// The description of each program, in the order of `programs` (name and path).
///
/// # Errors
/// A program does not describe itself, or two functions have one name (78): nothing has been started by then.
pub(crate) async fn all(programs: &[(String, PathBuf)]) -> Result<Vec<Description>, Problem> {
    let mut under_way = JoinSet::new();
    for (place, (name, program)) in programs.iter().cloned().enumerate() {
        under_way.spawn(async move { (place, describe(&name, &program).await) });
    }
    let mut described = BTreeMap::new();
    while let Some(done) = under_way.join_next().await {
        let (place, description) = done.map_err(|error| {
            Problem::new(Exit::Internal, "a function's description was not waited for").because(error)
        })?;
        described.insert(place, description?);
    }
    let described: Vec<Description> = described.into_values().collect();
    let mut packages = BTreeMap::new();
    for (description, (package, _)) in described.iter().zip(programs) {
        if let Some(other) = packages.insert(&description.name, package) {
            // They would share a consumer, and each would miss what the other takes.
            let name = &description.name;
            let what = format!("`{other}` and `{package}` are both the function `{name}`");
            return Err(Problem::new(Exit::Config, what)
                .remedy("give each its own name, in `Contract::new(\"…\", …)`"));
        }
    }
    Ok(described)
}

async fn describe(name: &str, program: &Path) -> Result<Description, Problem> {
    let wrong = |why: String| {
        Problem::new(
            Exit::Config,
            format!("`{name}` does not describe itself: `{} --describe` {why}", program.display()),
        )
    };
    let mut command = Command::new(program);
    command.arg("--describe").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DESCRIBE_LIMIT, command.output())
        .await
        .map_err(|_| wrong(format!("did not end within {} s", DESCRIBE_LIMIT.as_secs())))?
        .map_err(|error| wrong("cannot be run".to_owned()).because(error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<_> = said.lines().map(str::to_owned).collect();
        let last = lines.len().saturating_sub(LAST_WORDS_LINES);
        return Err(
            wrong(format!("ended with {}", output.status)).details(lines.into_iter().skip(last).collect())
        );
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        wrong("printed something else than a description".to_owned())
            .because(error)
            .remedy("a function's `main` is `jetlag::Function::new(CONTRACT, …).run()`; it answers for you")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLERK: &str = r#"{"name":"clerk","version":"0.1.0","summary":"","reads":"events","listens_to":[],"emits":[],
        "admits":[],"keeps":[],"retry":{"first_delay_ms":1,"max_delay_ms":1,"max_attempts":1},"time_limit_ms":1,
        "concurrency":1,"batch":1}"#;

    /// A program that is a shell script.
    fn script(directory: &Path, name: &str, text: &str) -> (String, PathBuf) {
        let path = directory.join(name);
        ::tests::script(&path, text);
        (name.to_owned(), path)
    }

    #[tokio::test]
    async fn descriptions_come_in_the_order_of_the_programs() {
        let directory = tempfile::tempdir().unwrap();
        let slow = format!("sleep 0.2; echo '{}'", CLERK.replace("clerk", "slow"));
        let programs = [
            script(directory.path(), "slow", &slow),
            script(directory.path(), "fast", &format!("[ \"$1\" = --describe ] && echo '{CLERK}'")),
        ];
        let names: Vec<_> =
            all(&programs).await.unwrap().into_iter().map(|description| description.name).collect();
        assert_eq!(names, ["slow", "clerk"]);
    }

    #[tokio::test]
    async fn a_program_that_does_not_describe_itself_is_a_wrong_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let told = async |text: &str| {
            let problem = all(&[script(directory.path(), "till", text)]).await.unwrap_err();
            assert_eq!(problem.exit(), Exit::Config);
            problem.render()
        };
        let failed = told("echo no drawer >&2; exit 3").await;
        assert!(failed.contains("`till`") && failed.contains("exit status: 3"), "{failed}");
        assert!(failed.contains("| no drawer"), "{failed}");
        assert!(told("echo hello").await.contains("printed something else than a description"));
        assert!(told("echo '{\"name\":\"till\"}'").await.contains("missing field"));
    }

    #[tokio::test]
    async fn two_functions_of_one_name_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("echo '{CLERK}'");
        let programs = [script(directory.path(), "a", &text), script(directory.path(), "b", &text)];
        let problem = all(&programs).await.unwrap_err();
        assert_eq!(problem.to_string(), "`a` and `b` are both the function `clerk`");
    }
}
