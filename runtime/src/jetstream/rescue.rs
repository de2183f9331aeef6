//! Rescuing what would expire, at the real broker.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::core::broker::{Delivery, Kept, Stored, Stream};
use crate::core::rescue::{Backlog, Rescue, Rescued};
use crate::jetstream::archive::kept;
use crate::jetstream::operator::{Operator, OperatorError, ReadMessage, read_some};
use crate::jetstream::pull::{PullLane, receipt_of};
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::topology::{EVENTS, INTAKE, RETRY};

/// How many names of consumers the broker gives at a time.
const NAMES_PAGE: usize = 1024;
/// The broker's codes that mean: there is no such stream, or no such consumer.
const NOT_THERE: [&str; 2] = ["10059", "10014"];

/// Why a function could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    /// There is nothing to be looked after under this name.
    #[error("{function} has no consumer on both {EVENTS} and {RETRY}")]
    NoFunction {
        /// The name.
        function: String,
    },
    /// The horizon is not configured.
    #[error("{EVENTS} keeps events for ever (its max_age is 0): nothing expires")]
    NoHorizon,
    /// A stream or a consumer could not be looked at, or a round did not come to its end.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl From<Unavailable> for RescueError {
    fn from(unavailable: Unavailable) -> Self {
        OperatorError::NoAnswer(unavailable.0).into()
    }
}

impl Operator {
    /// How long EVENTS keeps an event, as it is configured at the broker.
    ///
    /// # Errors
    /// There is no such stream, it keeps events for ever, or no answer.
    pub async fn horizon(&self) -> Result<Duration, RescueError> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{EVENTS}")).await?;
        match info.pointer("/config/max_age").and_then(Value::as_u64) {
            None | Some(0) => Err(RescueError::NoHorizon),
            Some(nanos) => Ok(Duration::from_nanos(nanos)),
        }
    }

    /// The functions whose events can be rescued: those with a consumer on EVENTS and one on RETRY, by name.
    ///
    /// # Errors
    /// There are no such streams, or no answer.
    pub async fn rescuable(&self) -> Result<Vec<String>, OperatorError> {
        let mut functions = self.consumers(EVENTS).await?;
        let retrying = self.consumers(RETRY).await?;
        functions.retain(|name| retrying.contains(name));
        functions.sort();
        Ok(functions)
    }

    /// When the oldest message of `stream` was stored that the consumer `durable` has not been answered for.
    ///
    /// # Errors
    /// There is no such consumer, or no answer.
    pub async fn oldest_unanswered(
        &self,
        stream: &str,
        durable: &str,
    ) -> Result<Option<OffsetDateTime>, OperatorError> {
        Ok(self.first_unanswered(stream, durable).await?.map(|message| message.stored_at))
    }

    /// The oldest message of `stream` that the consumer `durable` has not been answered for: the first that it covers
    /// behind its floor, below which everything is acknowledged.
    async fn first_unanswered(
        &self,
        stream: &str,
        durable: &str,
    ) -> Result<Option<ReadMessage>, OperatorError> {
        let info = self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{durable}")).await?;
        let number = |path: &str| info.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        if number("/num_pending") + number("/num_ack_pending") == 0 {
            return Ok(None);
        }
        let from = number("/ack_floor/stream_seq") + 1;
        let mut first: Option<ReadMessage> = None;
        for filter in filters(&info) {
            let found = read_some(self.caller(), stream, &filter, from, 1).await?.into_iter().next();
            first = first.into_iter().chain(found).min_by_key(|message| message.sequence);
        }
        Ok(first)
    }

    /// One round for one function, whose events expire after `horizon`: carries on what is older than half of it, and
    /// takes away what was answered for. It takes an eighth of the horizon at most, and may be interrupted anywhere.
    ///
    /// # Errors
    /// The function has no consumers, or the broker does not answer; what was done until then stays done.
    pub async fn rescue(&self, function: &str, horizon: Duration) -> Result<Rescued, RescueError> {
        tokio::select! {
            biased;
            why = self.denial() => Err(OperatorError::Denied(why).into()),
            // The round may be told of it first, and in words only.
            done = self.round(function, horizon) => done.map_err(|error| match (error, self.denied()) {
                (RescueError::Operator(_), Some(why)) => OperatorError::Denied(why).into(),
                (error, _) => error,
            }),
        }
    }

    async fn round(&self, function: &str, horizon: Duration) -> Result<Rescued, RescueError> {
        let broker = self.broker();
        for stream in [EVENTS, RETRY] {
            if !self.has_consumer(stream, function).await? {
                return Err(RescueError::NoFunction { function: function.to_owned() });
            }
        }
        let rescue = Rescue::new(&broker, function, horizon);
        let mut done = rescue.events(&EventsOf { operator: self, function }).await?;
        done += rescue.weed(Stream::Retry, &Subject::any_retry(function)).await?;
        if self.has_consumer(INTAKE, function).await? {
            let info = self.ask(&format!("$JS.API.CONSUMER.INFO.{INTAKE}.{function}")).await?;
            for filter in filters(&info) {
                done += rescue.weed(Stream::Intake, &Subject::from_broker(&filter)).await?;
            }
        }
        Ok(done)
    }

    async fn has_consumer(&self, stream: &str, durable: &str) -> Result<bool, OperatorError> {
        match self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{durable}")).await {
            Ok(_) => Ok(true),
            Err(OperatorError::Refused(why)) if NOT_THERE.iter().any(|code| why.contains(code)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of the durable consumers on `stream`.
    async fn consumers(&self, stream: &str) -> Result<Vec<String>, OperatorError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let ask = json!({"offset": names.len()});
            let answer = self.ask_with(&format!("$JS.API.CONSUMER.NAMES.{stream}"), &ask).await?;
            let page = answer.get("consumers").and_then(Value::as_array);
            let before = names.len();
            names.extend(page.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            if names.len() - before < NAMES_PAGE {
                return Ok(names);
            }
        }
    }
}

/// The subjects that a consumer filters by.
pub(super) fn filters(info: &Value) -> Vec<String> {
    let several = info.pointer("/config/filter_subjects").and_then(Value::as_array);
    let one = info.pointer("/config/filter_subject").and_then(Value::as_str);
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    let filters: Vec<String> = several.chain(one).map(str::to_owned).collect();
    if filters.is_empty() { vec![">".to_owned()] } else { filters }
}

/// The events of one function.
struct EventsOf<'o> {
    operator: &'o Operator,
    function: &'o str,
}

impl Backlog<std::sync::Arc<str>> for EventsOf<'_> {
    type Lane = PullLane;

    async fn oldest(&self) -> Result<Option<Delivery<std::sync::Arc<str>>>, Unavailable> {
        let oldest = self.operator.first_unanswered(EVENTS, self.function).await;
        let oldest = oldest.map_err(|error| Unavailable(error.to_string()))?;
        Ok(oldest.map(kept).map(|Kept { stored, time }| {
            let Stored { subject, sequence, headers, payload } = stored;
            let receipt = receipt_of(EVENTS, self.function, sequence);
            let stream = Stream::Events;
            Delivery { stream, subject, headers, payload, sequence, time, delivered: 1, receipt }
        }))
    }

    async fn open(&self) -> Result<PullLane, Unavailable> {
        let (client, link) = (self.operator.caller().client.clone(), self.operator.link());
        let lane = PullLane::open(client, Stream::Events, self.function, link).await;
        lane.map_err(|error| Unavailable(crate::failure::chain(&error)))
    }
}
