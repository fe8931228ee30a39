//! [`Volume`]: how much an agent does: calls, writes, failures and money in 5 minutes, 1 hour, 24 hours.
//!
//! Agents work in sessions, so a mean per minute describes none of their minutes. The model is a
//! hurdle: whether an hour of the week is active at all is one feature, how much is in an active
//! window (negative binomial; log-normal for money) another. The prior comes from the class and is worth three
//! agent-days at most.
//!
//! Invariant: the baseline learns from closed windows only, so a burst never explains itself; the
//! anchored baseline moves by at most 1 % a day, up and down alike (a cap on one side alarms in
//! every clean run: detection.md section 4).

use crate::class::{ClassSums, Prior, quantised};
use crate::pack::pack_struct;
use crate::tails::{negative_binomial_upper, student_upper, surprise};

/// Lengths of the windows in seconds.
pub(crate) const WINDOW_SECONDS: [u32; 3] = [300, 3_600, 86_400];
/// Calls, writes, failures.
pub(crate) const COUNTS: usize = 3;

/// Baselines halve their memory in this many days.
/// Source: between the 7 and 60 days of detection.md section 6, which a single memory replaces; the
/// slow side is the anchor's.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Degrees of freedom at most, so that a long history does not make the tail thinner than it is.
const FREEDOM_MAX: f64 = 30.0;
/// Source: detection.md section 4, slow drift: 1 % a day, r = 1.5.
const ANCHOR_STEP: f64 = 0.01;
const DRIFT_RATIO: f64 = 1.5;
const DRIFT_MAX: f64 = 60.0;
/// Weaker evidence of drift says nothing: the sum wanders without end.
const DRIFT_SURPRISE_MIN: f64 = 1.5;
/// Active hours before the anchor is set. Source: a week of four-hour days.
const ANCHOR_HOURS_MIN: f32 = 28.0;
/// Kept of what was learned when model or version change. Source: detection.md section 6.
const SOFTENED: f32 = 0.25;
/// A window is learned as at most so many times what is not yet unusual.
const BUSY: u32 = 2;
/// Days with money before their sum has an anchor.
const MONEY_DAYS_MIN: f64 = 5.0;

/// What one event adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Increment {
    pub is_write: bool,
    pub is_failure: bool,
    /// Units that were paid; currencies are added up as they are, as baselines are in logarithms.
    pub money: f32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Volume {
    /// Number of the open window of each length, since 1970.
    open: [u32; 3],
    /// By window and count: in the open window and in the one before.
    counts: [[[u32; 2]; COUNTS]; 3],
    money: [[f32; 2]; 3],
    /// By window and count: up to here nothing can be unusual.
    quiet: [[u32; COUNTS]; 3],
    /// Closed active windows, decayed.
    windows: [f32; 3],
    money_windows: [f32; 3],
    /// Sums and sums of squares over closed active windows.
    sums: [[[f32; 2]; COUNTS]; 3],
    /// The same of ln(money), over windows with money.
    money_sums: [[f32; 2]; 3],
    /// Calls and writes in an active hour, and ln(money) of a day with money, moving 1 % a day.
    anchor: [f32; 3],
    /// Evidence that the agent does `DRIFT_RATIO` times its anchor, in nats.
    drift: [f32; 3],
}

pack_struct!(Volume {
    open,
    counts,
    money,
    quiet,
    windows,
    money_windows,
    sums,
    money_sums,
    anchor,
    drift,
});

/// Mean and dispersion of a count in an active window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Expected {
    pub mean: f64,
    /// Standard deviation.
    pub spread: f64,
    /// Negative binomial's k; smaller is wilder.
    pub dispersion: f64,
}

/// A volume with how unlikely it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Unusual {
    pub surprise: f64,
    pub expected: f64,
    pub seen: f64,
    /// Index in [`WINDOW_SECONDS`].
    pub window: usize,
}

