//! [`Flood`]: names that come once. More new agents within an hour than the hours before explain.
//!
//! Invariant (D1): newcomers are counted in the order of their events, by the hour in which the clock
//! stands: neither batches nor shards can show. An hour teaches no more than what first was unusual in
//! it, so no flood makes the next one look usual.
//!
//! Model: newcomers per hour are negative binomial, with the mean and the variance of the hours before.
//! The past counts by the fourth power of its age, until a half-life of 28 days takes over: in its first
//! days a deployment meets everyone for the first time, and that must fade as fast as it came.

use schemas::{DetectorKind, FeatureShare, Finding, Severity, StampedEvent};

use crate::class::HALF_LIFE_DAYS;
use crate::config::Config;
use crate::explain;
use crate::figures::significant;
use crate::pack::pack_struct;
use crate::tails::{LEAST, as_float, negative_binomial_upper, probability_of, surprise};

/// Fewer new agents in an hour can be looked at one by one. Chosen.
const NEWCOMERS_MIN: u64 = 100;
/// Before anything is known, an hour may bring as many newcomers (exponentially distributed); this counts as
/// an hour seen, and halves every day. Chosen: a company of ten thousand agents goes to work on its first
/// Monday without anybody being woken.
const FIRST_HOURS: f64 = 3_000.0;
/// Power of its age by which the past counts.
const POWER: f64 = 4.0;
/// Beyond, a negative binomial is a Poisson distribution.
const DISPERSION_MAX: f64 = 1e4;
/// Hours between two tellings, unless the newcomers become so many times as many.
const SILENT_HOURS: u32 = 24;
const LOUDER: u64 = 10;

/// Newcomers of the open hour, and what the hours before teach of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Flood {
    /// Hours that were closed.
    hours: u32,
    /// Hours that count, their newcomers, and the sum of the squares.
    sums: [f64; 3],
    /// Newcomers of the open hour.
    open: u64,
    /// How many of them first were unusual; 0 if they are not.
    unusual_from: u64,
    /// How many there were when it was told last, and after how many hours that was.
    told: u64,
    told_at: u32,
    pub findings: u64,
}

pack_struct!(Flood { hours, sums, open, unusual_from, told, told_at, findings });

impl Flood {
    /// Closes the hour, and learns it.
    pub(crate) fn close_hour(&mut self) {
        let learned = if self.unusual_from == 0 { self.open } else { self.unusual_from };
        let age = f64::from(self.hours);
        let keep = (age / (age + POWER)).min((-1.0 / (24.0 * HALF_LIFE_DAYS)).exp2());
        let newcomers = as_float(learned);
        for (sum, more) in self.sums.iter_mut().zip([1.0, newcomers, newcomers * newcomers]) {
            *sum = *sum * keep + more;
        }
        self.hours = self.hours.saturating_add(1);
        (self.open, self.unusual_from) = (0, 0);
    }

    /// Counts a new agent, whose first event this is. Tells the flood that it completes.
    pub(crate) fn count(&mut self, stamped: &StampedEvent, config: &Config) -> Option<Finding> {
        self.open += 1;
        let weight = config.detectors().weight(DetectorKind::AgentFlood);
        if self.hours == 0 || self.open < NEWCOMERS_MIN || weight <= 0.0 {
            return None;
        }
        let is_old = self.told == 0 || SILENT_HOURS <= self.hours.saturating_sub(self.told_at);
        let is_due = is_old || self.told.saturating_mul(LOUDER) <= self.open;
        if self.unusual_from != 0 && !is_due {
            return None;
        }
        let (mean, dispersion) = self.expected();
        let surprise = weight * self.surprise(mean, dispersion);
        if self.unusual_from == 0 {
            if config.budgets().page() < per_day(surprise) {
                return None;
            }
            self.unusual_from = self.open;
        }
        if !is_due {
            return None;
        }
        (self.told, self.told_at) = (self.open, self.hours);
        self.findings += 1;
        Some(self.finding(stamped, mean, surprise))
    }

    /// Mean newcomers of an hour, and the dispersion of a negative binomial.
    fn expected(&self) -> (f64, f64) {
        let unknown = (-f64::from(self.hours) / 24.0).exp2();
        let [hours, newcomers, squares] = self.sums;
        let hours = hours + unknown;
        let mean = (newcomers + unknown * FIRST_HOURS) / hours;
        let variance = (squares + unknown * 2.0 * FIRST_HOURS * FIRST_HOURS) / hours - mean * mean;
        let dispersion = mean * mean / (variance - mean).max(mean * mean / DISPERSION_MAX);
        (mean, dispersion.min(DISPERSION_MAX))
    }

    fn surprise(&self, mean: f64, dispersion: f64) -> f64 {
        surprise(negative_binomial_upper(as_float(self.open), mean, dispersion))
    }

