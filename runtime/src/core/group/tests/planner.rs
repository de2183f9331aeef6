//! The group planner against a naive model, and the limits of a group.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::core::broker::Stored;

const KEYS: [&str; 4] = ["w", "x", "y", "z"];

/// What happens before a group is put together.
#[derive(Debug, Clone)]
enum Step {
    /// An input reads some keys and writes some of them.
    Plan { reads: Vec<usize>, writes: Vec<usize>, events: usize },
    /// Another process has written a key: what was read of it here is not so, and will be read anew.
    Changed { key: usize },
    /// Another process has written a key, and nobody has noticed yet.
    Refused { key: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::sample::subsequence((0..KEYS.len()).collect::<Vec<_>>(), 0..=KEYS.len());
    prop_oneof![
        6 => (keys(), keys(), 0usize..4).prop_map(|(reads, mut writes, events)| {
            writes.retain(|key| reads.contains(key));
            Step::Plan { reads, writes, events }
        }),
        1 => (0..KEYS.len()).prop_map(|key| Step::Changed { key }),
        1 => (0..KEYS.len()).prop_map(|key| Step::Refused { key }),
    ]
}

/// A submission as the model knows it.
struct Known {
    reads: Vec<(usize, u64)>,
    writes: Vec<(usize, u64)>,
    events: Vec<Subject>,
    answered: oneshot::Receiver<Outcome>,
}

/// Reads `key` as a handler does: what is known here, or what the broker has now.
fn pin(table: &mut Table, key: usize, sequence: u64) -> u64 {
    table.pin(subject(KEYS[key]), None, sequence).version
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_group_is_what_a_naive_planner_makes_of_it(steps in prop::collection::vec(step(), 0..20)) {
        let mut table = Table::default();
        let mut sequences = [0u64; KEYS.len()];
        let (mut group, mut known) = (Vec::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Changed { key } => {
                    sequences[key] += 10;
                    table.forget(&subject(KEYS[key]), u64::MAX);
                }
                // Only the broker could tell: here everything stays as it is.
                Step::Refused { key } => sequences[key] += 10,
                Step::Plan { reads, writes, events } => {
                    let reads: Vec<(usize, u64)> =
                        reads.into_iter().map(|key| (key, pin(&mut table, key, sequences[key]))).collect();
                    let value = Bytes::from(number.to_string());
                    let write = |key: &usize| StateWrite {
                        subject: subject(KEYS[*key]),
                        value: value.clone(),
                        keep: Keep::Forever,
                    };
                    let messages: Vec<Message> = (0..events)
                        .map(|n| Message::new(Subject::of_event("a.b", "A", &format!("{number}-{n}")), Bytes::new()))
                        .collect();
                    let plan = Plan {
                        guard: None,
                        events: messages,
                        writes: writes.iter().map(write).collect(),
                    };
                    let told: Vec<_> = reads.iter().map(|(key, version)| (subject(KEYS[*key]), *version)).collect();
                    let versions = table.write_ahead(&told, &plan.writes).unwrap();
                    let (answer, answered) = oneshot::channel();
                    known.push(Known {
                        reads,
                        writes: writes.into_iter().zip(versions.clone()).collect(),
                        events: plan.events.iter().map(|event| event.subject.clone()).collect(),
                        answered,
                    });
                    group.push(Submission { plan, reads: told, versions, answer });
                }
            }
        }

        // One after the other: a plan holds if everything that it read is what is there by then.
        let committed: Vec<_> = KEYS.iter().map(|key| table.committed(&subject(key))).collect();
        let mut there: Vec<Option<u64>> = committed.iter().map(|c| c.map(|committed| committed.version)).collect();
        let mut values: BTreeMap<usize, u64> = BTreeMap::new();
        let (mut events, mut holds) = (Vec::new(), Vec::new());
        for plan in &known {
            let is_current = plan.reads.iter().all(|(key, version)| there[*key] == Some(*version));
            holds.push(is_current);
            if is_current {
                events.extend(plan.events.iter().cloned());
                for (key, version) in &plan.writes {
                    there[*key] = Some(*version);
                    values.insert(*key, *version);
                }
            }
        }

        let (assembled, kept) = assemble(&mut table, group);
        prop_assert_eq!(kept.len(), holds.iter().filter(|holds| **holds).count());
        let (messages, folded) = assembled.messages.split_at(events.len());
        prop_assert!(messages.iter().map(|message| &message.subject).eq(&events), "all events, in order");
        // One message for each key that is written, with the last value, on the sequence that the broker has.
        prop_assert_eq!(folded.len(), values.len());
        for (message, (state, version)) in folded.iter().zip(&assembled.states) {
            let key = KEYS.iter().position(|key| subject(key) == message.subject).unwrap();
            prop_assert_eq!((&message.subject, Some(version)), (state, values.get(&key)));
            let (at, writer) = known.iter().enumerate().find(|(_, plan)| plan.writes.contains(&(key, *version))).unwrap();
            prop_assert!(holds[at] && !writer.reads.is_empty());
            let sequence = committed[key].map_or(0, |committed| committed.sequence);
            prop_assert_eq!(message.expect.clone(), Some(Expect { sequence, scope: None }));
            let last = kept.iter().rev().flat_map(|one| &one.plan.writes).find(|write| write.subject == message.subject);
            prop_assert_eq!(&message.payload, &last.unwrap().value);
        }
        for (plan, holds) in known.iter_mut().zip(holds) {
            let answer = plan.answered.try_recv().ok();
            prop_assert_eq!(answer, (!holds).then_some(Outcome::Stale), "only what is left out is answered yet");
        }
        // What is stored is known by its own sequence.
        let last = 1_000 + assembled.messages.len() as u64;
        assembled.settle(&mut table, last);
        let first = last + 1 - assembled.states.len() as u64;
        for ((state, version), sequence) in assembled.states.iter().zip(first..) {
            if let Some(known) = table.committed(state) {
                let settled = Committed { version: *version, sequence };
                prop_assert!(known == settled || known.version > *version, "{known:?}");
            }
        }
    }

