//! How an event changes its agent, and what it adds to its class, once it was judged.
//!
//! Invariant: what was refused is not learned as known; everything else is (who tries again after an
//! error is no stranger then, but an amount that failed was not paid). What was flagged is learned
//! too, slower: see `memory.rs`.

use schemas::DetectorKind;

use crate::agent::Agent;
use crate::calibration::{BINS, Block, bin_of};
use crate::class::{Class, ClassDelta, NoveltySums, PeerSums};
use crate::counterparty;
use crate::facts::Facts;
use crate::fleet::Change;
use crate::hash::KeyMap;
use crate::memory::Dealing;
use crate::novelty::BriefNovelty;
use crate::purse::Purse;
use crate::score::Verdict;
use crate::signs::{Feature, Signs};
use crate::tails::Deviation;
use crate::volume::Increment;
use crate::voter::Standing;

impl Agent {
    /// On this day of activity a founder counts among its class's regulars, who vouch for things; a
    /// newcomer once it has a vote of its own (`voter.rs`). Source: trust takes three days (`memory.rs`).
    pub(crate) const REGULAR_DAY: u16 = 3;

    /// Counts money that goes out in the hour; the event before was at `before`.
    pub(crate) fn spend(&mut self, facts: &Facts<'_>, before: Option<u32>) {
        if before.is_none_or(|before| before / 3_600 != facts.hour()) {
            self.spent = Purse::default();
        }
        if let Some(money) = facts.paid() {
            self.spent.add(money);
        }
    }

    /// Closes what lies behind the event (windows, the hour's block) and counts the hour and day.
    /// Returns how unusual the silence was that it ends.
    ///
    /// The event before was at `before`; there is none if this is the first. The class comes with its
    /// key.
    pub(crate) fn open_windows(
        &mut self,
        facts: &Facts<'_>,
        before: Option<u32>,
        (class, class_key): (&Class, u64),
        delta: &mut ClassDelta,
    ) -> Deviation {
        let silence = before.map_or_else(Deviation::default, |before| {
            self.rhythm.pause(facts.second - before, &class.sums, &mut delta.sums)
        });
        let [is_new_hour, is_new_day] = self.volume.roll(before, facts.second, &mut delta.sums);
        if is_new_hour {
            *delta.sums.week.entry(facts.hour_of_week as u64).or_default() += 1.0;
            self.block = Block::default();
            // A flood of newcomers must not make surprises look usual: they are judged by the curves of
            // the established and add nothing to them.
            let voter = self.voter(class_key, 0, class.counts_days());
            self.hour_flags = u8::from(class.is_settled() && voter.of_dealing().is_some());
            delta.sums.blocks += f64::from(self.hour_flags);
            self.rhythm.learn_hour(facts.hour_of_week % 24);
            self.fan.roll(&mut delta.sums);
            if let Some(model) = facts.model {
                delta.fleets.entry(model.into()).or_default().hours += 1.0;
            }
        }
        if is_new_day {
            delta.sums.agent_days += 1.0;
            self.days = self.days.saturating_add(1);
            if Self::REGULAR_DAY <= self.days {
                delta.sums.regular_days += 1.0;
            }
            let is_founder = self.standing.is_founder(class_key);
            let counts_from = if is_founder { Self::REGULAR_DAY } else { Standing::TENURE_DAYS };
            if self.days == counts_from && !self.standing.is_back() {
                delta.heads.regular += 1.0;
            }
        }
        self.events = self.events.saturating_add(1);
        if let Some(other) = &facts.counterparty {
            self.dealings = self.dealings.saturating_add(1);
            self.fan.touch(other.key);
        }
        silence
    }

    /// Counts a change of the agent for its fleet, the first time in the hour.
    fn note_change(&mut self, change: Change, facts: &Facts<'_>, delta: &mut ClassDelta) {
        // The lowest bit tells whether the hour counts for the calibration.
        let bit = 2 << change as u8;
        if let Some(model) = facts.model.filter(|_| self.hour_flags & bit == 0) {
            self.hour_flags |= bit;
            let fleet = delta.fleets.entry(model.into()).or_default();
            fleet.changed[change as usize] += 1.0;
        }
    }

    /// Notes a surprise for the calibration: only the largest of the hour is kept, and it is told at
    /// once, since many agents never see another hour.
    pub(crate) fn note_surprise(&mut self, scale: usize, surprise: f64, delta: &mut ClassDelta) {
        let (before, bin) = (self.block.bin(scale), bin_of(surprise));
        if bin <= before {
            return;
        }
        self.block.set(scale, bin);
        if self.hour_flags & 1 == 1 {
            let mut count = |bin: u8, by: f64| {
                let key = (scale * BINS + usize::from(bin)) as u64;
                *delta.sums.surprises.entry(key).or_default() += by;
            };
            count(bin, 1.0);
            if before != 0 {
                count(before, -1.0);
            }
        }
    }

