//! A trail as it grows.

use std::collections::BTreeSet;
use std::time::Duration;

use jetlag::jetstream::{Operator, OperatorError};
use serde::Serialize;
use tokio::time::Instant;

use super::Trail;

/// How often it is looked, at most.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many times as long as a look took it waits for the next, so that looking takes the broker little.
const REST_AFTER_LOOK: u32 = 4;

/// What has been told of a trail so far.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    told: BTreeSet<String>,
    is_begun: bool,
}

/// What is new, for a program: one line.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum News<'a> {
    Step(&'a super::Step),
    DeadLetter(&'a super::DeadLetter),
    Retry(&'a super::Retry),
    Waiting(&'a super::Waiting),
    AtRest(bool),
}

impl Follower {
    /// What is new in `trail` since the last look, for people.
    pub(crate) fn in_words(&mut self, trail: &Trail) -> String {
        let mut text = String::new();
        let is_first = !std::mem::replace(&mut self.is_begun, !trail.is_empty());
        for line in trail.lines() {
            if self.told.insert(line.key.clone()) {
                text.push_str(&if is_first { line.in_tree() } else { line.alone() });
            }
        }
        text
    }

    /// What is new in `trail` since the last look, for a program: a JSON object on each line.
    pub(crate) fn as_json(&mut self, trail: &Trail) -> Result<String, serde_json::Error> {
        let steps = trail.steps.iter().map(|step| (format!("step {}", step.subject), News::Step(step)));
        let letters = trail
            .dead_letters
            .iter()
            .map(|letter| (format!("letter {}", letter.sequence), News::DeadLetter(letter)));
        let retries =
            trail.retries.iter().map(|retry| (format!("retry {}", retry.sequence), News::Retry(retry)));
        let waiting = trail.waiting.iter().map(|waiting| {
            (format!("waiting {} {}", waiting.function, waiting.input), News::Waiting(waiting))
        });
        let mut text = String::new();
        for (key, news) in steps.chain(letters).chain(retries).chain(waiting) {
            if self.told.insert(key) {
                text.push_str(&serde_json::to_string(&news)?);
                text.push('\n');
            }
        }
        if trail.at_rest && !trail.is_empty() {
            text.push_str(&serde_json::to_string(&News::AtRest(true))?);
            text.push('\n');
        }
        Ok(text)
    }
}

/// Looks at the trail of `aggregate` again and again, and tells `each` what it sees, until that has nothing more to want.
///
/// # Errors
/// A stream is not there, or the broker does not answer.
pub(crate) async fn follow<E: From<OperatorError>>(
    operator: &Operator,
    aggregate: &str,
    mut each: impl FnMut(&Trail) -> Result<bool, E>,
) -> Result<Trail, E> {
    loop {
        let began = Instant::now();
        let trail = Trail::of(operator, aggregate).await?;
        if !each(&trail)? {
            return Ok(trail);
        }
        tokio::time::sleep(LOOK_EVERY.max(began.elapsed() * REST_AFTER_LOOK)).await;
    }
}
