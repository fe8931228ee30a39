//! [`Config`]: what a deployment may set. Each default says where it comes from.
//!
//! Invariant: holding a `Config` made by deserialising is the proof that weights are 0 to 4, that
//! budgets are positive and ordered (review is the largest), and that there is room for agents.

use schemas::DetectorKind;
use serde::Deserialize;

/// Limits are looked through at every payment.
const LIMITS_MAX: usize = 32;

/// What a deployment may set. Part `[detect]` of `surety.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", try_from = "Unchecked")]
pub struct Config {
    agents_max: u32,
    warmup_events: u64,
    budgets: Budgets,
    detectors: Detectors,
    limits: Vec<f64>,
    /// What is left out, to measure what it is worth.
    without: Option<Ablation>,
}

/// A part of the detector that an evaluation leaves out, to measure what it is worth. No deployment
/// can set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ablation {
    /// An agent is judged by its own history and by its class's rates; no other agent vouches.
    Peers,
    /// What was seen once is trusted.
    Probation,
    /// Scores are taken for what they say: minus decimal logarithms.
    Calibration,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Unchecked {
    agents_max: u32,
    warmup_events: u64,
    budgets: Budgets,
    detectors: Detectors,
    limits: Vec<f64>,
}

impl Default for Unchecked {
    fn default() -> Self {
        let Config { agents_max, warmup_events, budgets, detectors, limits, .. } =
            Config::default();
        Self { agents_max, warmup_events, budgets, detectors, limits }
    }
}

impl TryFrom<Unchecked> for Config {
    type Error = String;

    fn try_from(unchecked: Unchecked) -> Result<Self, String> {
        let Unchecked { agents_max, warmup_events, budgets, detectors, limits } = unchecked;
        if !(1_024..=100_000_000).contains(&agents_max) {
            return Err(format!("wanted 1024 to 100000000 agents-max, found {agents_max}"));
        }
        if let Some(limit) = limits.iter().find(|limit| !(0.0 < **limit && limit.is_finite())) {
            return Err(format!("wanted limits above 0, found {limit}"));
        }
        if LIMITS_MAX < limits.len() {
            return Err(format!("wanted {LIMITS_MAX} limits at most, found {}", limits.len()));
        }
        Ok(Self { agents_max, warmup_events, budgets, detectors, limits, without: None })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            agents_max: 2_000_000,
            warmup_events: 1_000,
            budgets: Budgets::default(),
            detectors: Detectors::default(),
            limits: Vec::new(),
            without: None,
        }
    }
}

impl Config {
    /// Agents remembered at once; beyond, the least worth keeping is forgotten. Default 2,000,000:
    /// under 4 GB, and twice the million agents of performance.md section 2.
    pub fn agents_max(&self) -> u32 {
        self.agents_max
    }

    /// Sealed events of an empty deployment before the first finding. Default 1,000: a calibration
    /// on less says nothing about one false finding in hundreds of agent-hours.
    pub fn warmup_events(&self) -> u64 {
        self.warmup_events
    }

    /// Amounts that need an approval or are not allowed: payments just below one of them are counted.
    /// Default none: then 1, 2 and 5 times the powers of ten from 1,000 on are taken for limits.
    pub fn limits(&self) -> &[f64] {
        &self.limits
    }

    pub fn budgets(&self) -> Budgets {
        self.budgets
    }

    pub fn detectors(&self) -> &Detectors {
        &self.detectors
    }

    /// With a room for `agents_max` agents.
    #[must_use]
    pub fn with_agents_max(mut self, agents_max: u32) -> Self {
        self.agents_max = agents_max;
        self
    }

    pub(crate) fn is_without(&self, part: Ablation) -> bool {
        self.without == Some(part)
    }

    /// Without a part of the detector.
    #[must_use]
    pub fn without(mut self, part: Ablation) -> Self {
        self.without = Some(part);
        self
    }

    /// With other budgets.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }
}

/// False findings that may be expected per agent and day, at most, for each severity.
///
/// Defaults: 0.1, 0.03 and 0.01 (detection.md section 6, calibration).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", try_from = "UncheckedBudgets")]
pub struct Budgets {
    review: f64,
    page: f64,
    block: f64,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct UncheckedBudgets {
    review: f64,
    page: f64,
    block: f64,
}

impl Default for UncheckedBudgets {
    fn default() -> Self {
        let Budgets { review, page, block } = Budgets::default();
        Self { review, page, block }
    }
}

impl TryFrom<UncheckedBudgets> for Budgets {
    type Error = String;

    fn try_from(unchecked: UncheckedBudgets) -> Result<Self, String> {
        let UncheckedBudgets { review, page, block } = unchecked;
        if 0.0 < block && block <= page && page <= review && review <= 10.0 {
            return Ok(Self { review, page, block });
        }
        Err(format!("wanted 0 < block <= page <= review <= 10, found {block}, {page}, {review}"))
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self { review: 0.1, page: 0.03, block: 0.01 }
    }
}

impl Budgets {
    /// # Errors
    ///
    /// A text that says what was wanted, unless `0 < block <= page <= review <= 10`.
    pub fn new(review: f64, page: f64, block: f64) -> Result<Self, String> {
        UncheckedBudgets { review, page, block }.try_into()
    }