    /// Groups are within the broker's limits, whatever plans they are made of, and nothing is held back.
    #[test]
    fn no_group_is_larger_than_the_broker_takes(
        plans in prop::collection::vec((1usize..=GROUP_MESSAGES_MAX - 1, 0usize..2_000_000), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let recorder = Arc::new(Recorder::default());
        let count = plans.len();
        let answers = runtime.block_on(async {
            let states = Arc::new(States::new(Arc::clone(&recorder)));
            let (committer, publishing) = Committer::new(Arc::clone(&recorder), states);
            let commits = plans.into_iter().enumerate().map(|(number, (more, bytes))| {
                let mut plan = plan(&number.to_string(), &[]);
                let event = |n: usize| Message::new(Subject::of_event("a.b", "A", &format!("{number}-{n}")), Bytes::new());
                plan.events.extend((0..more).map(event));
                plan.events[0].payload = Bytes::from(vec![0; bytes]);
                committer.commit(plan, vec![])
            });
            let commits = join_all(commits);
            tokio::select! { answers = commits => answers, () = publishing => vec![] }
        });
        prop_assert_eq!(answers, vec![Outcome::Committed; count]);
        let published = recorder.0.lock().unwrap();
        for (messages, bytes) in published.iter() {
            prop_assert!(*messages <= GROUP_MESSAGES_MAX && *bytes <= GROUP_BYTES_MAX, "{messages} messages, {bytes} bytes");
        }
        // No more of them than it takes: two neighbours are always more than one may be.
        for pair in published.windows(2) {
            let (messages, bytes) = (pair[0].0 + pair[1].0, pair[0].1 + pair[1].1);
            prop_assert!(messages > GROUP_MESSAGES_MAX || bytes > GROUP_BYTES_MAX);
        }
    }
}

#[tokio::test]
async fn few_events_are_stored_one_by_one_and_more_in_a_batch() {
    for (count, publishes) in [(BATCH_PAYS - 1, BATCH_PAYS - 1), (BATCH_PAYS, 1)] {
        let recorder = Arc::new(Recorder::default());
        let states = Arc::new(States::new(Arc::clone(&recorder)));
        let (committer, publishing) = Committer::new(Arc::clone(&recorder), states);
        let commits = (0..count).map(|number| committer.commit(plan(&number.to_string(), &[]), vec![]));
        tokio::select! { _ = join_all(commits) => {}, () = publishing => {} }
        assert_eq!(recorder.0.lock().unwrap().len(), publishes);
    }
}

/// Takes everything, and keeps the size of each publish.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(usize, usize)>>);

impl Broker for Recorder {
    type Receipt = ();

    async fn publish(&self, _: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        let size = (messages.len(), messages.iter().map(Message::size).sum());
        self.0.lock().unwrap().push(size);
        Ok(messages.len() as u64)
    }

    async fn last(&self, _: Stream, _: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    async fn last_at_leader(&self, _: Stream, _: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    async fn ack(&self, (): &()) {}

    async fn give_back(&self, (): &(), _: Duration) {}

    async fn in_progress(&self, (): &()) {}

    fn message_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn ack_wait(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
}
