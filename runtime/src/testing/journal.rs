//! What happened in a simulation, line by line, for the seed that failed.

use std::time::Duration;

/// The lines, or nothing where nobody will read them.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: Option<Vec<String>>,
}

impl Journal {
    /// A journal that is written if `is_kept`.
    pub(crate) fn new(is_kept: bool) -> Self {
        Self { lines: is_kept.then(Vec::new) }
    }

    /// Writes down what `line` says, if anybody will read it.
    pub(crate) fn note(&mut self, at: Duration, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>7}.{:03} {}", at.as_secs(), at.subsec_millis(), line()));
        }
    }

    /// Takes the lines out.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
