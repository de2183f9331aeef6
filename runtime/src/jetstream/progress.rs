//! How far functions have come with a stream.

use serde_json::Value;

use crate::jetstream::operator::{Operator, OperatorError};
use crate::jetstream::rescue::filters;

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
        let mut names = self.consumers(stream).await?;
        names.sort();
        let mut all = Vec::with_capacity(names.len());
        for function in names {
            all.extend(self.progress_of(stream, &function).await?);
        }
        Ok(all)
    }

    /// How far `function` has come with `stream`; nothing if it has no consumer there.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn progress_of(&self, stream: &str, function: &str) -> Result<Option<Progress>, OperatorError> {
        let info = match self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{function}")).await {
            Ok(info) => info,
            // It went in between.
            Err(OperatorError::Refused(why)) if why.contains("10014") => return Ok(None),
            Err(error) => return Err(error),
        };
        let number = |place: &str| info.pointer(place).and_then(Value::as_u64).unwrap_or_default();
        Ok(Some(Progress {
            function: function.to_owned(),
            filters: filters(&info),
            delivered: number("/delivered/stream_seq"),
            answered: number("/ack_floor/stream_seq"),
            pending: number("/num_pending"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_type_or_every_type() {
        let listens = |filter: &str| {
            Progress {
                function: "f".into(),
                filters: vec![filter.into()],
                delivered: 0,
                answered: 0,
                pending: 0,
            }
            .listens_to("orders.placed")
        };
        assert!(listens("orders.placed.*.*") && listens("*.*.*.*") && listens(">"));
        assert!(!listens("orders.confirmed.*.*") && !listens("orders.*.*.*"));
    }
}
