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
use crate::rough::Rough;
use crate::tails::{as_float, negative_binomial_upper, rounded, student_upper, surprise};

/// Lengths of the windows in seconds.
pub(crate) const WINDOW_SECONDS: [u32; 3] = [300, 3_600, 86_400];
/// Calls, writes, failures.
pub(crate) const COUNTS: usize = 3;
/// The windows over which money is added up: five minutes say no more than an hour.
const MONEY_WINDOWS: [usize; 2] = [HOUR, DAY];
const HOUR: usize = 1;
const DAY: usize = 2;

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
const BUSY: u64 = 2;
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

/// 220 bytes. Which windows are open follows from the time of the agent's latest event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Volume {
    /// By window and count, in the open window.
    counts: [[u32; COUNTS]; 3],
    /// And in the one before.
    before: [[Rough; COUNTS]; 3],
    /// Up to here nothing can be unusual; 0 before anybody asked.
    quiet: [[Rough; COUNTS]; 3],
    /// Closed active windows, decayed.
    windows: [f32; 3],
    /// Sums and sums of squares over closed active windows.
    sums: [[[f32; 2]; COUNTS]; 3],
    /// Money in the open hour and day, and in the one before: [`MONEY_WINDOWS`].
    money: [[f32; 2]; 2],
    money_windows: [f32; 2],
    /// Sums and sums of squares of ln(money), over windows with money.
    money_sums: [[f32; 2]; 2],
    /// Calls and writes in an active hour, and ln(money) of a day with money, moving 1 % a day.
    anchor: [f32; 3],
    /// Evidence that the agent does `DRIFT_RATIO` times its anchor, in nats.
    drift: [f32; 3],
}

