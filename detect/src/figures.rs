//! Numbers as people write them, in the words of a finding.
//!
//! Invariant: the digits are those that the standard library would write; a number that is so close to
//! the middle between two last digits that this is hard to tell is left to it.

use std::fmt;

use schemas::Amount;

use crate::tails::{as_float, rounded};

/// How often something with this probability is expected: once in so many.
pub(crate) fn once_in(rate: f64) -> Significant {
    significant(1.0 / rate.max(1e-6))
}

/// Two significant digits, whole from ten on.
pub(crate) fn significant(number: f64) -> Significant {
    Significant(number)
}

/// See [`significant`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Significant(f64);

/// Whole numbers below this are written as such.
const WHOLE_MAX: f64 = 1e15;
/// Digits after the point that 64 bits have room for.
const DIGITS_MAX: usize = 9;
/// Nearer to the middle between two digits than this, a product may be on its wrong side.
const MIDDLE: f64 = 1e-6;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and small"
)]
impl fmt::Display for Significant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        if 10.0 <= number {
            let whole = rounded(number);
            return if whole < WHOLE_MAX {
                write!(f, "{}", whole as u64)
            } else {
                write!(f, "{whole:.0}")
            };
        }
        if number <= 0.0 {
            return f.write_str("0");
        }
        let digits = (1.0 - number.log10().floor()).clamp(1.0, 17.0) as usize;
        if !(1..=DIGITS_MAX).contains(&digits) {
            return write!(f, "{number:.digits$}");
        }
        let parts = 10_u64.pow(digits as u32);
        let scaled = number * as_float(parts);
        let (below, rest) = (scaled as u64, scaled.fract());
        if (rest - 0.5).abs() < MIDDLE {
            return write!(f, "{number:.digits$}");
        }
        let nearest = below + u64::from(0.5 < rest);
        write!(f, "{}.{:0digits$}", nearest / parts, nearest % parts)
    }
}

/// `49,800.00`.
pub(crate) fn grouped(amount: Amount) -> String {
    let plain = amount.to_string();
    let (whole, cents) = plain.split_once('.').unwrap_or((&plain, "00"));
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut text = String::from(sign);
    for (at, digit) in digits.char_indices() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text}.{cents}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let amounts = ["49800", "1234567.5", "-999.99", "0"];
        let shown = amounts.map(|text| grouped(Amount::parse(text).unwrap()));

        assert_eq!(shown, ["49,800.00", "1,234,567.50", "-999.99", "0.00"]);
        assert_eq!(
            [0.008_31, 1.25, 14.4, 0.0, 350.0].map(|number| significant(number).to_string()),
            ["0.0083", "1.2", "14", "0", "350"]
        );
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 17")]
    fn digits_are_those_of_the_standard_library() {
        let plain = |number: f64| {
            let digits = (1.0 - number.log10().floor()).clamp(1.0, 17.0) as usize;
            if 10.0 <= number {
                format!("{:.0}", number.round())
            } else {
                format!("{number:.digits$}")
            }
        };
        let mut number = 1e-18_f64;
        while number < 1e20 {
            let middle = (number * 1e4).round() / 1e4 + 5e-5;
            for near in [number, number.next_up(), middle, middle.next_down(), number.round() + 0.5]
            {
                assert_eq!(significant(near).to_string(), plain(near), "{near:e}");
            }
            number *= 1.003_7;
        }
        for odd in [f64::INFINITY, f64::NAN, 9.95, 9.949_999, 0.995, 0.1, 0.25, 0.35, 2.5, 9.999] {
            assert_eq!(significant(odd).to_string(), plain(odd), "{odd}");
        }
    }
}
