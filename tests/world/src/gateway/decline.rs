//! Which payments are declined, decided by the amount and the card alone, so that a run repeats.

use serde::{Deserialize, Serialize};

/// Stripe's test card that is declined without a particular reason.
const CARD_DECLINED: &str = "pm_card_chargeDeclined";
/// Stripe's test card that is declined for want of money.
const CARD_WITHOUT_FUNDS: &str = "pm_card_chargeDeclinedInsufficientFunds";

/// The rules given on the command line; Stripe's test cards are declined as well.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeclineRules {
    /// Decline amounts above this many minor units with `insufficient_funds`.
    #[arg(long = "decline-over", value_name = "MINOR")]
    pub over_minor: Option<u64>,
    /// Decline amounts whose decimal digits end in these with `generic_decline`.
    #[arg(long = "decline-ending", value_name = "DIGITS", value_parser = digits)]
    pub ending: Option<String>,
}

/// Stripe's `decline_code`: why the bank said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeclineCode {
    GenericDecline,
    InsufficientFunds,
}

impl DeclineRules {
    /// The bank's verdict on a charge; `None` lets it through.
    pub(crate) fn verdict(&self, amount_minor: u64, payment_method: &str) -> Option<DeclineCode> {
        match payment_method {
            CARD_DECLINED => return Some(DeclineCode::GenericDecline),
            CARD_WITHOUT_FUNDS => return Some(DeclineCode::InsufficientFunds),
            _ => {}
        }
        if self.over_minor.is_some_and(|limit| amount_minor > limit) {
            return Some(DeclineCode::InsufficientFunds);
        }
        let ending = self.ending.as_deref()?;
        amount_minor.to_string().ends_with(ending).then_some(DeclineCode::GenericDecline)
    }
}

impl DeclineCode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            DeclineCode::GenericDecline => "generic_decline",
            DeclineCode::InsufficientFunds => "insufficient_funds",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            DeclineCode::GenericDecline => "Your card was declined.",
            DeclineCode::InsufficientFunds => "Your card has insufficient funds.",
        }
    }
}

/// An empty ending would decline everything, which nobody means.
fn digits(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected one or more decimal digits".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_still_paid() {
        let rules = DeclineRules { over_minor: Some(5000), ending: None };
        assert_eq!(rules.verdict(5000, "pm_card_visa"), None);
        assert_eq!(rules.verdict(5001, "pm_card_visa"), Some(DeclineCode::InsufficientFunds));
    }

    #[test]
    fn an_ending_is_compared_with_the_decimal_digits() {
        let rules = DeclineRules { over_minor: None, ending: digits("02").ok() };
        assert_eq!(rules.verdict(1302, "pm_card_visa"), Some(DeclineCode::GenericDecline));
        assert_eq!(rules.verdict(2, "pm_card_visa"), None);
        assert_eq!(rules.verdict(1320, "pm_card_visa"), None);
    }

    #[test]
    fn an_ending_must_be_digits() {
        assert!(digits("").is_err());
        assert!(digits("1x").is_err());
    }
}
