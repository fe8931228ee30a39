//! [`Party`]: the other sides of actions, how an agent gets to know them, and what they cost.
//!
//! Invariant: a pool's popular parties are popular with every agent (Zipf's law), each agent knows
//! some of them, more with time, and which ones is a function of the agent and the time alone.

use std::fmt::Write;

use crate::class::{Money, Novelty};
use crate::draw::{self, Draw, exp, ln, mix, power};

/// All parties of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pool {
    Vendor,
    Account,
    Customer,
    Employee,
    Recipient,
    Repository,
    Dataset,
    Host,
    Site,
    Channel,
    Bucket,
}

impl Pool {
    /// How many parties there are.
    pub(crate) const fn size(self) -> u32 {
        match self {
            Self::Vendor => 2_000,
            Self::Account => 20_000,
            Self::Customer => 400_000,
            Self::Employee => 12_000,
            Self::Recipient => 90_000,
            Self::Repository => 600,
            Self::Dataset => 800,
            Self::Host => 1_500,
            Self::Site => 30_000,
            Self::Channel => 40,
            Self::Bucket => 60,
        }
    }

    /// The kind of counterparty, as events name it.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Account => "account",
            Self::Customer => "customer",
            Self::Employee => "employee",
            Self::Recipient => "recipient",
            Self::Repository => "repository",
            Self::Dataset => "dataset",
            Self::Host | Self::Site => "host",
            Self::Channel => "channel",
            Self::Bucket => "bucket",
        }
    }
}

/// One party of a pool. Numbers from the pool's size up are never met in normal work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Party {
    pub(crate) pool: Pool,
    pub(crate) number: u32,
}

/// Vendors that normal work does not meet: the first is honest, then come shell
/// companies and a payee that somebody made known patiently.
const OUTSIDERS: [&str; 8] = [
    "kestrel-bearings",
    "bluewater-trading",
    "orion-supply-partners",
    "castle-ridge-holdings",
    "meridian-parts-intl",
    "silverline-procurement",
    "apex-industrial-goods",
    "tidewater-consulting",
];

const TRADES: [&str; 50] = [
    "metals",
    "logistics",
    "packaging",
    "electric",
    "fasteners",
    "chemicals",
    "paper",
    "tools",
    "optics",
    "plastics",
    "freight",
    "bearings",
    "textiles",
    "software",
    "catering",
    "cleaning",
    "security",
    "printing",
    "lighting",
    "furniture",
    "pumps",
    "valves",
    "cables",
    "sensors",
    "paints",
    "glass",
    "timber",
    "steel",
    "rubber",
    "foods",
    "travel",
    "staffing",
    "leasing",
    "hosting",
    "telecom",
    "energy",
    "waste",
    "gardens",
    "uniforms",
    "motors",
    "drives",
    "filters",
    "labels",
    "pallets",
    "coatings",
    "adhesives",
    "gaskets",
    "hydraulics",
    "robotics",
    "castings",
];
const PLACES: [&str; 40] = [
    "northwind",
    "aldgate",
    "birchwood",
    "cobalt",
    "dunmore",
    "eastfield",
    "fairhaven",
    "glenmoor",
    "harbour",
    "ironbridge",
    "juniper",
    "kingsley",
    "larkspur",
    "maplewood",
    "norrland",
    "oakridge",
    "pinecrest",
    "quarry",
    "riverside",
    "stonegate",
    "thornbury",
    "upland",
    "vistula",
    "westbrook",
    "yarrow",
    "zenith",
    "alpine",
    "baltic",
    "cascade",
    "danube",
    "elbe",
    "fjord",
    "granite",
    "highland",
    "isar",
    "jura",
    "keystone",
    "lowland",
    "meadow",
    "neckar",
];
pub(crate) const FIRST_NAMES: [&str; 32] = [
    "anna", "ben", "carla", "david", "elena", "felix", "greta", "hugo", "ines", "jonas", "katja",
    "leo", "mira", "nils", "olga", "paul", "rosa", "simon", "tessa", "uwe", "vera", "wim", "yara",
    "zeno", "aisha", "bruno", "chloe", "dario", "emma", "farid", "gina", "hana",
];
pub(crate) const LAST_NAMES: [&str; 32] = [
    "keller", "meyer", "novak", "rossi", "lind", "bauer", "costa", "dubois", "evans", "fischer",
    "garcia", "huber", "ivanov", "jansen", "kaya", "larsen", "moreau", "nagy", "olsen", "peeters",
    "quist", "richter", "silva", "tanaka", "urban", "vogel", "weber", "xu", "young", "ziegler",
    "okafor", "singh",
];
const SYSTEMS: [&str; 25] = [
    "billing", "orders", "stock", "pricing", "search", "checkout", "ledger", "catalog", "accounts",
    "notify", "reports", "gateway", "identity", "shipping", "returns", "forecast", "media",
    "events", "sessions", "quotes", "loyalty", "fraud", "archive", "metrics", "config",
];