pack_struct!(Volume {
    counts,
    before,
    quiet,
    windows,
    sums,
    money,
    money_windows,
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
    /// Closes the windows that `second` (since 1970) lies behind, where the event before was at
    /// `last`, if there was one.
    ///
    /// Returns whether an hour and a day were opened by it.
    pub(crate) fn roll(
        &mut self,
        last: Option<u32>,
        second: u32,
        class: &mut ClassSums,
    ) -> [bool; 2] {
        let Some(last) = last else { return [true; 2] };
        let mut opened = [false; 3];
        for (window, length) in WINDOW_SECONDS.iter().enumerate() {
            let (open, now) = (last / length, second / length);
            if now == open {
                // Every longer window is open as well.
                break;
            }
            opened[window] = true;
            self.close(window, class);
            if window == DAY {
                self.age(f64::from(now - open));
            }
            let is_next = now == open + 1;
            for count in 0..COUNTS {
                let closed = std::mem::take(&mut self.counts[window][count]);
                let closed = Rough::of(u64::from(closed));
                self.before[window][count] = if is_next { closed } else { Rough::default() };
            }
            self.quiet[window] = Default::default();
            if let Some(at) = MONEY_WINDOWS.iter().position(|of| *of == window) {
                let [closed, _] = self.money[at];
                self.money[at] = [0.0, if is_next { closed } else { 0.0 }];
            }
        }
        [opened[HOUR], opened[DAY]]
    }

    /// Learns from an open window.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    fn close(&mut self, window: usize, class: &mut ClassSums) {
        if self.counts[window][0] == 0 {
            return;
        }
        if window == HOUR {
            self.accumulate_drift();
        }
        let sums = &mut class.windows[window];
        self.windows[window] += 1.0;
        sums.windows += 1.0;
        for count in 0..COUNTS {
            // One wild window is learned as a busy one, or the next flood would be usual. If nobody
            // asked what is quiet there, it was no wild one.
            let seen = u64::from(self.counts[window][count]);
            if seen == 0 {
                continue;
            }
            let quiet = self.quiet[window][count].get();
            let learned = if quiet == 0 { seen } else { seen.min(BUSY * quiet) };
            let x = as_float(learned);
            self.sums[window][count][0] += x as f32;
            self.sums[window][count][1] += (x * x) as f32;
            sums.counts[count][0] += x;
            sums.counts[count][1] += x * x;
        }
        let Some(at) = MONEY_WINDOWS.iter().position(|of| *of == window) else { return };
        if 0.0 < self.money[at][0] {
            if window == DAY {
                self.accumulate_money_drift();
            }
            let y = quantised(f64::from(self.money[at][0]).ln());
            self.money_windows[at] += 1.0;
            self.money_sums[at][0] += y as f32;
            self.money_sums[at][1] += (y * y) as f32;
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
        if MONEY_DAYS_MIN <= f64::from(self.money_windows[1]) {
            let mean = self.money_sums[1][0] / self.money_windows[1];
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
            let x = f64::from(self.counts[HOUR][count]).min(4.0 * mean + 4.0);
            let gain =
                x * DRIFT_RATIO.ln() - (x + k) * ((k + DRIFT_RATIO * mean) / (k + mean)).ln();
            let drift = (f64::from(self.drift[count]) + gain).clamp(0.0, DRIFT_MAX);
            self.drift[count] = drift as f32;
        }
    }

    /// The same for the money of the closing day, whose logarithm is taken as normal.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    fn accumulate_money_drift(&mut self) {
        let days = f64::from(self.money_windows[1]);
        let mean = f64::from(self.anchor[2]);
        if mean == 0.0 || days < MONEY_DAYS_MIN {
            return;
        }
        let [sum, squares] = self.money_sums[1].map(f64::from);
        let variance = (squares / days - (sum / days) * (sum / days)).max(0.05);
        let apart = (f64::from(self.money[1][0]).ln() - mean).clamp(-2.0, 1.5);
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

    /// Up to which count a tail cannot be under about 3 %; by the prior of the first who asks in the
    /// window.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    fn quiet(&mut self, window: usize, count: usize, prior: &Prior) -> u64 {
        let known = self.quiet[window][count].get();
        if known != 0 {
            return known;
        }
        let quiet = self
            .expected(window, count, prior)
            .map_or(f64::from(u32::MAX), |expected| expected.mean + 2.0 * expected.spread);
        let quiet = Rough::of(quiet.clamp(1.0, f64::from(u32::MAX)) as u64);
        self.quiet[window][count] = quiet;
        quiet.get()
    }

    /// Counts the event in the open windows.
    pub(crate) fn add(&mut self, increment: Increment) {
        let steps = [1, u32::from(increment.is_write), u32::from(increment.is_failure)];
        for counts in &mut self.counts {
            for (count, step) in counts.iter_mut().zip(steps) {
                *count = count.saturating_add(step);
            }
        }
        for [money, _] in &mut self.money {
            *money += increment.money;
        }
    }

    /// How much of the window before still counts at `second`: the window slides.
    fn share_before(window: usize, second: u32) -> f64 {
        let length = WINDOW_SECONDS[window];
        1.0 - f64::from(second % length) / f64::from(length)
    }

    /// The most unusual of the windows for one count.
    pub(crate) fn unusual(&mut self, count: usize, second: u32, prior: &Prior) -> Unusual {
        let mut most = Unusual::default();
        for window in 0..3 {
            let now = u64::from(self.counts[window][count]);
            let before = self.before[window][count].get();
            if now + before <= 1 {
                continue;
            }
            let quiet = self.quiet(window, count, prior);
            if now + before <= quiet {
                continue;
            }
            let before = as_float(before) * Self::share_before(window, second);
            let seen = rounded(as_float(now) + before);
            if seen <= as_float(quiet) {
                continue;
            }
            let Some(expected) = self.expected(window, count, prior) else { continue };
            let tail = negative_binomial_upper(seen, expected.mean, expected.dispersion);
            let surprise = surprise(tail);
            if most.surprise < surprise {
                most = Unusual { surprise, expected: expected.mean, seen, window };
            }
        }
        most
    }

    /// The same for money, at a payment of `amount` units.
    pub(crate) fn unusual_money(&self, amount: f64, second: u32, prior: &Prior) -> Unusual {
        let mut most = Unusual::default();
        for (at, window) in MONEY_WINDOWS.into_iter().enumerate() {
            let class = &prior.windows[window];
            let weight = f64::from(self.money_windows[at]) + class.money_windows;
            if weight < 3.0 {
                continue;
            }
            let [now, before] = self.money[at].map(f64::from);
            let seen = now + before * Self::share_before(window, second);
            // One payment alone is judged as an amount.
            if seen < 1.5 * amount {
                continue;
            }
            let [sum, squares] = self.money_sums[at].map(f64::from);
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
            let mean = f64::from(self.money_sums[1][0] / self.money_windows[1].max(1.0));
            return Unusual { surprise, expected: anchor.exp(), seen: mean.exp(), window: DAY };
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

    /// Forgets the open windows unlearned: the clock was wrong.
    pub(crate) fn rewind(&mut self) {
        self.counts = Default::default();
        self.before = Default::default();
        self.quiet = Default::default();
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
