//! Counting instructions with valgrind.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::WORK;
use crate::work::INPUTS;

/// The smaller of the two runs whose difference is counted: far enough in for caches and tables to be warm.
const FEW: usize = 88;

/// Runs this program under valgrind.
pub struct Counter {
    /// Where profiles are kept, if they are.
    profile: Option<PathBuf>,
    scratch: tempfile::TempDir,
}

impl Counter {
    /// # Errors
    /// There is no valgrind.
    pub fn new(profile: Option<PathBuf>) -> Result<Self, String> {
        let is_there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
        if !is_there.is_ok_and(|status| status.success()) {
            return Err("there is no valgrind: install it (apt-get install valgrind)".into());
        }
        if let Some(directory) = &profile {
            std::fs::create_dir_all(directory).map_err(|why| format!("{}: {why}", directory.display()))?;
        }
        Ok(Self { profile, scratch: tempfile::tempdir().map_err(|why| why.to_string())? })
    }

    /// Instructions for one input on this path: what more inputs cost more, so that start and end of the program, and
    /// making the inputs ready, count for nothing.
    pub fn count(&self, path: &str) -> u64 {
        (self.total(path, INPUTS) - self.total(path, FEW)) / (INPUTS - FEW) as u64
    }

    fn total(&self, path: &str, inputs: usize) -> u64 {
        let name = format!("{}-{inputs}.callgrind", path.replace([' ', ','], "-"));
        let file = self.profile.as_deref().unwrap_or(self.scratch.path()).join(name);
        let output = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(std::env::current_exe().expect("this program"))
            .args([WORK, path, &inputs.to_string()])
            .output()
            .expect("valgrind runs");
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        instructions(&file)
    }
}

/// The total in a profile.
fn instructions(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).expect("a profile");
    let total = text.lines().find_map(|line| line.strip_prefix("summary: "));
    total.and_then(|total| total.trim().parse().ok()).expect("a profile with a summary")
}