impl Volume {
    /// Closes the windows that `second` (since 1970) lies behind.
    ///
    /// Returns whether an hour and a day were opened by it.
    pub(crate) fn roll(&mut self, second: u32, prior: &Prior, class: &mut ClassSums) -> [bool; 2] {
        let mut opened = [false; 3];
        for (window, length) in WINDOW_SECONDS.iter().enumerate() {
            let now = second / length;
            if now == self.open[window] {
                continue;
            }
            opened[window] = true;
            self.close(window, class);
            if window == 2 {
                self.age(f64::from(now - self.open[window]));
            }
            let is_next = now == self.open[window] + 1;
            for count in &mut self.counts[window] {
                *count = [0, if is_next { count[0] } else { 0 }];
            }
            self.money[window] = [0.0, if is_next { self.money[window][0] } else { 0.0 }];
            self.open[window] = now;
            self.set_quiet(window, prior);
        }
        [opened[1], opened[2]]
    }

    /// Learns from an open window, if anything was in it.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    fn close(&mut self, window: usize, class: &mut ClassSums) {
        if self.counts[window][0][0] == 0 {
            return;
        }
        if window == 1 {
            self.accumulate_drift();
        }
        let sums = &mut class.windows[window];
        self.windows[window] += 1.0;
        sums.windows += 1.0;
        for count in 0..COUNTS {
            // One wild window is learned as a busy one, or the next flood would be usual.
            let busy = self.quiet[window][count].saturating_mul(BUSY);
            let x = f64::from(self.counts[window][count][0].min(busy));
            self.sums[window][count][0] += x as f32;
            self.sums[window][count][1] += (x * x) as f32;
            sums.counts[count][0] += x;
            sums.counts[count][1] += x * x;
        }
        if 0.0 < self.money[window][0] {
            if window == 2 {
                self.accumulate_money_drift();
            }
            let y = quantised(f64::from(self.money[window][0]).ln());
            self.money_windows[window] += 1.0;
            self.money_sums[window][0] += y as f32;
            self.money_sums[window][1] += (y * y) as f32;
            sums.money_windows += 1.0;
            sums.money[0] += y;
            sums.money[1] += quantised(y * y);
        }
    }

    /// Forgets, and lets the anchor follow, for `days` that went by.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    fn age(&mut self, days: f64) {
        self.keep((-days / HALF_LIFE_DAYS).exp2() as f32);
        if self.windows[1] < ANCHOR_HOURS_MIN * 0.5 {
            return;
        }
        let step = (1.0 + ANCHOR_STEP).powf(days.min(30.0)) as f32;
        if MONEY_DAYS_MIN <= f64::from(self.money_windows[2]) {
            let mean = self.money_sums[2][0] / self.money_windows[2];
            let anchor = self.anchor[2];
            self.anchor[2] = if anchor == 0.0 {
                mean
            } else {
                mean.clamp(anchor - step.ln(), anchor + step.ln())
            };
        }
        for count in 0..2 {
            let mean = self.sums[1][count][0] / self.windows[1];
            let anchor = self.anchor[count];
            self.anchor[count] = match anchor {
                0.0 if ANCHOR_HOURS_MIN <= self.windows[1] => mean,
                0.0 => 0.0,
                _ => mean.clamp(anchor / step, anchor * step),
            };
        }
    }

    /// Keeps this share of what was learned.
    fn keep(&mut self, share: f32) {
        for one in self.windows.iter_mut().chain(&mut self.money_windows) {
            *one *= share;
        }
        for one in self.sums.as_flattened_mut().as_flattened_mut() {
            *one *= share;
        }
        for one in self.money_sums.as_flattened_mut() {
            *one *= share;
        }
    }

    /// Adds the closing hour to the CUSUM.
    ///
    /// Source: detection.md section 6: S <- max(0, S + x ln r - (x+k) ln((k + r m)/(k + m))).
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    fn accumulate_drift(&mut self) {
        for count in 0..2 {
            let mean = f64::from(self.anchor[count]);
            if mean <= 0.0 {
                continue;
            }
            let k = self.own(1, count).dispersion;
            // One wild hour is a burst, not a drift: it counts as four times the mean at most.
            let x = f64::from(self.counts[1][count][0]).min(4.0 * mean + 4.0);
            let gain =
                x * DRIFT_RATIO.ln() - (x + k) * ((k + DRIFT_RATIO * mean) / (k + mean)).ln();
            let drift = (f64::from(self.drift[count]) + gain).clamp(0.0, DRIFT_MAX);
            self.drift[count] = drift as f32;
        }
    }

    /// The same for the money of the closing day, whose logarithm is taken as normal.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    fn accumulate_money_drift(&mut self) {
        let days = f64::from(self.money_windows[2]);
        let mean = f64::from(self.anchor[2]);
        if mean == 0.0 || days < MONEY_DAYS_MIN {
            return;
        }
        let [sum, squares] = self.money_sums[2].map(f64::from);
        let variance = (squares / days - (sum / days) * (sum / days)).max(0.05);
        let apart = (f64::from(self.money[2][0]).ln() - mean).clamp(-2.0, 1.5);
        let step = DRIFT_RATIO.ln();
        let gain = step / variance * (apart - step / 2.0);
        self.drift[2] = (f64::from(self.drift[2]) + gain).clamp(0.0, DRIFT_MAX) as f32;
    }

    fn own(&self, window: usize, count: usize) -> Expected {
        let [sum, squares] = self.sums[window][count].map(f64::from);
        Expected::of(f64::from(self.windows[window]), sum, squares)
    }

    /// What is expected in an active window, by the agent and its class. `None` before anything is.
    pub(crate) fn expected(&self, window: usize, count: usize, prior: &Prior) -> Option<Expected> {
        let class = &prior.windows[window];
        let weight = f64::from(self.windows[window]) + class.windows;
        if weight < 1.0 {
            return None;
        }
        let [sum, squares] = self.sums[window][count].map(f64::from);
        let sum = sum + class.counts[count][0];
        Some(Expected::of(weight, sum, squares + class.counts[count][1]))
    }

    /// Sets the counts up to which a tail cannot be under about 3 %.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    fn set_quiet(&mut self, window: usize, prior: &Prior) {
        for count in 0..COUNTS {
            let quiet = self
                .expected(window, count, prior)
                .map_or(f64::from(u32::MAX), |expected| expected.mean + 2.0 * expected.spread);
            self.quiet[window][count] = quiet.clamp(1.0, f64::from(u32::MAX)) as u32;
        }
    }

    /// Counts the event in the open windows.
    pub(crate) fn add(&mut self, increment: Increment) {
        let steps = [1, u32::from(increment.is_write), u32::from(increment.is_failure)];
        for window in 0..3 {
            for (count, step) in self.counts[window].iter_mut().zip(steps) {
                count[0] = count[0].saturating_add(step);
            }
            self.money[window][0] += increment.money;
        }
    }

    /// How much of the window before still counts at `second`: the window slides.
    fn share_before(window: usize, second: u32) -> f64 {
        let length = WINDOW_SECONDS[window];
        1.0 - f64::from(second % length) / f64::from(length)
    }

    /// The most unusual of the windows for one count.
    pub(crate) fn unusual(&self, count: usize, second: u32, prior: &Prior) -> Unusual {
        let mut most = Unusual::default();
        for window in 0..3 {
            let [now, before] = self.counts[window][count];
            let at_most = now.saturating_add(before);
            if at_most <= self.quiet[window][count] {
                continue;
            }
            let before = f64::from(before) * Self::share_before(window, second);
            let seen = (f64::from(now) + before).round();
            if seen <= f64::from(self.quiet[window][count]) {
                continue;
            }
            let Some(expected) = self.expected(window, count, prior) else { continue };
            let tail = negative_binomial_upper(seen, expected.mean, expected.dispersion);
            if most.surprise < surprise(tail) {
                let surprise = surprise(tail);
                most = Unusual { surprise, expected: expected.mean, seen, window };
            }
        }
        most
    }

    /// The same for money, at a payment of `amount` units.
    pub(crate) fn unusual_money(&self, amount: f64, second: u32, prior: &Prior) -> Unusual {
        let mut most = Unusual::default();
        for window in 0..3 {
            let class = &prior.windows[window];
            let weight = f64::from(self.money_windows[window]) + class.money_windows;
            if weight < 3.0 {
                continue;
            }
            let [now, before] = self.money[window].map(f64::from);
            let seen = now + before * Self::share_before(window, second);
            // One payment alone is judged as an amount.
            if seen < 1.5 * amount {
                continue;
            }
            let [sum, squares] = self.money_sums[window].map(f64::from);
            let mean = (sum + class.money[0]) / weight;
            let variance = (squares + class.money[1]) / weight - mean * mean;
            let scale = (variance.max(0.04) * (1.0 + 1.0 / weight)).sqrt();
            let t = (seen.max(0.01).ln() - mean) / scale;
            if t < 1.5 {
                continue;
            }
            let surprise = surprise(student_upper(t, weight.min(FREEDOM_MAX)));
            if most.surprise < surprise {
                most = Unusual { surprise, expected: mean.exp(), seen, window };
            }
        }
        most
    }

    /// The strongest of the drifts.
    pub(crate) fn unusual_drift(&self) -> Unusual {
        let mut strongest = 0;
        for at in 1..self.drift.len() {
            if self.drift[strongest] < self.drift[at] {
                strongest = at;
            }
        }
        // A sequential test crosses h by chance with probability e^-h at most (Wald).
        let surprise = f64::from(self.drift[strongest]) / std::f64::consts::LN_10;
        if surprise < DRIFT_SURPRISE_MIN {
            return Unusual::default();
        }
        let anchor = f64::from(self.anchor[strongest]);
        if strongest == 2 {
            let mean = f64::from(self.money_sums[2][0] / self.money_windows[2].max(1.0));
            return Unusual { surprise, expected: anchor.exp(), seen: mean.exp(), window: 2 };
        }
        let seen = self.own(1, strongest).mean;
        Unusual { surprise, expected: anchor, seen, window: 1 }
    }

    /// Starts the sequential test anew, after it was told.
    pub(crate) fn restart_drift(&mut self) {
        self.drift = [0.0; 3];
    }

    /// Goes on with a quarter of what was learned: the agent is another one now.
    pub(crate) fn soften(&mut self) {
        self.keep(SOFTENED);
        self.drift = [0.0; 3];
    }

    /// Opens new windows at `second` and forgets the open ones unlearned: the clock was wrong.
    pub(crate) fn rewind(&mut self, second: u32) {
        self.open = WINDOW_SECONDS.map(|length| second / length);
        self.counts = Default::default();
        self.money = Default::default();
    }

    /// Active hours learned from.
    pub(crate) fn active_hours(&self) -> f64 {
        f64::from(self.windows[1])
    }

    /// Active days learned from.
    pub(crate) fn active_days(&self) -> f64 {
        f64::from(self.windows[2])
    }
}

impl Expected {
    fn of(weight: f64, sum: f64, squares: f64) -> Self {
        let mean = (sum / weight).max(1e-3);
        let variance = (squares / weight - mean * mean).max(0.0);
        // 1/k = (variance - mean) / mean^2, within [.02, 4] (detection.md section 6), and the mean
        // itself is known only up to 1/sum.
        let wildness = ((variance - mean) / (mean * mean)).clamp(0.02, 4.0);
        let dispersion = 1.0 / (wildness + 1.0 / (sum + 1.0));
        let spread = (mean + mean * mean / dispersion).sqrt();
        Self { mean, spread, dispersion }
    }
}
