//! The dead letters, as an operator works with them.

use crate::core::redrive::{NotRedriven, redrive};
use crate::dead_letter::{DeadLetter, NoDeadLetter};
use crate::jetstream::operator::{Operator, OperatorError};
use crate::topology::DEAD_LETTERS;

impl Operator {
    /// The next dead letters from the sequence `from` on, oldest first: 500 at most, and none if there are no more.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn dead_letters(
        &self,
        from: u64,
    ) -> Result<Vec<Result<DeadLetter, NoDeadLetter>>, OperatorError> {
        let page = self.page(DEAD_LETTERS, "dlq.*.*", from).await?;
        let read = page.into_iter().map(|message| {
            let at = message.stored_at;
            DeadLetter::read(message.sequence, &message.subject, at, message.headers, message.payload)
        });
        Ok(read.collect())
    }

    /// Sends `letter` to its function again, noted in the trail as done by `who`. It stays in the dead letter stream until
    /// it is [removed](Self::remove_dead_letter); sent twice, it is handled once.
    ///
    /// # Errors
    /// Its bytes are not the event that died, or the broker did not take it.
    pub async fn redrive(&self, letter: &DeadLetter, who: &str) -> Result<(), NotRedriven> {
        redrive(&self.broker(), letter, who).await
    }

    /// Takes `letter` out of the dead letter stream. What is not there any more is no error.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn remove_dead_letter(&self, letter: &DeadLetter) -> Result<(), OperatorError> {
        self.delete(DEAD_LETTERS, letter.sequence).await
    }
}
