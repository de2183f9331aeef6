//! Processes that tests start.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Starts `command` with nothing to read and with what it says at the end of the file `log`. It is killed when it is dropped.
///
/// # Panics
/// It cannot be started, or the file cannot be written.
pub fn logged(command: &mut Command, log: &Path) -> Child {
    let file = File::options().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    command.kill_on_drop(true).spawn().unwrap()
}

/// Writes a shell script that can be run, to `path`.
///
/// A shell of its own writes it: if this process did, a program that another test starts at that moment would have the file
/// open for writing too, and nobody could run it (`ETXTBSY`).
///
/// # Panics
/// It cannot be written.
pub fn script(path: &Path, text: &str) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    write!(stdin, "#!/bin/sh\n{text}\n").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{} cannot be written", path.display());
}