    fn finding(&self, stamped: &StampedEvent, mean: f64, surprise: f64) -> Finding {
        let (seen, false_per_day) = (as_float(self.open), per_day(surprise));
        let summary = format!(
            "{} is the new agent number {} within an hour, where {} are usual: names that come once take the \
             room of those that stay. This is told once a day, unless they become {LOUDER} times as many. \
             Expected false findings at this level: {} per day.",
            stamped.event.agent_id,
            self.open,
            significant(mean),
            significant(false_per_day),
        );
        Finding {
            score: surprise,
            false_findings_per_agent_day: false_per_day,
            summary,
            features: vec![FeatureShare {
                feature: "new_agents_per_1h".to_owned(),
                expected: mean,
                seen,
                probability: probability_of(surprise),
                share: 1.0,
            }],
            money_at_risk: None,
            currency: None,
            ..explain::told_of(stamped, DetectorKind::AgentFlood, Severity::Page)
        }
    }
}

/// False findings that are to be expected in a day, an hour being judged once: the company counts as one
/// agent.
fn per_day(surprise: f64) -> f64 {
    24.0 * probability_of(surprise).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Dice, START, event};

    /// Counts so many newcomers in the open hour; gives at which of them something was told.
    fn told(flood: &mut Flood, newcomers: u64, config: &Config) -> Vec<u64> {
        let one = event("sub", "sub", START, "task.run");
        (1..=newcomers).filter(|_| flood.count(&one, config).is_some()).collect()
    }

    /// So many hours with newcomers as `of_hour` says. Nothing may be told.
    fn after(hours: u32, of_hour: impl Fn(u32) -> u64) -> Flood {
        let mut flood = Flood::default();
        for hour in 0..hours {
            assert_eq!(told(&mut flood, of_hour(hour), &Config::default()), [0; 0], "hour {hour}");
            flood.close_hour();
        }
        flood
    }

    #[test]
    fn a_flood_is_told_once_and_again_when_it_is_ten_times_as_large_and_after_a_day() {
        let config = Config::default();
        let mut flood = after(28 * 24, |hour| u64::from(hour % 3 == 0));

        let first = told(&mut flood, 100_000, &config);
        flood.close_hour();
        let next_hour = told(&mut flood, 500, &config);
        (0..24).for_each(|_| flood.close_hour());
        let next_day = told(&mut flood, 100_000, &config);

        assert_eq!(first, [100, 1_000, 10_000, 100_000]);
        assert_eq!(next_hour, [0; 0]);
        assert!(next_day[0] < 500, "one flood does not make the next one usual: {next_day:?}");
        assert_eq!(flood.findings, (first.len() + next_day.len()) as u64);
    }

    #[test]
    fn a_company_that_starts_on_a_sunday_goes_to_work_on_monday_unnoticed() {
        // 2,000 agents: a few at the weekend, the others from seven to nine.
        let flood = after(14 * 24, |hour| match hour {
            0 => 60,
            31 => 400,
            32 => 900,
            33 => 500,
            _ => u64::from(hour % 5 == 0),
        });
        // And one whose agents live for minutes, by day more than by night, never as many twice.
        let mut dice = Dice(7);
        let busy: Vec<u64> = (0..14 * 24)
            .map(|hour| {
                300 + dice.below(300) + if (8..18).contains(&(hour % 24)) { 9_000 } else { 0 }
            })
            .collect();
        let brief = after(14 * 24, |hour| busy[hour as usize]);

        for (mut flood, few, many) in [(flood, 50, 2_000), (brief, 12_000, 200_000)] {
            assert_eq!(told(&mut flood.clone(), few, &Config::default()), [0; 0]);
            assert_ne!(told(&mut flood, many, &Config::default()), [0; 0]);
        }
    }

    #[test]
    fn a_million_names_are_told_of_from_the_second_hour_on_and_nothing_in_the_first() {
        let config = Config::default();

        assert_eq!(told(&mut Flood::default(), 1_000_000, &config), [0; 0]);
        let found = told(&mut after(1, |_| 24), 1_000_000, &config);
        assert!(1_000 < found[0] && found[0] < 50_000, "{found:?}");
    }

    #[test]
    fn what_is_told_has_the_numbers_and_a_detector_that_is_off_is_silent() {
        let off = serde_json::from_str(r#"{"detectors": {"agent-flood": 0}}"#).unwrap();
        let mut flood = after(28 * 24, |_| 2);
        let one = event("sub-99", "sub", START, "task.run");

        assert_eq!(told(&mut flood.clone(), 100_000, &off), [0; 0]);
        let found = (0..200).find_map(|_| flood.count(&one, &Config::default())).unwrap();
        assert_eq!((found.detector, found.severity), (DetectorKind::AgentFlood, Severity::Page));
        assert!(found.summary.starts_with("sub-99 is the new agent number 100 within an hour"));
        assert!(found.summary.contains("where 2.0 are usual"), "{}", found.summary);
        assert!(!found.is_of_registry() && found.false_findings_per_agent_day <= 0.03);
        assert!((found.features[0].expected - 2.0).abs() < 0.01 && 99.0 < found.features[0].seen);
    }
}
