//! What an account may have of the broker, and what it has.

use serde_json::Value;

use crate::jetstream::operator::{Operator, OperatorError};

/// The account's storage, as the broker counts it against its limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// The version of the server.
    pub version: String,
    /// The most bytes of files; nothing if there is no limit.
    pub storage_max: Option<u64>,
    /// Bytes of files that are there, or set aside by the limits of streams if that is more.
    pub storage_used: u64,
}

impl Operator {
    /// What the account may store, and stores.
    ///
    /// # Errors
    /// The broker does not answer, or denies this user the question.
    pub async fn account_facts(&self) -> Result<AccountFacts, OperatorError> {
        let info = self.ask("$JS.API.INFO").await?;
        Ok(AccountFacts { version: self.caller().client.server_info().version, ..AccountFacts::of(&info) })
    }
}

impl AccountFacts {
    /// Limits by tier, where an account has them, are for streams of one number of copies: the largest is told.
    fn of(info: &Value) -> Self {
        let tiers = info.get("tiers").and_then(Value::as_object);
        let each: Vec<&Value> = tiers.map_or_else(|| vec![info], |tiers| tiers.values().collect());
        let number = |of: &Value, path: &str| of.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        let limits = each.iter().filter_map(|of| of.pointer("/limits/max_storage").and_then(Value::as_u64));
        Self {
            version: String::new(),
            // -1 is none.
            storage_max: limits.max(),
            storage_used: each
                .iter()
                .map(|of| number(of, "/storage").max(number(of, "/reserved_storage")))
                .fold(0, u64::saturating_add),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_has_a_limit_or_none_and_what_is_set_aside_counts() {
        let of = |info: Value| {
            let AccountFacts { storage_max, storage_used, .. } = AccountFacts::of(&info);
            (storage_max, storage_used)
        };
        let open = json!({"storage": 10, "reserved_storage": 70, "limits": {"max_storage": -1}});
        assert_eq!(of(open), (None, 70));
        let limited = json!({"storage": 10, "limits": {"max_storage": 100}});
        assert_eq!(of(limited), (Some(100), 10));
        let tiers = json!({"tiers": {"R1": {"storage": 5, "limits": {"max_storage": 50}},
            "R3": {"storage": 7, "limits": {"max_storage": 90}}}});
        assert_eq!(of(tiers), (Some(90), 12));
    }
}
