//! Money: an exact decimal amount and its ISO 4217 currency. No float is involved anywhere.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Number;
use serde_json::value::RawValue;

/// The largest amount that is accepted, in units of the currency (not in its minor units).
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// The currencies that are accepted, each with the digits of its minor unit (ISO 4217): 100 pence to a pound, no
/// smaller coin than a yen.
///
/// Currencies of three digits are absent: card networks take them in tens of the minor unit only, and nobody here
/// sells in them yet.
const CURRENCIES: &[(&str, u32)] = &[
    ("AUD", 2),
    ("BRL", 2),
    ("CAD", 2),
    ("CHF", 2),
    ("CNY", 2),
    ("CZK", 2),
    ("DKK", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("INR", 2),
    ("JPY", 0),
    ("KRW", 0),
    ("MXN", 2),
    ("NOK", 2),
    ("NZD", 2),
    ("PLN", 2),
    ("SEK", 2),
    ("SGD", 2),
    ("USD", 2),
    ("ZAR", 2),
];

/// An exact decimal: on the wire a JSON number, of which every digit is kept.
///
/// A number in a string (`"12.50"`) is read too, for senders whose JSON library only knows floats. What a [`Decimal`]
/// cannot hold exactly (more than 28 digits) is refused rather than rounded. It can be read from JSON alone, and not by way of
/// `flatten` or `untagged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// The text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAmount {
    /// Not a number as JSON writes them; `NaN` is none.
    #[error("it must be a number such as 12.50")]
    NotANumber,
    /// More digits than can be kept exactly.
    #[error("it has more than 28 digits, or more than 28 decimals")]
    TooManyDigits,
}

/// An ISO 4217 code in capitals, such as `USD`. Any text can be read as one; [`Currency::digits`] tells whether it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Currency(Cow<'static, str>);

/// Why an amount of a currency is not money that can be charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    /// Zero or less.
    #[error("it must be more than zero, but it is {0}")]
    NotPositive(Amount),
    /// More than [`AMOUNT_MAX`].
    #[error("it must be at most {AMOUNT_MAX}, but it is {0}")]
    TooLarge(Amount),
    /// A fraction of the smallest coin.
    #[error("{currency} has {digits} decimals, but it is {amount}")]
    TooManyDecimals {
        /// The amount.
        amount: Amount,
        /// Its currency.
        currency: Currency,
        /// How many decimals that currency has.
        digits: u32,
    },
    /// Not one of the currencies that are accepted.
    #[error("it must be one of {}", Currency::codes())]
    UnknownCurrency,
}

impl Amount {
    /// The amount of the examples: 12.50.
    pub(crate) const EXAMPLE: Self = Self(Decimal::from_parts(1250, 0, 0, false, 2));

    /// One unit of whichever currency.
    pub const ONE: Self = Self(Decimal::ONE);

    /// The decimal.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// Everything that keeps this amount of `currency` from being money that can be charged.
    pub fn faults(self, currency: &Currency) -> Vec<MoneyFault> {
        let mut faults = Vec::new();
        if self.0 <= Decimal::ZERO {
            faults.push(MoneyFault::NotPositive(self));
        }
        if self.0 > Decimal::from(AMOUNT_MAX) {
            faults.push(MoneyFault::TooLarge(self));
        }
        match currency.digits() {
            None => faults.push(MoneyFault::UnknownCurrency),
            Some(digits) if self.0.normalize().scale() > digits => {
                faults.push(MoneyFault::TooManyDecimals { amount: self, currency: currency.clone(), digits });
            }
            Some(_) => {}
        }
        faults
    }
}

impl From<Decimal> for Amount {
    fn from(decimal: Decimal) -> Self {
        Self(decimal)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let _: Number = text.parse().map_err(|_| NotAnAmount::NotANumber)?;
        Self::of_number(text)
    }
}

impl Amount {
    /// Reads what JSON takes as a number.
    fn of_number(text: &str) -> Result<Self, NotAnAmount> {
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let mut decimal = Decimal::from_str_exact(digits).map_err(|_| NotAnAmount::TooManyDigits)?;
        let exponent: i32 = exponent.parse().map_err(|_| NotAnAmount::TooManyDigits)?;
        if exponent < 0 {
            let scale = decimal.scale().saturating_add(exponent.unsigned_abs());
            decimal.set_scale(scale).map_err(|_| NotAnAmount::TooManyDigits)?;
        }
        // At most 28 rounds: the next would not fit any more (and zero stays zero).
        for _ in 0..exponent.min(29) {
            decimal = decimal.checked_mul(Decimal::TEN).ok_or(NotAnAmount::TooManyDigits)?;
        }
        Ok(Self(decimal))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        rust_decimal::serde::arbitrary_precision::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // rust_decimal's own reader rounds what it cannot hold; this one refuses it. Whatever is there is JSON already.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let parsed = match json.get().as_bytes() {
            [b'0'..=b'9' | b'-', ..] => Self::of_number(json.get()),
            [b'"', ..] => serde_json::from_str::<String>(json.get()).map_err(de::Error::custom)?.parse(),
            _ => Err(NotAnAmount::NotANumber),
        };
        parsed.map_err(|error| de::Error::custom(format_args!("not an amount: {error}")))
    }
}

