//! Builds everything that is measured, as it would be deployed.

use std::path::{Path, PathBuf};
use std::process::Command;

use jetlag_cli::broker::{Places, find};
use jetlag_cli::console::Console;

use crate::sides::{Built, SERVICES, root};

/// How the variables begin by which Cargo tells this program of its own package: a build script that looks at its own
/// would run again.
const OF_PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// Builds what is not built, if it `is_wanted`, and finds or fetches the broker. `target` is a Rust target, or nothing for
/// the machine's own. The collector is built if it `is_traced`.
pub async fn build(profile: &str, target: Option<&str>, is_wanted: bool, is_traced: bool) -> Built {
    let directory = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let go = directory.join("bench");
    std::fs::create_dir_all(&go).expect("a directory for the peers");
    if is_wanted {
        run(go_build(&go, "tests/bench/peers", "./..."), "the Go peers (Go 1.26 or newer is needed)");
        if is_traced {
            run(
                go_build(&go, "tests/collector", "."),
                "the OpenTelemetry Collector, which takes minutes at first",
            );
        }
        run(programs(profile, target), "the functions and the floors");
    }
    let broker = find(&Places::from_env(None), &Console::stderr()).await;
    let broker = broker.unwrap_or_else(|problem| panic!("{}", problem.render())).path;
    // The one profile whose directory has another name.
    let place = if profile == "dev" { "debug" } else { profile };
    Built { go, rust: directory.join(target.unwrap_or_default()).join(place), broker }
}

/// Builds what is pinned in go.mod and go.sum, wherever this is checked out.
fn go_build(into: &Path, module: &str, packages: &str) -> Command {
    let mut go = Command::new("go");
    go.args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o"]).arg(into).arg(packages);
    go.current_dir(root().join(module)).env("GOWORK", "off");
    go
}

fn programs(profile: &str, target: Option<&str>) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo.args(["build", "--quiet", "--locked", "--profile", profile, "--bins", "--features", "bench/peers"]);
    let functions = SERVICES.iter().map(|service| service.name);
    for package in functions.chain(["world", "bench"]) {
        cargo.args(["--package", package]);
    }
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_PACKAGE.iter().any(|of| name.starts_with(of))) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn run(mut command: Command, what: &str) {
    eprintln!("building {what}");
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{what} cannot be built: {command:?} ended with {status}");
}

/// What was built, for whoever reads the figures.
pub fn versions(built: &Built) -> Vec<String> {
    let said = |program: &PathBuf, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
    };
    let modules = std::fs::read_to_string(root().join("tests/bench/peers/go.mod")).unwrap_or_default();
    let of = |name: &str| {
        let line = modules.lines().find(|line| line.trim().starts_with(name))?;
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?.rsplit('/').next()?, words.next()?))
    };
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain"]).is_some_and(|text| !text.is_empty());
    let commit = git(&["rev-parse", "--short", "HEAD"]).filter(|text| !text.is_empty());
    [
        commit.map(|commit| format!("jetlag {commit}{}", if changed { " with changes" } else { "" })),
        said(&built.broker, "--version"),
        said(&"rustc".into(), "--version"),
        said(&"go".into(), "version"),
        of("github.com/ThreeDotsLabs/watermill "),
        of("github.com/nats-io/nats.go "),
    ]
    .into_iter()
    .flatten()
    .collect()
}