/// An entry of `table` chosen by the `place`-th digit of `number` to the table's base.
fn digit(table: &'static [&'static str], number: u32) -> (&'static str, u32) {
    let size = u32::try_from(table.len()).expect("tables are short");
    (table[(number % size) as usize], number / size)
}

impl Party {
    /// The honest vendor that several agents start to use one day.
    pub(crate) const NEW_VENDOR: Self = Self { pool: Pool::Vendor, number: Pool::Vendor.size() };
    pub(crate) const SHELL_COMPANIES: u32 = 6;
    /// The vendor of [`crate::ScenarioKind::SlowPoisoning`].
    pub(crate) const PATIENT_PAYEE: Self = Self::shell_company(Self::SHELL_COMPANIES);

    /// One of the shell companies, `number` from 0.
    pub(crate) const fn shell_company(number: u32) -> Self {
        Self { pool: Pool::Vendor, number: Pool::Vendor.size() + 1 + number }
    }

    /// Appends the party's id.
    pub(crate) fn write(self, text: &mut String) {
        let number = self.number;
        let written = match self.pool {
            Pool::Vendor => write_vendor(number, text),
            Pool::Account => {
                let (country, digits) = iban(number);
                write!(text, "iban:{country}{digits:020}")
            }
            Pool::Customer => write!(text, "customer:C-{}", 100_000 + number),
            Pool::Employee => write!(text, "employee:E-{}", 10_000 + number),
            Pool::Recipient => {
                let (first, rest) = digit(&FIRST_NAMES, number);
                let (last, rest) = digit(&LAST_NAMES, rest);
                let (place, rest) = digit(&PLACES, rest);
                write!(text, "mail:{first}.{last}@{place}-{rest}.example")
            }
            Pool::Repository => {
                let (system, rest) = digit(&SYSTEMS, number);
                write!(text, "repo:platform/{system}-{rest}")
            }
            Pool::Dataset => {
                let (system, rest) = digit(&SYSTEMS, number);
                write!(text, "dataset:{system}.daily_{rest}")
            }
            Pool::Host => {
                let (system, rest) = digit(&SYSTEMS, number);
                write!(text, "host:{system}-{rest}.corp.example")
            }
            Pool::Site if number < Pool::Site.size() => {
                let (place, rest) = digit(&PLACES, number);
                let (trade, rest) = digit(&TRADES, rest);
                write!(text, "host:www.{place}-{trade}{rest}.example")
            }
            Pool::Site => write!(text, "host:drop-{number}.paste-relay.example"),
            Pool::Channel => {
                let (place, rest) = digit(&PLACES, number);
                write!(text, "channel:{place}-{rest}")
            }
            Pool::Bucket => write!(text, "bucket:backup-{number:03}"),
        };
        written.expect("a String takes any text");
    }

    /// USD for one in five, EUR else.
    pub(crate) fn currency(self) -> &'static str {
        if self.hash().is_multiple_of(5) { "USD" } else { "EUR" }
    }

    /// Draws an amount for this party, in cents: at least 1.
    pub(crate) fn draw_cents(self, money: Money, draw: &mut Draw) -> i64 {
        // The median differs between parties by a factor of e (one standard deviation).
        let mut place = 0.0;
        for round in 0..4 {
            place += draw::fraction(mix(self.hash(), round));
        }
        let median = money.median_units * exp((place - 2.0) * 1.732);
        draw::nearest(draw.log_normal(median, money.sigma) * 100.0).clamp(1, 5_000_000_000)
    }

    fn hash(self) -> u64 {
        mix(u64::from(self.number), 1_000 + self.pool as u64)
    }
}