    pub fn review(&self) -> f64 {
        self.review
    }

    pub fn page(&self) -> f64 {
        self.page
    }

    pub fn block(&self) -> f64 {
        self.block
    }
}

/// How much each detector counts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Detectors {
    pub unusual_volume: Weight,
    pub unusual_amount: Weight,
    pub new_counterparty: Weight,
    pub counterparty_burst: Weight,
    pub new_action: Weight,
    pub stolen_credential: Weight,
    pub structuring: Weight,
    pub fan_out: Weight,
    pub failure_burst: Weight,
    pub unusual_time: Weight,
    pub shared_credential: Weight,
    pub fleet_shift: Weight,
    pub new_exposure: Weight,
    pub agent_flood: Weight,
    pub expired_credential: Weight,
    pub revoked_credential: Weight,
    pub ended_purpose: Weight,
    pub unregistered_agent: Weight,
    pub orphaned_agent: Weight,
    pub never_rotated: Weight,
    pub minted_credential: Weight,
    pub unapproved_model: Weight,
    pub outside_purpose: Weight,
    pub over_limit: Weight,
    pub ended_grant: Weight,
    pub standing_grant: Weight,
    pub unused_grant: Weight,
    pub wider_than_parent: Weight,
}

impl Detectors {
    /// The factor of a detector's surprise; 0 when it is off. What the registry tells is on or off.
    pub fn weight(&self, detector: DetectorKind) -> f64 {
        match detector {
            DetectorKind::UnusualVolume => self.unusual_volume,
            DetectorKind::UnusualAmount => self.unusual_amount,
            DetectorKind::NewCounterparty => self.new_counterparty,
            DetectorKind::CounterpartyBurst => self.counterparty_burst,
            DetectorKind::NewAction => self.new_action,
            DetectorKind::StolenCredential => self.stolen_credential,
            DetectorKind::Structuring => self.structuring,
            DetectorKind::FanOut => self.fan_out,
            DetectorKind::FailureBurst => self.failure_burst,
            DetectorKind::UnusualTime => self.unusual_time,
            DetectorKind::SharedCredential => self.shared_credential,
            DetectorKind::FleetShift => self.fleet_shift,
            DetectorKind::NewExposure => self.new_exposure,
            DetectorKind::AgentFlood => self.agent_flood,
            DetectorKind::ExpiredCredential => self.expired_credential,
            DetectorKind::RevokedCredential => self.revoked_credential,
            DetectorKind::EndedPurpose => self.ended_purpose,
            DetectorKind::UnregisteredAgent => self.unregistered_agent,
            DetectorKind::OrphanedAgent => self.orphaned_agent,
            DetectorKind::NeverRotated => self.never_rotated,
            DetectorKind::MintedCredential => self.minted_credential,
            DetectorKind::UnapprovedModel => self.unapproved_model,
            DetectorKind::OutsidePurpose => self.outside_purpose,
            DetectorKind::OverLimit => self.over_limit,
            DetectorKind::EndedGrant => self.ended_grant,
            DetectorKind::StandingGrant => self.standing_grant,
            DetectorKind::UnusedGrant => self.unused_grant,
            DetectorKind::WiderThanParent => self.wider_than_parent,
        }
        .0
    }
}

/// A factor of 0 (off) to 4. Default 1: the surprises are calibrated already, each by its own curve.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Weight(f64);

impl Default for Weight {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Weight {
    type Error = String;

    fn try_from(weight: f64) -> Result<Self, String> {
        if (0.0..=4.0).contains(&weight) {
            return Ok(Self(weight));
        }
        Err(format!("wanted a weight of 0 (off) to 4, found {weight}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_empty_configuration_is_the_default_and_a_partial_one_keeps_the_rest() {
        let off = read(r#"{"detectors": {"new-action": 0}, "budgets": {"review": 0.5}}"#).unwrap();

        assert_eq!(read("{}").unwrap(), Config::default());
        assert!(off.detectors().weight(DetectorKind::NewAction).abs() < f64::EPSILON);
        assert!((off.detectors().weight(DetectorKind::UnusualAmount) - 1.0).abs() < f64::EPSILON);
        assert!((off.budgets().review() - 0.5).abs() < f64::EPSILON);
        assert!((off.budgets().page() - 0.03).abs() < f64::EPSILON);
    }

    #[test]
    fn values_that_make_no_sense_are_refused_with_what_was_wanted() {
        for (json, wanted) in [
            (r#"{"agents-max": 3}"#, "agents-max"),
            (r#"{"limits": [5000, -1]}"#, "limits above 0"),
            (r#"{"detectors": {"new-action": -1}}"#, "weight"),
            (r#"{"budgets": {"page": 0.5}}"#, "block <= page <= review"),
            (r#"{"detektors": {}}"#, "unknown field"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
