//! The log file of one process: appended to, bounded, its last lines kept at hand.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A log that reaches this size is renamed to `NAME.log.1`, which is overwritten: at most twice this on disk for
/// each process.
pub(crate) const LOG_LIMIT_BYTES: u64 = 8 * 1024 * 1024;
/// How many lines are repeated when a process fails.
const TAIL_LINES: usize = 12;
/// How much of one line is repeated.
const TAIL_LINE_CHARS: usize = 400;

/// A bounded log file.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    limit_bytes: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    size_bytes: u64,
    tail: VecDeque<String>,
}

impl Log {
    /// Opens `path` for appending.
    pub(crate) fn open(path: PathBuf, limit_bytes: u64) -> io::Result<Self> {
        let file = append(&path)?;
        let size_bytes = file.metadata()?.len();
        let inner = Mutex::new(Inner { file, size_bytes, tail: VecDeque::new() });
        Ok(Self { path, limit_bytes, inner })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line, its newline included or not. A full disk loses lines of logs, and stops no process.
    pub(crate) fn write(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let size_bytes = line.len() as u64 + 1;
        if inner.size_bytes > 0 && inner.size_bytes + size_bytes > self.limit_bytes {
            self.rotate(&mut inner);
        }
        let mut whole = line.to_vec();
        whole.push(b'\n');
        if inner.file.write_all(&whole).is_ok() {
            inner.size_bytes += size_bytes;
        }
        if inner.tail.len() == TAIL_LINES {
            inner.tail.pop_front();
        }
        inner.tail.push_back(String::from_utf8_lossy(line).chars().take(TAIL_LINE_CHARS).collect());
    }

    /// The last lines written since the tail was last cleared.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tail.iter().cloned().collect()
    }

    /// Forgets the tail, so that the next life of the process does not repeat the words of the last.
    pub(crate) fn clear_tail(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tail.clear();
    }

    fn rotate(&self, inner: &mut Inner) {
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        let renamed = std::fs::rename(&self.path, older).and_then(|()| append(&self.path));
        if let Ok(file) = renamed {
            inner.file = file;
        } else if inner.file.set_len(0).is_err() {
            return;
        }
        inner.size_bytes = 0;
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_stays_within_twice_its_limit_and_keeps_its_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("payment.log");
        let log = Log::open(path.clone(), 100).unwrap();
        for number in 0..50 {
            log.write(format!("line {number:03}\n").as_bytes());
        }
        let (now, older) = (
            std::fs::read_to_string(&path).unwrap(),
            std::fs::read_to_string(directory.path().join("payment.log.1")).unwrap(),
        );
        assert!(now.len() <= 100 && older.len() <= 100);
        assert!(format!("{older}{now}").ends_with("line 048\nline 049\n"));
        assert_eq!(log.tail().len(), TAIL_LINES);
        assert_eq!(log.tail().last().map(String::as_str), Some("line 049"));
    }

    #[test]
    fn a_log_is_appended_to_by_the_next_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("order.log");
        Log::open(path.clone(), 100).unwrap().write(b"first");
        Log::open(path.clone(), 100).unwrap().write(b"second\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "first\nsecond\n");
    }
}
