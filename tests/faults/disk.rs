//! The disk under the broker is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tests::until;

use crate::field::{Field, ask, skip};
use crate::server::store;

/// The whole disk: enough for the streams and some hundred questions.
const DISK_BYTES: &str = "12m";
/// After it was given back.
const MORE_BYTES: &str = "64m";
/// The size of a question, and of its answer.
const PADDING: usize = 16 * 1024;

/// A disk of its own, small.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one at `at`, or tells why that is not possible here.
    fn mount(at: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it needs root to mount a small disk".into());
        }
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs"])
            .arg(at))?;
        Ok(Self { at: at.to_owned() })
    }

    fn grow(&self) {
        run(Command::new("mount").args(["-o", &format!("remount,size={MORE_BYTES}")]).arg(&self.at)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.at));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

pub async fn full_disk_is_told_and_after_space_is_given_back_and_a_restart_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let disk = match Disk::mount(&directory.path().join("disk")) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let mut field = Field::new(json!({"jetstream": store(&disk.at.join("store"))})).await;
    let teller = field.teller(&[]);
    teller.ready().await;

    let mut taken = Vec::new();
    let (retry_after, problem) = loop {
        let id = format!("fill-{}", taken.len());
        let (status, retry_after, problem) = teller.ask(&id, 0, PADDING).await;
        match status {
            202 => taken.push(id),
            503 => break (retry_after, problem),
            _ => panic!("{status}: {problem}"),
        }
    };
    println!("disk full after {} questions: {problem}", taken.len());
    assert!(retry_after.is_some(), "{problem}");
    // Only publishing tells: people go on asking, and never the same, which would be answered without publishing.
    let asking = async {
        for more in 0.. {
            teller.ask(&format!("more-{more}"), 0, PADDING).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let (took, report) = tokio::select! {
        seen = teller.unready() => seen,
        () = asking => unreachable!("people never stop asking"),
    };
    println!("disk full: not ready after {took:?}: {}", report["conditions"]);
    assert_eq!(teller.said("JetStream is lost"), 1, "{}", teller.log());

    // Space alone does not bring the stream back: its server must be started again.
    disk.grow();
    field.server.end(Signal::TERM).await;
    field.server.run().await;
    teller.ready().await;
    ask(&teller, "after", 3, 0).await;
    field.settles().await;
    let operator = field.operator().await;
    for id in taken {
        let filter = format!("answers.told.{id}.*");
        until(&format!("answer to {id}"), async || {
            (crate::field::events(&operator, &filter).await.len() == 1).then_some(())
        })
        .await;
    }
}
