//! docs/tutorial.md, line by line, in a copy of this workspace.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jetlag_cli::app::status;

use crate::document::{How, Step, steps};
use crate::scratch::Scratch;

const TUTORIAL: &str = include_str!("../../../docs/tutorial.md");
/// Where the document says that orders are taken; in a test it is any free port.
const DOOR: &str = "http://127.0.0.1:8080";
/// Who takes them.
const TAKES_ORDERS: &str = "order-http";
/// More than this nobody is to write, of all that is to be written in one file.
const LINES_MAX: usize = 40;

/// Somebody who walks.
struct Walker {
    scratch: Scratch,
    beside: Option<Beside>,
}

/// What runs in the other terminal.
struct Beside {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Walker {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Replace { file, from, is_to_the_end, text } => {
                let before = self.scratch.read(file);
                let at = before.find(from).unwrap_or_else(|| panic!("{from:?} is not in {file}:\n{before}"));
                let rest = if *is_to_the_end { "" } else { &before[at + from.len()..] };
                self.scratch.write(file, &format!("{}{text}{rest}", &before[..at]));
            }
            Step::Run { how: How::Once, code, command, shown } => {
                let (ended, seen) = self.run(command);
                assert_eq!(ended, Some(*code), "$ {command}\n{seen}");
                shown.is(&seen).unwrap_or_else(|why| panic!("$ {command}\n{seen}\n{why}"));
            }
            Step::Run { how: How::Until, code, command, shown } => until(command, || {
                let (ended, seen) = self.run(command);
                shown.is(&seen).map_err(|why| format!("{seen}\n{why}"))?;
                (ended == Some(*code)).then_some(()).ok_or_else(|| format!("{seen}\nexit code {ended:?}"))
            }),
            Step::Run { how: How::Beside, command, shown, .. } => {
                let beside = self.beside.insert(start(&self.scratch, command));
                until(command, || {
                    let said = beside.said.lock().unwrap().clone();
                    let ended = beside.child.try_wait().unwrap();
                    assert!(ended.is_none(), "it has ended: {ended:?}\n{said}");
                    shown.is(&said).map_err(|why| format!("{said}\n{why}"))
                });
            }
        }
    }

    /// Runs a command of the document to its end, and gives what it said.
    fn run(&self, command: &str) -> (Option<i32>, String) {
        let mut shell = self.scratch.command("bash");
        let output = shell.args(["-c", &format!("{{ {}\n}} 2>&1", self.adapted(command))]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The command as a test runs it: with what was built already, which has the features that `cargo test --workspace` has
    /// compiled everything with, and at ports that are free.
    fn adapted(&self, command: &str) -> String {
        let door = status(&self.scratch.path(".jetlag")).and_then(|status| {
            let process = status.processes.into_iter().find(|process| process.name == TAKES_ORDERS)?;
            process.addresses.values().next().cloned()
        });
        let command = command
            .replace("cargo test --package loyalty", "cargo test --workspace --test loyalty")
            .replace(DOOR, door.as_deref().unwrap_or(DOOR));
        let command = match command.strip_prefix("cargo jetlag invoke") {
            Some(rest) => format!(
                "cargo build --quiet --workspace --bins --test layout && cargo jetlag invoke{rest} --no-build"
            ),
            None => command,
        };
        command.replace("cargo jetlag", env!("CARGO_BIN_EXE_jetlag"))
    }

    /// Ctrl-C in the other terminal.
    fn stop(&mut self) {
        let mut beside = self.beside.take().expect("something runs in the other terminal");
        let pid = beside.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        until("it stops", || match beside.child.try_wait().unwrap() {
            Some(status) if status.success() => Ok(()),
            other => Err(format!("{other:?}\n{}", beside.said.lock().unwrap())),
        });
    }
}

fn start(scratch: &Scratch, command: &str) -> Beside {
    let arguments = command.strip_prefix("cargo jetlag ").expect("a command of jetlag");
    let mut jetlag = scratch.command(env!("CARGO_BIN_EXE_jetlag"));
    jetlag.args(arguments.split(' ')).args(["--port-base", "0", "--nats-port", "0", "--no-build"]);
    let mut child = jetlag.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = Arc::new(Mutex::new(String::new()));
    let pipes: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for pipe in pipes {
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
    }
    Beside { child, said }
}

fn until(what: &str, mut look: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + tests::PATIENCE;
    while let Err(seen) = look() {
        assert!(Instant::now() < deadline, "{what}: not yet\n{seen}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_tutorial_is_true_from_the_first_command_to_the_last() {
    let steps = steps(TUTORIAL);
    let written = |step: &Step| match step {
        Step::Replace { file, text, .. } => {
            Some((file.clone(), text.lines().filter(|line| !line.is_empty()).count()))
        }
        Step::Run { .. } => None,
    };
    let (files, lines): (Vec<_>, Vec<_>) = steps.iter().filter_map(written).unzip();
    assert!(files.iter().all(|file| *file == files[0]), "one file is to be written: {files:?}");
    assert!(lines.iter().all(|lines| *lines <= LINES_MAX), "{lines:?}");

    let mut walker = Walker { scratch: Scratch::of_everything(), beside: None };
    for step in &steps {
        walker.step(step);
    }
    walker.stop();
    // What nobody had to edit.
    assert!(walker.scratch.read("images/Dockerfile").contains("FROM base AS loyalty\n"));
    let (ended, seen) =
        walker.run("cargo jetlag manifests --no-build && cargo jetlag manifests --check --no-build");
    assert_eq!(ended, Some(0), "{seen}");
    assert!(walker.scratch.path("keda/base/loyalty.yaml").is_file());
}
