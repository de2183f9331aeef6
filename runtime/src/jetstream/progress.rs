//! How far functions have come with a stream.

use serde_json::{Value, json};

use crate::jetstream::operator::{Operator, OperatorError};
use crate::jetstream::rescue::filters;

/// How a consumer's description says that there is no such consumer.
const NO_CONSUMER: &str = "10014";
/// How many pages of consumers are read at most; the broker has 256 on one.
const PAGES_MAX: usize = 16;

/// How far a function has come with a stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// The function.
    pub function: String,
    /// The subjects that it listens to.
    pub filters: Vec<String>,
    /// The sequence of the newest message that was given to it.
    pub delivered: u64,
    /// Up to this sequence it has answered for everything.
    pub answered: u64,
    /// How many messages it was not given yet.
    pub pending: u64,
}

impl Progress {
    fn of(info: &Value) -> Option<Self> {
        let number = |place: &str| info.pointer(place).and_then(Value::as_u64).unwrap_or_default();
        Some(Self {
            function: info.get("name")?.as_str()?.to_owned(),
            filters: filters(info),
            delivered: number("/delivered/stream_seq"),
            answered: number("/ack_floor/stream_seq"),
            pending: number("/num_pending"),
        })
    }

    /// Whether it listens to events of the type `kind`.
    pub fn listens_to(&self, kind: &str) -> bool {
        self.filters.iter().any(|filter| {
            let listened = filter.strip_suffix(".*.*").unwrap_or(filter);
            listened == kind || listened == "*.*" || filter == ">"
        })
    }
}

impl Operator {
    /// How far every function has come with `stream`, in the order of their names.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn progress(&self, stream: &str) -> Result<Vec<Progress>, OperatorError> {
        let (mut all, mut seen) = (Vec::new(), 0);
        for _ in 0..PAGES_MAX {
            let ask = json!({"offset": seen});
            let answer = self.ask_with(&format!("$JS.API.CONSUMER.LIST.{stream}"), &ask).await?;
            let page = answer.get("consumers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            seen += page.len();
            // One without a durable name is somebody who looks on.
            let durable = page.iter().filter(|info| info.pointer("/config/durable_name").is_some());
            all.extend(durable.filter_map(Progress::of));
            let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
            if page.is_empty() || seen as u64 >= total {
                break;
            }
        }
        all.sort_by(|one, other| one.function.cmp(&other.function));
        Ok(all)
    }

    /// How far `function` has come with `stream`; nothing if it has no consumer there.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn progress_of(&self, stream: &str, function: &str) -> Result<Option<Progress>, OperatorError> {
        match self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{function}")).await {
            Ok(info) => Ok(Progress::of(&info)),
            Err(OperatorError::Refused(why)) if why.contains(NO_CONSUMER) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_type_or_every_type() {
        let listens = |filter: &str| {
            let info = json!({"name": "f", "config": {"filter_subjects": [filter]}});
            Progress::of(&info).unwrap().listens_to("orders.placed")
        };
        assert!(listens("orders.placed.*.*") && listens("*.*.*.*") && listens(">"));
        assert!(!listens("orders.confirmed.*.*") && !listens("orders.*.*.*"));
    }
}
