//! The form that a request carries: read, checked, and reduced to a fingerprint.

use std::collections::BTreeMap;

use axum::{
    Form,
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use sha2::{Digest, Sha256};

use super::{operation::Creation, refusal::Refusal};

/// The largest amount, in minor units: eight digits, as Stripe has it.
const MAX_AMOUNT_MINOR: u64 = 99_999_999;
/// Letters in a currency code of ISO 4217.
const CURRENCY_LETTERS: usize = 3;
/// Stripe's limits on metadata: entries, and characters of a name and of a value.
const MAX_METADATA_ENTRIES: usize = 50;
const MAX_METADATA_NAME_CHARS: usize = 40;
const MAX_METADATA_VALUE_CHARS: usize = 500;
/// Characters of a description or of a payment method.
const MAX_TEXT_CHARS: usize = 1000;
/// The card of a request that names none. Stripe would leave the intent without one; here every
/// intent can be confirmed.
const DEFAULT_PAYMENT_METHOD: &str = "pm_card_visa";

/// The parameters of a request in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        // A confirmation may have no body, and a client then sends no content type either.
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|rejection| Refusal::Body(rejection.body_text()))?;
            return if body.is_empty() {
                Ok(Parameters::default())
            } else {
                Err(Refusal::Body("Expected application/x-www-form-urlencoded.".to_owned()))
            };
        }
        let Form(pairs) = Form::from_request(request, state)
            .await
            .map_err(|rejection| Refusal::Body(rejection.body_text()))?;
        Ok(Parameters(pairs))
    }
}

impl Parameters {
    /// SHA-256, in hex, of the path and all parameters, known or not. Their order does not count.
    pub(crate) fn fingerprint(&self, path: &str) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort_unstable();
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // The length before the text keeps `a=bc` apart from `ab=c`.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        add(path);
        for (name, value) in pairs {
            add(name);
            add(value);
        }
        format!("{:x}", hash.finalize())
    }

    /// Reads the parameters of a new payment intent.
    pub(crate) fn creation(&self) -> Result<Creation, Refusal> {
        Ok(Creation {
            amount_minor: self.amount()?,
            currency: self.currency()?,
            confirm: self.confirm()?,
            description: self.text("description")?,
            metadata: self.metadata()?,
            payment_method: self.payment_method()?.unwrap_or_else(|| DEFAULT_PAYMENT_METHOD.to_owned()),
        })
    }

    /// The card, if the request names one.
    pub(crate) fn payment_method(&self) -> Result<Option<String>, Refusal> {
        self.text("payment_method")
    }

    fn amount(&self) -> Result<u64, Refusal> {
        let text = self.required("amount")?;
        let amount: u64 =
            text.parse().map_err(|_| invalid("parameter_invalid_integer", "amount", "Invalid integer"))?;
        match amount {
            0 => Err(invalid("amount_too_small", "amount", "Amount must be at least 1")),
            1..=MAX_AMOUNT_MINOR => Ok(amount),
            _ => Err(invalid("amount_too_large", "amount", "Amount must be no more than 99999999")),
        }
    }

    fn currency(&self) -> Result<String, Refusal> {
        let text = self.required("currency")?;
        if text.len() == CURRENCY_LETTERS && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(invalid("parameter_invalid_string", "currency", "Invalid currency"))
        }
    }

    fn confirm(&self) -> Result<bool, Refusal> {
        match self.last("confirm") {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid("parameter_invalid_boolean", "confirm", "Invalid boolean")),
        }
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut metadata = BTreeMap::new();
        for (name, value) in &self.0 {
            let Some(name) = name.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')) else {
                continue;
            };
            let fits = name.chars().count() <= MAX_METADATA_NAME_CHARS
                && value.chars().count() <= MAX_METADATA_VALUE_CHARS;
            metadata.insert(name.to_owned(), value.clone());
            if !fits || metadata.len() > MAX_METADATA_ENTRIES {
                return Err(invalid("parameter_invalid_string", "metadata", "Metadata exceeds the limits"));
            }
        }
        Ok(metadata)
    }

    fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.last(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        if text.chars().count() > MAX_TEXT_CHARS {
            return Err(invalid("parameter_invalid_string", name, "Too long"));
        }
        Ok(Some(text.to_owned()))
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.last(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| invalid("parameter_missing", name, "Missing required param"))
    }

    /// The value of a parameter; the last one counts if it is repeated.
    fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }
}

fn invalid(code: &'static str, param: &str, what: &str) -> Refusal {
    Refusal::Invalid { code, param: param.to_owned(), message: format!("{what}: {param}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_fingerprint_ignores_order_and_nothing_else() {
        let one = parameters(&[("amount", "1"), ("extra", "2")]).fingerprint("/p");
        assert_eq!(one, parameters(&[("extra", "2"), ("amount", "1")]).fingerprint("/p"));
        assert_ne!(one, parameters(&[("amount", "1"), ("extra", "3")]).fingerprint("/p"));
        assert_ne!(one, parameters(&[("amount", "1"), ("extra", "2")]).fingerprint("/q"));
        assert_ne!(one, parameters(&[("amount", "1"), ("extr", "a2")]).fingerprint("/p"));
    }

    #[test]
    fn amounts_outside_the_limits_are_refused_with_their_code() {
        for (amount, expected) in [
            ("", "parameter_missing"),
            ("0", "amount_too_small"),
            ("100000000", "amount_too_large"),
            ("12.5", "parameter_invalid_integer"),
            ("-1", "parameter_invalid_integer"),
        ] {
            let refused = parameters(&[("amount", amount), ("currency", "gbp")]).creation();
            assert!(matches!(refused, Err(Refusal::Invalid { code, .. }) if code == expected), "{amount}");
        }
        let largest = parameters(&[("amount", "99999999"), ("currency", "GBP")]).creation().unwrap();
        assert_eq!((largest.amount_minor, largest.currency.as_str()), (99_999_999, "gbp"));
    }

    #[test]
    fn metadata_is_read_from_brackets() {
        let creation =
            parameters(&[("amount", "1"), ("currency", "gbp"), ("metadata[order_id]", "o-1")]).creation();
        assert_eq!(creation.unwrap().metadata, BTreeMap::from([("order_id".to_owned(), "o-1".to_owned())]));
    }
}