impl Currency {
    /// The currency of an order that names none.
    pub const DEFAULT: Self = Self(Cow::Borrowed("USD"));

    /// The currency of `code`, in capitals.
    pub fn new(code: impl Into<String>) -> Self {
        Self(Cow::Owned(code.into()))
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// The codes of all that are accepted.
    pub fn all() -> impl Iterator<Item = &'static str> {
        CURRENCIES.iter().map(|(code, _)| *code)
    }

    /// How many decimals its minor unit has, or `None` if it is not accepted.
    pub fn digits(&self) -> Option<u32> {
        CURRENCIES.iter().find(|(code, _)| *code == self.0).map(|(_, digits)| *digits)
    }

    /// `amount` in the minor units of this currency (12.50 USD is 1250), exactly.
    ///
    /// # Errors
    /// The amount is not money in this currency: the first of [`Amount::faults`].
    pub fn minor_units(&self, amount: Amount) -> Result<u64, MoneyFault> {
        if let Some(fault) = amount.faults(self).into_iter().next() {
            return Err(fault);
        }
        let exact = amount.0.normalize();
        let factor = self.digits().and_then(|digits| 10i128.checked_pow(digits.checked_sub(exact.scale())?));
        factor
            .and_then(|factor| exact.mantissa().checked_mul(factor))
            .and_then(|minor| u64::try_from(minor).ok())
            .ok_or(MoneyFault::TooLarge(amount))
    }

    /// The amount that is `minor` minor units of this currency.
    ///
    /// # Errors
    /// The currency is not accepted.
    pub fn amount_of(&self, minor: u64) -> Result<Amount, MoneyFault> {
        let digits = self.digits().ok_or(MoneyFault::UnknownCurrency)?;
        let decimal = Decimal::try_from_i128_with_scale(minor.into(), digits);
        decimal.map(Amount).map_err(|_| MoneyFault::UnknownCurrency)
    }

    fn codes() -> String {
        CURRENCIES.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ")
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Amount, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_amount_is_a_json_number_both_ways_with_every_digit() {
        for text in ["12.50", "0.1", "100", "79228162514264337593543950335", "0.0000000000000000000000000001"]
        {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
        assert_eq!(read("\"12.50\"").unwrap(), read("12.50").unwrap(), "a number in a string is read too");
        assert_eq!(read("1.25e1").unwrap(), read("12.5").unwrap());
        assert_eq!(read("1250E-2").unwrap().to_string(), "12.50");
    }

    #[test]
    fn what_is_no_exact_number_is_refused_and_never_rounded() {
        for json in
            ["\"NaN\"", "\"\"", "\"1_000\"", "\" 1\"", "\"1,5\"", "\"0x10\"", "null", "true", "[1]", "{}"]
        {
            assert!(read(json).unwrap_err().contains("a number such as 12.50"), "{json}");
        }
        for json in [
            "12.50000000000000000000000000001",
            "1e400",
            "1e-40",
            "99999999999999999999999999999",
            "1e99999999999",
        ] {
            assert!(read(json).unwrap_err().contains("28 digits"), "{json}");
        }
        assert_eq!(read("0e9").unwrap(), read("0").unwrap());
    }

    #[test]
    fn everything_that_is_wrong_with_money_is_told() {
        let faults = |amount: &str, currency: &str| {
            amount.parse::<Amount>().unwrap().faults(&Currency::new(currency)).len()
        };
        assert_eq!(faults("12.50", "USD"), 0);
        assert_eq!(faults("12.500", "USD"), 0, "a trailing zero changes nothing");
        assert_eq!(faults("0", "USD"), 1);
        assert_eq!(faults("-0.001", "EUR"), 2);
        assert_eq!(faults("0.00000000000000000001", "GBP"), 1);
        assert_eq!(faults("12.50", "JPY"), 1);
        assert_eq!(faults("1000000000000.01", "CHF"), 1);
        assert_eq!(faults("-1", "usd"), 2);
    }

    proptest! {
        #[test]
        fn every_decimal_survives_the_wire_to_the_digit(mantissa in -(1i128 << 95)..(1i128 << 95), scale in 0u32..=28) {
            let amount = Amount(Decimal::from_i128_with_scale(mantissa, scale));
            let json = serde_json::to_string(&amount).unwrap();
            let again = read(&json).unwrap();
            prop_assert_eq!(again, amount);
            prop_assert_eq!(serde_json::to_string(&again).unwrap(), json);
        }

        #[test]
        fn minor_units_come_back_as_the_same_amount(minor in 1..=1_000_000_000_000u64, which in 0..CURRENCIES.len()) {
            let currency = Currency::new(CURRENCIES[which].0);
            let amount = currency.amount_of(minor).unwrap();
            prop_assert_eq!(currency.minor_units(amount).unwrap(), minor);
            prop_assert_eq!(currency.minor_units(read(&amount.to_string()).unwrap()).unwrap(), minor);
        }

        #[test]
        fn no_text_panics(text in "[0-9eE+.-]{0,40}") {
            let _ = text.parse::<Amount>();
        }
    }
}
