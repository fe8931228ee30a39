//! [`Purse`]: money that went out lately, in hundredths.
//!
//! Invariant: what is told was paid: each kind of payment (currency and action) is added up apart, and
//! of the steps of one order, which all name its amount, only one is counted. Sums are exact up to
//! 1.4 million million units, and then stay there.

use crate::facts::Money;
use crate::hash::fingerprint;
use crate::pack::{Pack, Unpacker};

/// `N` kinds of payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Purse<const N: usize> {
    /// 16 bits of the currency, 16 of the action; 0 is an empty place.
    kinds: [u32; N],
    /// 48 bits each, the upper ones first.
    cents: [[u16; 3]; N],
}

impl<const N: usize> Default for Purse<N> {
    fn default() -> Self {
        Self { kinds: [0; N], cents: [[0; 3]; N] }
    }
}

impl<const N: usize> Pack for Purse<N> {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { kinds, cents } = self;
        kinds.pack(out);
        cents.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        Some(Self { kinds: Pack::unpack(input)?, cents: Pack::unpack(input)? })
    }
}

impl<const N: usize> Purse<N> {
    /// 47 bits, so that nobody can read a sign into one more.
    const CENTS_MAX: i64 = (1 << 47) - 1;

    pub(crate) fn add(&mut self, money: &Money) {
        let kind = kind_of(money);
        let at = self.kinds.iter().position(|found| *found == kind).unwrap_or_else(|| {
            let least = (0..N).min_by_key(|at| self.cents(*at));
            least.expect("there is a place")
        });
        let before = if self.kinds[at] == kind { self.cents(at) } else { 0 };
        let cents = before.saturating_add(money.cents).clamp(0, Self::CENTS_MAX);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "48 bits")]
        let parts = [(cents >> 32) as u16, (cents >> 16) as u16, cents as u16];
        (self.kinds[at], self.cents[at]) = (kind, parts);
    }

    fn cents(&self, at: usize) -> i64 {
        let [upper, middle, lower] = self.cents[at].map(i64::from);
        (upper << 32) | (middle << 16) | lower
    }

    /// What was paid in the currency of `money`: by the action that paid most. An order that is
    /// created, approved and paid goes through three actions and costs once.
    pub(crate) fn paid(&self, money: &Money) -> i64 {
        let currency = currency_of(kind_of(money));
        let of_currency = (0..N).filter(|at| currency_of(self.kinds[*at]) == currency);
        of_currency.map(|at| self.cents(at)).max().unwrap_or(0)
    }
}

fn kind_of(money: &Money) -> u32 {
    let kind = (fingerprint(money.currency) & 0xffff_0000) | (fingerprint(money.key) >> 16);
    if kind == 0 { 1 } else { kind }
}

fn currency_of(kind: u32) -> u32 {
    kind >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{join, key_of};

    fn money(currency: &str, action: &str, cents: i64) -> Money {
        let currency = key_of(currency);
        let key = join(currency, key_of(action));
        Money { cents, units: 1.0, ln: 0.0, key, currency, is_near_limit: false }
    }

    #[test]
    fn steps_of_one_order_count_once_and_currencies_stay_apart() {
        let mut purse = Purse::<3>::default();
        for (currency, action, cents) in [
            ("EUR", "order.create", 100),
            ("EUR", "order.create", 250),
            ("EUR", "order.approve", 100),
            ("USD", "order.create", 7_000),
            ("EUR", "order.approve", 250),
        ] {
            purse.add(&money(currency, action, cents));
        }

        assert_eq!(purse.paid(&money("EUR", "order.approve", 1)), 350);
        assert_eq!(purse.paid(&money("USD", "order.approve", 1)), 7_000);
        assert_eq!(purse.paid(&money("GBP", "order.approve", 1)), 0);
    }

    #[test]
    fn sums_are_exact_and_stay_where_they_end() {
        let (mut purse, mut sum) = (Purse::<2>::default(), 0);
        for cents in [1, 65_535, 4_294_967_297, 99_999_999_999_999] {
            purse.add(&money("EUR", "order.create", cents));
            sum += cents;
            assert_eq!(purse.paid(&money("EUR", "order.create", 1)), sum);
        }

        purse.add(&money("EUR", "order.create", i64::MAX));
        purse.add(&money("EUR", "order.create", 1));

        assert_eq!(purse.paid(&money("EUR", "order.create", 1)), (1 << 47) - 1);
    }
}
