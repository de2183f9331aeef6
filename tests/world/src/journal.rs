//! An append-only file of JSON lines: what a server must still know after `kill -9`.
//!
//! Each entry is one `write` that ends in a newline, made before the answer is sent. The kernel
//! keeps it whatever happens to the process, so there is no fsync: these servers survive the death
//! of a process, not of the machine. A last line without its newline was never acknowledged to
//! anyone, and is cut off when the file is opened.

use std::{
    fs::{File, TryLockError},
    io::{self, BufRead, BufReader, Read, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// The longest line that is written or read, in bytes, so that a wrong file cannot fill the memory.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// A journal of entries `T`, or of nothing at all when the server keeps its memory to itself.
#[derive(Debug)]
pub(crate) struct Journal<T> {
    sink: Option<Sink>,
    entry: PhantomData<fn(&T)>,
}

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines, which is where a failed write is cut back to.
    length_bytes: u64,
    line: Vec<u8>,
}

/// What went wrong with a data file.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds the file. Two writers would each forget half of the truth.
    #[error("{} is in use by another process", path.display())]
    Busy {
        /// The data file.
        path: PathBuf,
    },
    /// A whole line is not an entry of this journal.
    #[error("line {line} of {} is not an entry", path.display())]
    Corrupt {
        /// The data file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// An entry cannot be written as one line.
    #[error("an entry for {} is longer than {MAX_LINE_BYTES} bytes or not JSON", path.display())]
    Unwritable {
        /// The data file.
        path: PathBuf,
    },
    /// The file cannot be opened, read or written.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// The data file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal at `path`, handing every entry it holds to `replay`, oldest first.
    /// Without a path nothing is kept.
    pub(crate) fn open(path: Option<&Path>, replay: impl FnMut(T)) -> Result<Self, JournalError> {
        let sink = path.map(|path| Sink::open(path, replay)).transpose()?;
        Ok(Journal { sink, entry: PhantomData })
    }

    /// Writes one entry. After an error the file holds what it held before.
    ///
    /// This blocks its thread for one write into the page cache, which takes microseconds; handing
    /// it to another thread would cost more than it saves.
    pub(crate) fn append(&mut self, entry: &T) -> Result<(), JournalError> {
        self.sink.as_mut().map_or(Ok(()), |sink| sink.append(entry))
    }
}

impl Sink {
    fn open<T: DeserializeOwned>(path: &Path, replay: impl FnMut(T)) -> Result<Self, JournalError> {
        let failed = |verb| move |source| JournalError::Io { verb, path: path.to_owned(), source };
        let file = File::options().read(true).append(true).create(true).open(path).map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let length_bytes = read_whole_lines(path, &file, replay)?;
        file.set_len(length_bytes).map_err(failed("truncate"))?;
        Ok(Sink { path: path.to_owned(), file, length_bytes, line: Vec::new() })
    }

    fn append<T: Serialize>(&mut self, entry: &T) -> Result<(), JournalError> {
        self.line.clear();
        let encoded = serde_json::to_writer(&mut self.line, entry);
        self.line.push(b'\n');
        let added_bytes = self.line.len() as u64;
        if encoded.is_err() || added_bytes > MAX_LINE_BYTES {
            return Err(JournalError::Unwritable { path: self.path.clone() });
        }
        if let Err(source) = self.file.write_all(&self.line) {
            // A part of the line may have been written (a full disk). What is appended next must
            // not continue it; if even this fails, the next start reports the damaged line.
            let _ = self.file.set_len(self.length_bytes);
            return Err(JournalError::Io { verb: "write", path: self.path.clone(), source });
        }
        self.length_bytes += added_bytes;
        Ok(())
    }
}

/// Replays every line that ends in a newline, and returns how many bytes they take.
fn read_whole_lines<T: DeserializeOwned>(
    path: &Path,
    file: &File,
    mut replay: impl FnMut(T),
) -> Result<u64, JournalError> {
    let mut reader = BufReader::new(file);
    let (mut whole_bytes, mut number, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let read = reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|source| JournalError::Io { verb: "read", path: path.to_owned(), source })?;
        let torn = line.last() != Some(&b'\n');
        if torn && (read as u64) < MAX_LINE_BYTES {
            return Ok(whole_bytes);
        }
        number += 1;
        let entry = serde_json::from_slice(&line).map_err(|source| JournalError::Corrupt {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        replay(entry);
        whole_bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopen(path: &Path) -> (Journal<String>, Vec<String>) {
        let mut seen = Vec::new();
        let journal = Journal::open(Some(path), |entry| seen.push(entry)).unwrap();
        (journal, seen)
    }

    #[test]
    fn a_half_written_last_line_is_cut_off_and_the_next_entry_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "\"one\"\n\"two\"\n\"thr").unwrap();
        let (mut journal, seen) = reopen(&path);
        assert_eq!(seen, ["one", "two"]);
        journal.append(&"four".to_owned()).unwrap();
        drop(journal);
        assert_eq!(reopen(&path).1, ["one", "two", "four"]);
    }

    #[test]
    fn a_damaged_line_before_the_last_is_an_error_with_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "\"one\"\n{\n\"three\"\n").unwrap();
        let opened = Journal::<String>::open(Some(&path), |_| {});
        assert!(matches!(opened, Err(JournalError::Corrupt { line: 2, .. })));
    }

    #[test]
    fn two_processes_cannot_share_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (_first, _) = reopen(&path);
        assert!(matches!(Journal::<String>::open(Some(&path), |_| {}), Err(JournalError::Busy { .. })));
    }
}
