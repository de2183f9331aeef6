//! Looking: a bounded number of requests, however many messages there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::future::try_join_all;
use jetlag::headers;
use jetlag::jetstream::{ConsumerFacts, Operator, OperatorError, ReadMessage, StreamFacts, Waiting};
use jetlag::topology::{ADVISORIES, AUDIT, DEAD_LETTERS, EVENTS, INTAKE, RETRY};
use time::OffsetDateTime;

use super::finding::{self, Evidence};
use super::{DeadLetters, Function, Lane, Local, Retries, Snapshot, Stream};

/// The streams, in the order in which an event meets them.
const STREAMS: [&str; 6] = [INTAKE, EVENTS, RETRY, DEAD_LETTERS, AUDIT, ADVISORIES];
/// The streams that functions read.
const READ: [&str; 4] = [INTAKE, EVENTS, RETRY, AUDIT];
/// How many dead letters are looked at for their reasons: the latest.
const LETTERS_LOOKED_AT: u64 = 1000;

/// Looks at a broker, once or again and again.
#[derive(Debug)]
pub struct Look {
    operator: Operator,
    broker: String,
    data: Option<PathBuf>,
    /// What commands have to be told so that they speak to the same broker.
    target: String,
    /// The dead letters of the last look: while none comes or goes they are not read again.
    letters: Option<Letters>,
}

/// What was read of the dead letter stream.
#[derive(Debug, Clone)]
struct Letters {
    /// Messages, first and last sequence when it was read.
    state: (u64, u64, u64),
    by_function: BTreeMap<String, DeadLetters>,
    /// How many were read, and how many more there are.
    seen: u64,
    others: u64,
}

impl Look {
    /// At the broker of `operator`. `data` is the directory of the run that it belongs to, if it is one here; `target` is
    /// what a command must be told to speak to the same broker.
    pub fn at(operator: Operator, broker: String, data: Option<PathBuf>, target: String) -> Self {
        Self { operator, broker, data, target, letters: None }
    }

    /// Who looks.
    pub const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Looks.
    ///
    /// # Errors
    /// The broker does not answer, or denies this user something.
    pub async fn snapshot(&mut self) -> Result<Snapshot, OperatorError> {
        let operator = &self.operator;
        let (streams, consumers) = tokio::try_join!(
            try_join_all(STREAMS.map(|stream| operator.stream_facts(stream))),
            try_join_all(READ.map(|stream| operator.consumer_facts(stream))),
        )?;
        let streams: Vec<StreamFacts> = streams.into_iter().flatten().collect();
        let consumers: Vec<ConsumerFacts> = consumers.into_iter().flatten().collect();
        let durables = consumers.iter().map(|consumer| consumer.durable.clone()).collect();
        let letters = self.letters(&streams, durables).await?;
        let names: BTreeSet<String> = consumers
            .iter()
            .map(|consumer| consumer.durable.clone())
            .chain(letters.by_function.keys().cloned())
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let operator = &self.operator;
        let holds = |name: &str| streams.iter().any(|stream| stream.name == name && stream.messages > 0);
        let retries = holds(RETRY);
        let (oldest, waiting, mut breakers) = tokio::try_join!(
            try_join_all(consumers.iter().map(|consumer| operator.oldest_of(consumer))),
            try_join_all(names.iter().map(async |name| match retries {
                true => operator.waiting(name).await,
                false => Ok(Waiting { is_exact: true, ..Waiting::default() }),
            })),
            async {
                match holds(EVENTS) {
                    true => operator.breakers(&names).await,
                    false => Ok(BTreeMap::new()),
                }
            },
        )?;
        let local = self.data.as_deref().and_then(Local::read);
        let mut processes = local.and_then(|local| local.processes(&names));
        let lanes: Vec<(&ConsumerFacts, Option<OffsetDateTime>)> = consumers.iter().zip(oldest).collect();
        let functions = names.iter().zip(waiting).map(|(name, waiting)| {
            let own: Vec<_> = lanes.iter().filter(|(consumer, _)| consumer.durable == *name).collect();
            let Waiting { count, next, is_exact } = waiting;
            Function {
                name: name.clone(),
                lanes: own.iter().map(|(consumer, oldest)| lane(consumer, *oldest)).collect(),
                retries: Retries { waiting: count, next, is_exact },
                dead_letters: letters.by_function.get(name).cloned().unwrap_or_default(),
                breaker: breakers.remove(name).map(Into::into),
                oldest: own.iter().filter_map(|(_, oldest)| *oldest).min(),
                last_active: own.iter().filter_map(|(consumer, _)| consumer.last_active).max(),
                processes: processes.as_mut().and_then(|processes| processes.remove(name)),
            }
        });
        let functions: Vec<Function> = functions.collect();
        let at = OffsetDateTime::now_utc();
        let evidence = Evidence {
            at,
            streams: &streams,
            consumers: &consumers,
            functions: &functions,
            letters_unseen: letters.others,
            letters_seen: letters.seen,
            target: &self.target,
        };
        let findings = finding::all(&evidence);
        let streams = streams.iter().map(stream).collect();
        Ok(Snapshot { at, broker: self.broker.clone(), streams, functions, findings })
    }

    /// What was given up: by function, and of the latest why.
    async fn letters(
        &mut self,
        streams: &[StreamFacts],
        mut functions: BTreeSet<String>,
    ) -> Result<Letters, OperatorError> {
        let stream = streams.iter().find(|stream| stream.name == DEAD_LETTERS && stream.messages > 0);
        let Some(stream) = stream else {
            return Ok(Letters { state: (0, 0, 0), by_function: BTreeMap::new(), seen: 0, others: 0 });
        };
        let state = (stream.messages, stream.first_sequence, stream.last_sequence);
        if let Some(known) = self.letters.as_ref().filter(|letters| letters.state == state) {
            return Ok(known.clone());
        }
        let (messages, others) = self.operator.latest_dead_letters(stream, LETTERS_LOOKED_AT).await?;
        let mut by_function: BTreeMap<String, DeadLetters> = BTreeMap::new();
        for message in &messages {
            let letters = by_function.entry(function_of(message)).or_default();
            letters.count += 1;
            let reason = message.header(headers::REASON).unwrap_or("unknown").to_owned();
            *letters.by_reason.entry(reason).or_default() += 1;
        }
        if others > 0 {
            functions.extend(by_function.keys().cloned());
            let counts = functions.iter().map(|name| self.operator.count_dead_letters(name));
            let counts = try_join_all(counts).await?;
            for (name, count) in functions.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                by_function.entry(name).or_default().count = count;
            }
        }
        let letters = Letters { state, by_function, seen: messages.len() as u64, others };
        self.letters = Some(letters.clone());
        Ok(letters)
    }
}

/// Whose dead letter it is, as its subject says.
fn function_of(letter: &ReadMessage) -> String {
    letter.subject.split('.').nth(1).unwrap_or("?").to_owned()
}

fn lane(consumer: &ConsumerFacts, oldest: Option<OffsetDateTime>) -> Lane {
    Lane {
        stream: consumer.stream.clone(),
        lag: consumer.pending + consumer.unanswered,
        in_flight: consumer.unanswered,
        redelivered: consumer.redelivered,
        pulls: consumer.pulls,
        answered: consumer.delivered.saturating_sub(consumer.unanswered),
        oldest,
    }
}

fn stream(facts: &StreamFacts) -> Stream {
    Stream {
        name: facts.name.clone(),
        messages: facts.messages,
        bytes: facts.bytes,
        bytes_max: facts.bytes_max,
        kept_s: facts.age_max.map(|age| age.as_secs()),
        last_at: facts.last_at,
    }
}
