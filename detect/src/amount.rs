//! [`Amounts`]: what an agent pays for an action, and amounts kept just below a limit.
//!
//! ln(amount) is normal with unknown mean and variance (normal-inverse-gamma), so the next one is a
//! Student's t. The prior is the class's for the same action and currency.
//!
//! Invariant: without a history, own or the class's, no amount is unusual.

use crate::class::{ActionSums, ClassSums};
use crate::facts::Money;
use crate::pack::pack_struct;
use crate::tails::{binomial_upper, student_upper, surprise};

/// What the class's mean is worth, in payments; and its variance, in degrees of freedom.
const PRIOR_MEAN: f64 = 2.0;
const PRIOR_FREEDOM: f64 = 6.0;
/// Payments of agent and class together before an amount can be unusual.
const HISTORY_MIN: f64 = 8.0;
/// An agent's own history counts as this many payments at most: prices change.
const OWN_MAX: f32 = 64.0;
/// Share of amounts just below a round limit where nothing is known: three limits per decade, each
/// log10(1/0.95) wide, over log-uniform amounts; worth 20 payments.
const NEAR_RATE: f64 = 0.067;
const NEAR_WORTH: f64 = 20.0;
/// Payments that are parts of one: two are a correction.
const PARTS_MIN: u64 = 3;
/// Recent payments fade by half in six hours.
const RECENT_HALF_LIFE_HOURS: f32 = 6.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Paid {
    /// Of action and currency; 0 is an empty place.
    fingerprint: u32,
    payments: f32,
    mean_ln: f32,
    /// Sum of squared deviations.
    squares: f32,
}

pack_struct!(Paid { fingerprint, payments, mean_ln, squares });

/// 76 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Amounts {
    paid: [Paid; 4],
    /// Recent payments, and those just below a limit.
    recent: f32,
    recent_near: f32,
    /// The hour (since 1970) that both stand for, times 256, and the payments just below a limit without
    /// another one between.
    hour_and_run: u32,
}

