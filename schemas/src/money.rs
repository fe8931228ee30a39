//! [`Amount`]: money in hundredths of its [`Currency`].
//!
//! Invariant: at most 18 decimal digits, so that it fits `Decimal128(18, 2)`; never a float, so
//! that sums are exact.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of money in hundredths (cents). May be negative (a refund).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// Why a text or number is not an [`Amount`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    #[error("wanted a decimal number such as 49800.00")]
    NotDecimal,
    #[error("wanted at most 2 digits after the point")]
    TooFine,
    #[error("wanted at most 16 digits before the point")]
    TooLarge,
}

impl Amount {
    pub const ZERO: Self = Self(0);
    /// 18 digits.
    const CENTS_MAX: i64 = 999_999_999_999_999_999;

    /// # Errors
    ///
    /// [`InvalidAmount::TooLarge`] above 18 digits.
    pub fn from_cents(cents: i64) -> Result<Self, InvalidAmount> {
        if !(-Self::CENTS_MAX..=Self::CENTS_MAX).contains(&cents) {
            return Err(InvalidAmount::TooLarge);
        }
        Ok(Self(cents))
    }

    pub const fn as_cents(self) -> i64 {
        self.0
    }

    /// In whole units with fractions, for mathematics that needs no exact sum.
    #[expect(clippy::cast_precision_loss, reason = "statistics on amounts need 15 digits at most")]
    pub fn as_units(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// The sum, at most [`Amount`]'s largest value.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self((self.0 + other.0).clamp(-Self::CENTS_MAX, Self::CENTS_MAX))
    }

    /// Reads a decimal number: an optional sign, digits, and at most two digits after a point.
    /// Further zeros are allowed.
    ///
    /// # Errors
    ///
    /// [`InvalidAmount`].
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return Err(InvalidAmount::NotDecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        let cents: i64 = match fraction.len() {
            0 => 0,
            1 => fraction.parse::<i64>().map_err(|_| InvalidAmount::NotDecimal)? * 10,
            2 => fraction.parse().map_err(|_| InvalidAmount::NotDecimal)?,
            _ => return Err(InvalidAmount::TooFine),
        };
        let whole: i64 = whole.parse().map_err(|_| InvalidAmount::TooLarge)?;
        let total = whole.checked_mul(100).and_then(|units| units.checked_add(cents));
        Self::from_cents(sign * total.ok_or(InvalidAmount::TooLarge)?)
    }
}

impl fmt::Display for Amount {
    /// With two digits after the point, no grouping: `49800.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as \"49800.00\" or 49800")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                Amount::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, units: i64) -> Result<Amount, E> {
                let cents = units.checked_mul(100).ok_or(InvalidAmount::TooLarge);
                cents.and_then(Amount::from_cents).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, units: u64) -> Result<Amount, E> {
                let units = i64::try_from(units).map_err(|_| E::custom(InvalidAmount::TooLarge))?;
                self.visit_i64(units)
            }

            // The shortest decimal that reads back as this float is what the producer wrote.
            fn visit_f64<E: serde::de::Error>(self, units: f64) -> Result<Amount, E> {
                Amount::parse(&units.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{"type": "string", "pattern": "^-?[0-9]{1,16}(\\.[0-9]{1,2}0*)?$"}, {"type": "number"}],
            "description": "decimal with at most two digits after the point; a string keeps every digit",
        })
    }
}

/// An ISO 4217 currency code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII capitals, checked when made")
    }
}

impl TryFrom<&str> for Currency {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err("wanted a currency of three capital letters such as EUR".to_owned()),
        }
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for Currency {
    type Error = String;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, String> {
        Self::try_from(text.as_ref())
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_text_and_numbers_alike() {
        for (json, cents) in [
            ("\"49800.00\"", 4_980_000),
            ("49800", 4_980_000),
            ("0.1", 10),
            ("49800.99", 4_980_099),
            ("\"-3.50\"", -350),
            ("\"9999999999999999.99\"", 999_999_999_999_999_999),
        ] {
            let amount: Amount = serde_json::from_str(json).unwrap();
            assert_eq!(amount.as_cents(), cents, "{json}");
        }
    }

    #[test]
    fn an_amount_that_would_lose_a_digit_is_refused() {
        for json in [
            "0.123",
            "\"1e5\"",
            "1e30",
            "\"\"",
            "\"NaN\"",
            "\"10000000000000000\"",
            "null",
            "\".5\"",
        ] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_amount_survives_print_and_parse(cents in -Amount::CENTS_MAX..=Amount::CENTS_MAX) {
            let amount = Amount::from_cents(cents).unwrap();
            proptest::prop_assert_eq!(Amount::parse(&amount.to_string()).unwrap(), amount);
        }
    }
}