    /// Learns an event that was judged.
    pub(crate) fn learn(&mut self, facts: &Facts<'_>, signs: &Signs, delta: &mut ClassDelta) {
        for change in Change::ALL {
            if signs.has_changed(change) {
                self.note_change(change, facts, delta);
            }
        }
        self.whereabouts.learn(facts, &mut delta.sums.switches);
        if !facts.is_success && !facts.is_error {
            return;
        }
        let hour = facts.hour();
        let dealing = self.actions.deal(facts.action, hour);
        if dealing.is_new_hour {
            delta.sums.actions.entry(facts.action).or_default().hours += 1.0;
        }
        if dealing.is_new {
            self.novelties[dealing.place.index()] = BriefNovelty::default();
        }
        self.action_novelty.push(dealing.is_new);
        note(&mut delta.sums.action_novelty, &dealing, signs.action.vouchers <= 0.0);
        vouch(&mut delta.peers, facts.action, &dealing, signs);
        if let Some(other) = &facts.counterparty {
            counterparty::learn(self, delta, facts, other, signs);
        }
        if let Some(money) = facts.money.as_ref().filter(|_| facts.is_success) {
            self.amounts.learn(money, hour, &mut delta.sums);
            if signs.is_exposed {
                self.exposure.learn(money.units, hour, &mut delta.sums);
            }
        }
        let dealing = self.credentials.deal(facts.credential, hour);
        self.credential_novelty.push(dealing.is_new);
        note(&mut delta.sums.credential_novelty, &dealing, 0.0 < signs.credential.vouchers);
        if dealing.is_new {
            delta.credentials.entry(facts.credential).or_default().insert(self.key);
        }
        if let Some(network) = facts.network {
            let dealing = self.networks.deal(network, hour);
            self.network_novelty.push(dealing.is_new);
            note(&mut delta.sums.network_novelty, &dealing, signs.network.vouchers <= 0.0);
            vouch(&mut delta.peers, network, &dealing, signs);
        }
        if let Some(device) = facts.device {
            let dealing = self.devices.deal(device, hour);
            self.device_novelty.push(dealing.is_new);
            note(&mut delta.sums.device_novelty, &dealing, signs.device.vouchers <= 0.0);
            vouch(&mut delta.peers, device, &dealing, signs);
        }
    }

    /// Lets what a finding named wait longer for trust.
    pub(crate) fn note_finding(&mut self, verdict: &Verdict, facts: &Facts<'_>) {
        if verdict.adds(Feature::Drift) {
            self.volume.restart_drift();
        }
        match verdict.detector() {
            DetectorKind::NewCounterparty
            | DetectorKind::UnusualAmount
            | DetectorKind::CounterpartyBurst
            | DetectorKind::Structuring
            | DetectorKind::NewExposure => {
                let place = facts.counterparty.and_then(|other| self.edges.find(other.edge));
                if let Some(place) = place {
                    self.edges.mark_alerted(place);
                }
            }
            DetectorKind::NewAction => {
                if let Some(place) = self.actions.find(facts.action) {
                    self.actions.mark_alerted(place);
                }
            }
            DetectorKind::StolenCredential => {
                if let Some(place) = facts.network.and_then(|network| self.networks.find(network)) {
                    self.networks.mark_alerted(place);
                }
            }
            DetectorKind::UnusualVolume
            | DetectorKind::FanOut
            | DetectorKind::FailureBurst
            | DetectorKind::UnusualTime
            | DetectorKind::SharedCredential
            | DetectorKind::FleetShift
            | DetectorKind::AgentFlood
            | DetectorKind::ExpiredCredential
            | DetectorKind::RevokedCredential
            | DetectorKind::EndedPurpose
            | DetectorKind::UnregisteredAgent
            | DetectorKind::OrphanedAgent
            | DetectorKind::NeverRotated
            | DetectorKind::MintedCredential
            | DetectorKind::UnapprovedModel
            | DetectorKind::OutsidePurpose
            | DetectorKind::OverLimit
            | DetectorKind::EndedGrant
            | DetectorKind::StandingGrant
            | DetectorKind::UnusedGrant
            | DetectorKind::WiderThanParent => {}
        }
    }
}

fn note(sums: &mut NoveltySums, dealing: &Dealing, is_strange: bool) {
    sums.events += 1.0;
    if dealing.is_new {
        sums.novel += 1.0;
        sums.strange += f64::from(u8::from(is_strange));
    }
}

fn vouch(peers: &mut KeyMap<PeerSums>, key: u64, dealing: &Dealing, signs: &Signs) {
    let voter = signs.voter;
    if dealing.is_new {
        peers.entry(key).or_default().hold(voter);
    } else if dealing.is_now_trusted {
        peers.entry(key).or_default().trust(voter);
    } else if dealing.is_new_day && voter.is_promoted {
        peers.entry(key).or_default().affirm(voter, dealing.is_trusted);
    } else if dealing.is_new_day && voter.counts_days {
        peers.entry(key).or_default();
    }
}

impl Increment {
    #[expect(clippy::cast_possible_truncation, reason = "sums of money are told to seven digits")]
    pub(crate) fn of(facts: &Facts<'_>) -> Self {
        Self {
            is_write: facts.is_write,
            is_failure: !facts.is_success,
            money: facts.paid().map_or(0.0, |money| money.units as f32),
        }
    }
}