pack_struct!(Amounts { paid, recent, recent_near, hour_and_run });

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct UnusualAmount {
    pub surprise: f64,
    /// The median, in units.
    pub median: f64,
    pub seen: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NearLimit {
    pub surprise: f64,
    /// Share of amounts just below a round limit.
    pub rate: f64,
    /// How many of the recent payments are expected there.
    pub expected: f64,
    /// How many are, this one included.
    pub seen: f64,
}

impl Amounts {
    fn find(&self, key: u64) -> Paid {
        let wanted = crate::hash::fingerprint(key);
        let found = self.paid.iter().find(|one| one.fingerprint == wanted);
        found.copied().unwrap_or_default()
    }

    pub(crate) fn unusual(&self, money: &Money, class: Option<&ActionSums>) -> UnusualAmount {
        let own = self.find(money.key);
        let payments = f64::from(own.payments);
        let of_class = class.map_or(0.0, |class| class.amounts);
        if payments + of_class < HISTORY_MIN {
            return UnusualAmount::default();
        }
        let own_mean = f64::from(own.mean_ln);
        let (prior_mean, prior_variance) = match class {
            Some(class) if 1.0 <= class.amounts => {
                let mean = class.amount[0] / class.amounts;
                (mean, (class.amount[1] / class.amounts - mean * mean).max(0.01))
            }
            _ => (own_mean, 1.0),
        };
        let worth = payments + PRIOR_MEAN;
        let mean = (payments * own_mean + PRIOR_MEAN * prior_mean) / worth;
        let apart = own_mean - prior_mean;
        let squares = f64::from(own.squares)
            + PRIOR_FREEDOM * prior_variance
            + apart * apart * payments * PRIOR_MEAN / worth;
        let freedom = PRIOR_FREEDOM + payments;
        let scale = (squares / freedom * (1.0 + 1.0 / worth)).sqrt().max(0.05);
        let t = (money.ln - mean) / scale;
        if t < 1.0 {
            return UnusualAmount::default();
        }
        let surprise = surprise(student_upper(t, freedom));
        UnusualAmount { surprise, median: mean.exp(), seen: money.units }
    }

    /// Judges `payments` of one day to one counterparty, which add up to `units`, as one: what would
    /// be too much at once is paid in parts.
    pub(crate) fn unusual_in_parts(
        &self,
        money: &Money,
        payments: u64,
        units: f64,
        class: Option<&ActionSums>,
    ) -> UnusualAmount {
        if payments < PARTS_MIN {
            return UnusualAmount::default();
        }
        self.unusual(&Money { units, ln: units.max(0.01).ln(), ..*money }, class)
    }

    /// Whether amounts gather just below round limits, this one included.
    pub(crate) fn near_limit(
        &self,
        money: &Money,
        hour: u32,
        class: Option<&ActionSums>,
    ) -> NearLimit {
        if !money.is_near_limit {
            return NearLimit::default();
        }
        let (near, amounts) = class.map_or((0.0, 0.0), |class| (class.near_limit, class.amounts));
        let rate = (near + NEAR_RATE * NEAR_WORTH) / (amounts + NEAR_WORTH);
        let keep = f64::from(self.kept(hour));
        let seen = f64::from(self.recent_near) * keep + 1.0;
        let recent = f64::from(self.recent) * keep + 1.0;
        let run = rate.powi(i32::from(self.near_run()) + 1);
        let tail = binomial_upper(seen, recent, rate).min(run);
        NearLimit { surprise: surprise(tail), rate, expected: rate * recent, seen }
    }

    /// u32 seconds have fewer than 2^24 hours.
    fn hour(&self) -> u32 {
        self.hour_and_run >> 8
    }

    fn near_run(&self) -> u8 {
        self.hour_and_run.to_le_bytes()[0]
    }

    /// How much of the recent payments still counts.
    #[expect(clippy::cast_precision_loss, reason = "hours between payments are few")]
    fn kept(&self, hour: u32) -> f32 {
        (-(hour.saturating_sub(self.hour()) as f32) / RECENT_HALF_LIFE_HOURS).exp2()
    }

    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    pub(crate) fn learn(&mut self, money: &Money, hour: u32, class: &mut ClassSums) {
        let ln = crate::class::quantised(money.ln);
        let sums = class.actions.entry(money.key).or_default();
        sums.amounts += 1.0;
        sums.amount[0] += ln;
        sums.amount[1] += crate::class::quantised(ln * ln);
        sums.near_limit += f64::from(u8::from(money.is_near_limit));

        let keep = self.kept(hour);
        let run = if money.is_near_limit { self.near_run().saturating_add(1) } else { 0 };
        self.hour_and_run = (self.hour().max(hour) << 8) | u32::from(run);
        self.recent = self.recent * keep + 1.0;
        self.recent_near = self.recent_near * keep + if money.is_near_limit { 1.0 } else { 0.0 };

        let fingerprint = crate::hash::fingerprint(money.key);
        let place = self.paid.iter().position(|one| one.fingerprint == fingerprint);
        let paid = if let Some(at) = place {
            &mut self.paid[at]
        } else {
            let rarest = self.paid.iter_mut().min_by(|a, b| a.payments.total_cmp(&b.payments));
            let rarest = rarest.expect("there are four places");
            *rarest = Paid { fingerprint, ..Paid::default() };
            rarest
        };
        if OWN_MAX <= paid.payments {
            let keep = OWN_MAX / (OWN_MAX + 1.0);
            paid.payments *= keep;
            paid.squares *= keep;
        }
        let deviation = ln as f32 - paid.mean_ln;
        paid.payments += 1.0;
        paid.mean_ln += deviation / paid.payments;
        paid.squares += deviation * (ln as f32 - paid.mean_ln);
    }
}
