//! One stream of the simulated broker: what is in it, and everything that ever was.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::core::broker::{Keep, Message, Stored};
use crate::memory::server::pattern::{covers, ending, is_pattern};
use crate::subject::Subject;

/// A stream. Nothing is ever taken out of memory, so that a test can look at the whole history.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    newest: HashMap<Subject, u64>,
    one_per_subject: bool,
    /// How long a message is kept that says nothing else; for ever where this is nothing.
    pub(crate) age_max: Option<Duration>,
    /// When messages go away by themselves.
    expiring: BTreeSet<(Duration, u64)>,
}

/// A message that is, or was, in a stream.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) stored: Stored,
    pub(crate) at: Duration,
    pub(crate) is_live: bool,
    /// When it expired.
    pub(crate) expired: Option<Duration>,
}

impl Log {
    /// An empty stream; with `one_per_subject` a message takes the place of the one before it on its subject.
    pub(crate) fn new(one_per_subject: bool) -> Self {
        Self { one_per_subject, ..Self::default() }
    }

    /// The sequence of the last message, 0 if there never was one.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Everything that ever was in the stream, in order.
    pub(crate) fn history(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The message under `sequence`, even if it is gone.
    pub(crate) fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(sequence.checked_sub(1)?).ok()?)
    }

    /// The last message that `subject`, which may be a pattern, covers.
    pub(crate) fn last(&self, subject: &Subject) -> Option<&Entry> {
        if !is_pattern(subject.as_str()) {
            return self.newest.get(subject).and_then(|&sequence| self.entry(sequence));
        }
        self.last_before(subject, Duration::MAX)
    }

    /// The last message that `subject` covers, as it was at `moment`.
    pub(crate) fn last_before(&self, subject: &Subject, moment: Duration) -> Option<&Entry> {
        let (pattern, end) = (subject.as_str(), ending(subject.as_str()));
        let is_past = moment < Duration::MAX;
        self.entries.iter().rev().find(|entry| {
            let subject = entry.stored.subject.as_str();
            subject.ends_with(end)
                && (entry.is_live || (is_past && entry.expired.is_none_or(|expired| expired > moment)))
                && entry.at <= moment
                && covers(pattern, subject)
        })
    }

    /// Whether a message on `subject` is in the stream.
    pub(crate) fn has(&self, subject: &Subject) -> bool {
        self.newest.contains_key(subject)
    }

    /// How many messages are in the stream.
    pub(crate) fn count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_live).count()
    }

    /// Takes out every message whose time is over.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some(&(at, sequence)) = self.expiring.first() {
            if at > now {
                return;
            }
            self.expiring.pop_first();
            if self.entry(sequence).is_some_and(|entry| entry.is_live) {
                self.remove(sequence);
                let index = usize::try_from(sequence.saturating_sub(1)).unwrap_or(usize::MAX);
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.expired = Some(at);
                }
            }
        }
    }

    /// Stores a message and gives its sequence.
    pub(crate) fn append(&mut self, message: &Message, at: Duration) -> u64 {
        let sequence = self.last_sequence() + 1;
        if self.one_per_subject
            && let Some(&earlier) = self.newest.get(&message.subject)
        {
            self.set_live(earlier, false);
        }
        self.newest.insert(message.subject.clone(), sequence);
        let kept = match message.keep {
            Keep::Forever => None,
            // What is to stay longer than the stream keeps anything is not given a time: the broker's edge does the same.
            Keep::For(time) if self.age_max.is_some_and(|age| time > age) => None,
            // In whole seconds, as the broker has it.
            Keep::For(time) => Some(Duration::from_secs(time.as_secs().max(1))),
            Keep::Default => self.age_max,
        };
        if let Some(kept) = kept {
            self.expiring.insert((at + kept, sequence));
        }
        let stored = Stored {
            subject: message.subject.clone(),
            sequence,
            headers: message
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            payload: message.payload.clone(),
        };
        self.entries.push(Entry { stored, at, is_live: true, expired: None });
        sequence
    }

    /// Stores what another message holds under another subject, with one more header.
    pub(crate) fn copy(
        &mut self,
        from: &Stored,
        subject: Subject,
        header: Option<(String, String)>,
        at: Duration,
    ) -> u64 {
        let sequence = self.last_sequence() + 1;
        let headers = from.headers.iter().cloned().chain(header).collect();
        self.newest.insert(subject.clone(), sequence);
        let stored = Stored { subject, sequence, headers, payload: from.payload.clone() };
        self.entries.push(Entry { stored, at, is_live: true, expired: None });
        sequence
    }

    /// Takes a message out of the stream.
    pub(crate) fn remove(&mut self, sequence: u64) {
        self.set_live(sequence, false);
        let Some(subject) = self.entry(sequence).map(|entry| entry.stored.subject.clone()) else { return };
        if self.newest.get(&subject) == Some(&sequence) {
            let earlier = self.entries.iter().rev().find(|e| e.is_live && e.stored.subject == subject);
            match earlier.map(|entry| entry.stored.sequence) {
                Some(earlier) => self.newest.insert(subject, earlier),
                None => self.newest.remove(&subject),
            };
        }
    }

    /// Puts a message that was taken out back: a server that lost its memory of an answer.
    pub(crate) fn restore(&mut self, sequence: u64) {
        self.set_live(sequence, true);
        if let Some(subject) = self.entry(sequence).map(|entry| entry.stored.subject.clone()) {
            let newest = self.newest.entry(subject).or_insert(sequence);
            *newest = sequence.max(*newest);
        }
    }

    fn set_live(&mut self, sequence: u64, is_live: bool) {
        let index = usize::try_from(sequence.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.is_live = is_live;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str) -> Message {
        Message::new(Subject::from_broker(subject), bytes::Bytes::new())
    }

    fn last(log: &Log, subject: &str) -> Option<u64> {
        log.last(&Subject::from_broker(subject)).map(|entry| entry.stored.sequence)
    }

    #[test]
    fn a_subject_holds_one_message_where_the_stream_says_so() {
        let mut log = Log::new(true);
        log.append(&message("state.a.x"), Duration::ZERO);
        log.append(&message("state.a.y"), Duration::ZERO);
        log.append(&message("state.a.x"), Duration::from_secs(9));
        assert_eq!((last(&log, "state.a.x"), last(&log, "state.a.*")), (Some(3), Some(3)));
        assert!(!log.entry(1).unwrap().is_live);
        let before = log.last_before(&Subject::from_broker("state.a.x"), Duration::from_secs(1));
        assert_eq!(before.map(|entry| entry.stored.sequence), Some(1));
    }

    #[test]
    fn what_expires_is_gone_and_state_stays_as_long_as_it_says() {
        let seconds = Duration::from_secs;
        let mut log = Log::new(true);
        log.age_max = Some(seconds(10));
        log.append(&message("a.b.c.d"), seconds(0));
        log.append(&Message { keep: Keep::Forever, ..message("state.a.x") }, seconds(0));
        log.append(&Message { keep: Keep::For(seconds(8)), ..message("state.a.y") }, seconds(0));
        let there = |log: &Log| ["a.b.c.d", "state.a.x", "state.a.y"].map(|subject| last(log, subject));
        log.expire(seconds(7));
        assert_eq!(there(&log), [Some(1), Some(2), Some(3)]);
        // Each write renews it.
        log.append(&Message { keep: Keep::For(seconds(8)), ..message("state.a.y") }, seconds(7));
        log.expire(seconds(10));
        assert_eq!(there(&log), [None, Some(2), Some(4)]);
        let before = log.last_before(&Subject::from_broker("a.b.c.d"), seconds(9));
        assert_eq!(before.map(|entry| entry.stored.sequence), Some(1), "a replica that lags still has it");
        assert!(log.last_before(&Subject::from_broker("*.*.c.d"), seconds(10)).is_none());
        log.expire(seconds(15));
        assert_eq!(there(&log), [None, Some(2), None]);
    }

    #[test]
    fn what_is_removed_uncovers_what_was_before() {
        let mut log = Log::new(false);
        log.append(&message("retry.a.x"), Duration::ZERO);
        log.append(&message("retry.a.x"), Duration::ZERO);
        log.remove(2);
        assert_eq!(last(&log, "retry.a.x"), Some(1));
        log.remove(1);
        assert_eq!(last(&log, "retry.a.x"), None);
        log.restore(2);
        assert_eq!(last(&log, "retry.a.x"), Some(2));
    }
}
