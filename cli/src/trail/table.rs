//! A trail as a table for people.

use std::collections::BTreeSet;
use std::fmt;

use super::{DeadLetter, Retry, Step, Trail};

/// What stands where there is nothing.
const NOTHING: &str = "-";

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traces: BTreeSet<&str> = self.steps.iter().filter_map(|step| step.trace_id.as_deref()).collect();
        let one = (traces.len() == 1).then(|| traces.first().copied()).flatten();
        write!(f, "{}: {} steps", self.aggregate, self.steps.len())?;
        match one {
            Some(trace) => writeln!(f, ", trace {trace}")?,
            None => writeln!(f)?,
        }
        if !self.steps.is_empty() {
            let trace = if one.is_none() { "  trace" } else { "" };
            writeln!(
                f,
                "  {:<30} {:>9}  {:<22} {:<14} {:>7}  event{trace}",
                "time", "after", "type", "by", "attempt"
            )?;
        }
        for step in &self.steps {
            write_step(f, step, one.is_none())?;
        }
        for letter in &self.dead_letters {
            let DeadLetter { at, function, input, reason, error, attempts, .. } = letter;
            writeln!(f, "given up at {at} by {function} after {attempts} attempts: {reason}")?;
            writeln!(f, "  {input}\n  {error}")?;
        }
        for retry in &self.retries {
            let Retry { due, function, input, attempt, error, .. } = retry;
            let due = due.as_deref().map_or_else(|| "is due".to_owned(), |due| format!("is due at {due}"));
            writeln!(f, "attempt {} of {function} {due}\n  {input}\n  {error}", shown(*attempt))?;
        }
        Ok(())
    }
}

fn write_step(f: &mut fmt::Formatter<'_>, step: &Step, with_trace: bool) -> fmt::Result {
    let after = format!("+{} ms", step.after_ms);
    let function = step.function.as_deref().unwrap_or(NOTHING);
    let attempt = shown(step.attempt);
    let (at, kind, id) = (&step.at, &step.kind, &step.event_id);
    write!(f, "  {at:<30} {after:>9}  {kind:<22} {function:<14} {attempt:>7}  {id}")?;
    match &step.trace_id {
        Some(trace) if with_trace => writeln!(f, "  {trace}"),
        _ => writeln!(f),
    }
}

fn shown(attempt: Option<u32>) -> String {
    attempt.map_or_else(|| NOTHING.to_owned(), |attempt| attempt.to_string())
}