fn write_vendor(number: u32, text: &mut String) -> std::fmt::Result {
    if let Some(outsider) = number.checked_sub(Pool::Vendor.size()) {
        return write!(text, "vendor:{}", OUTSIDERS[outsider as usize]);
    }
    let (place, rest) = digit(&PLACES, number);
    let (trade, _) = digit(&TRADES, rest);
    write!(text, "vendor:{place}-{trade}")
}

/// A country and 20 digits. The check digits are not right: no such account exists.
fn iban(number: u32) -> (&'static str, u64) {
    const COUNTRIES: [&str; 8] = ["DE", "DE", "DE", "NL", "FR", "DE", "PL", "IT"];
    let hash = mix(u64::from(number), 77);
    (COUNTRIES[(hash % 8) as usize], mix(hash, 1))
}

/// An agent's acquaintance with a pool, as far as it has come at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acquaintance {
    /// The agent's own number: who it knows differs between agents.
    pub(crate) agent_key: u64,
    pub(crate) pool: Pool,
    pub(crate) novelty: Novelty,
    /// How often the agent dealt with the pool so far, by expectation.
    pub(crate) dealings: f64,
}

impl Acquaintance {
    /// Whom the agent deals with next: somebody new, or somebody known by Zipf's law.
    ///
    /// The hierarchical Pitman-Yor process with its counts replaced by their expectations, so that
    /// no history is needed.
    ///
    /// Source: Teh, *A Hierarchical Bayesian Language Model based on Pitman-Yor Processes* (2006).
    pub(crate) fn draw(self, draw: &mut Draw) -> Party {
        let Novelty { theta, discount } = self.novelty;
        let growth = 1.0 + self.dealings / theta;
        let (known, is_new) = if discount == 0.0 {
            (theta * ln(growth), 1.0 / growth)
        } else {
            let raised = power(growth, discount);
            (theta / discount * (raised - 1.0), raised / growth)
        };
        let known = draw::whole(known);
        let nth = if draw.unit() < is_new { known } else { draw.rank(known + 1) };
        let dish = mix(self.agent_key, (u64::from(nth) << 8) | self.pool as u64);
        Party { pool: self.pool, number: draw::rank(draw::fraction(dish), self.pool.size()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::draw::Purpose;

    #[test]
    fn every_party_has_a_name_of_its_own() {
        for pool in
            [Pool::Vendor, Pool::Account, Pool::Recipient, Pool::Repository, Pool::Host, Pool::Site]
        {
            let mut names = BTreeSet::new();
            for number in 0..pool.size() {
                let mut name = String::new();
                Party { pool, number }.write(&mut name);
                assert!(names.insert(name), "{pool:?} {number}");
            }
        }
    }

    #[test]
    fn new_parties_get_rarer_as_measured_agents_show() {
        let novelty = Novelty { theta: 4.5, discount: 0.05 };
        let (mut early, mut late) = (0, 0);
        for agent_key in 0..200 {
            let mut draw = Draw::new(1, Purpose::Bench, agent_key, 0);
            let mut seen = BTreeSet::new();
            for n in 0..300_u32 {
                let one =
                    Acquaintance { agent_key, pool: Pool::Vendor, novelty, dealings: f64::from(n) };
                let is_new = seen.insert(one.draw(&mut draw));
                early += u32::from(is_new && (12..20).contains(&n));
                late += u32::from(is_new && (230..294).contains(&n));
            }
        }

        // Measured: 0.25 after 16 dealings, about 0.013 after 256.
        let (early, late) = (f64::from(early) / 1_600.0, f64::from(late) / 12_800.0);
        assert!((0.12..0.35).contains(&early), "{early}");
        assert!((0.004..0.03).contains(&late), "{late}");
    }
}
