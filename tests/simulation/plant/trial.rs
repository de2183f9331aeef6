//! One run of the simulation over many seeds.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is looked whether the simulation has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many seeds are tried, and for how long at most.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub seeds: u64,
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug)]
pub enum Found {
    /// A seed failed.
    By { seed: u64, tried: u64, took: Duration, why: String },
    /// None did.
    Not { tried: u64, took: Duration },
}

impl Trial {
    /// Tries seeds on one thread until one fails.
    pub fn run(self, simulate: &Path) -> Result<Found, String> {
        let began = Instant::now();
        let mut child = Command::new(simulate)
            .args(["--jobs", "1", "--seeds", &self.seeds.to_string()])
            .args(["--seconds", &self.limit.as_secs().to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", simulate.display()))?;
        // A bug may make a simulation turn in a circle, in which it does not look at the clock.
        while child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if began.elapsed() > self.limit * 2 {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                return Ok(Found::Not { tried: 0, took: began.elapsed() });
            }
            sleep(LOOK_EVERY);
        }
        let mut said = String::new();
        let mut stdout = child.stdout.take().ok_or("the simulation has an output")?;
        stdout.read_to_string(&mut said).map_err(|error| error.to_string())?;
        read(&said, began.elapsed())
            .ok_or_else(|| format!("the simulation says what cannot be read:\n{said}"))
    }
}

/// Reads `3 seeds in …` and `seed 3 fails (…): why`.
fn read(said: &str, took: Duration) -> Option<Found> {
    let line = |has: &str| said.lines().find(|line| line.contains(has));
    let tried = line(" seeds in ")?.split(' ').next()?.parse().ok()?;
    let Some(fails) = line(" fails (") else { return Some(Found::Not { tried, took }) };
    let seed = fails.split(' ').nth(1)?.parse().ok()?;
    let why = fails.split_once("): ")?.1.to_owned();
    Some(Found::By { seed, tried, took, why })
}
