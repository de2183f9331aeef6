//! Processes that tests start.

use std::fs::File;
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
