//! The version of a nats-server binary.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use tokio::process::Command;

/// How long `nats-server --version` may take; it takes 20 ms, unless the disk is cold.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// `major.minor.patch`; anything after a dash is ignored, as a release candidate has its features already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

/// The oldest server that has message schedules and atomic batches, which the runtime is built on.
pub const OLDEST: Version = Version::new(2, 14, 0);

impl Version {
    /// A version from its three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Runs `binary --version` (bounded) and reads what it prints. The error is one clause for the reader.
    pub async fn of(binary: &Path) -> Result<Self, String> {
        let run = Command::new(binary).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
        let output = match tokio::time::timeout(VERSION_LIMIT, run).await {
            Err(_) => return Err(format!("`--version` did not answer within {} s", VERSION_LIMIT.as_secs())),
            Ok(Err(error)) => return Err(format!("it cannot be run: {error}")),
            Ok(Ok(output)) => output,
        };
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim()
            .strip_prefix("nats-server: v")
            .and_then(|version| version.parse().ok())
            .ok_or_else(|| "`--version` does not answer like nats-server".to_owned())
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().map_err(|_| ()));
        let mut next = || parts.next().ok_or(())?;
        let version = Self::new(next()?, next()?, next()?);
        if parts.next().is_some() { Err(()) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_as_numbers() {
        assert_eq!("2.15.1".parse(), Ok(Version::new(2, 15, 1)));
        assert_eq!("2.14.0-RC.1".parse(), Ok(OLDEST));
        assert!(Version::new(2, 9, 25) < OLDEST);
        assert_eq!("2.15".parse::<Version>(), Err(()));
        assert_eq!("2.15.1.7".parse::<Version>(), Err(()));
    }
}
