//! [`Mapping`]: a format that the deployment describes itself, one expression for each field.
//!
//! Invariant (N1): reading is total and pure. A record that no case of the mapping is for, or that does
//! not tell what an event needs, is a reject that says so. Secrets are looked for in everything a
//! mapping makes too, since it can put texts together.

mod expression;
mod parse;

use std::collections::BTreeMap;

use schemas::{Amount, CredentialEvent, CredentialKind, Currency, MappingName, Outcome};
use serde::Deserialize;

use self::expression::Value;
pub use self::expression::{Expression, ExpressionError};
use super::Fault;
use super::clean::Clean;
use super::draft::{Draft, Needs, Word, time_of};
use super::json::Json;

pub(super) const NEEDS: Needs = Needs { agent: "agent_id", action: "action", time: "time" };

/// A format of the deployment's own.
#[derive(Clone, Debug)]
pub struct Mapping {
    name: MappingName,
    cases: Vec<MappingCase>,
}

/// One kind of records of a mapping, and what becomes of them.
#[derive(Clone, Debug, Default)]
pub struct MappingCase {
    /// The record, where it is a part of another; paths begin there.
    pub record: Option<Expression>,
    /// Whether a record is one of these; without a condition each is.
    pub when: Option<Expression>,
    pub fields: BTreeMap<MappedField, Expression>,
    /// On whose behalf, nearest first. One that gives a list stands for all of it.
    pub delegation: Vec<Expression>,
    pub labels: Vec<Expression>,
    pub attributes: BTreeMap<String, Expression>,
    /// Whether the record's other fields are kept as attributes.
    pub keeps_rest: bool,
}

/// A field of an event that one expression tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappedField {
    EventId,
    Time,
    AgentId,
    AgentClass,
    AgentInstance,
    Model,
    SessionId,
    TaskId,
    GrantId,
    CredentialId,
    CredentialKind,
    Action,
    Resource,
    ResourceKind,
    CounterpartyId,
    CounterpartyKind,
    Amount,
    Currency,
    Outcome,
    OutcomeReason,
    SourceIp,
    UserAgent,
    /// The arguments of a tool's call, which tell amount and counterparty by their usual names.
    Arguments,
}

/// What is wrong with a case as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    #[error("wanted `agent_id`, `action` and `outcome` to be mapped, found no `{missing}`")]
    Unmapped { missing: &'static str },
    #[error("wanted success, denied or error as `outcome`, found another text")]
    Outcome,
    #[error("wanted one of {} as `credential_kind`, found another text", kinds())]
    Kind,
    #[error("wanted a path such as .tool.arguments as `arguments`, found another expression")]
    Arguments,
    #[error("wanted `{needed}` beside `{found}`, found none")]
    Alone { found: &'static str, needed: &'static str },
    #[error("wanted at least one case, found none")]
    Empty,
}

impl InvalidMapping {
    /// The field whose expression is the wrong one, if it is one.
    pub fn field(&self) -> Option<MappedField> {
        match self {
            Self::Outcome => Some(MappedField::Outcome),
            Self::Kind => Some(MappedField::CredentialKind),
            Self::Arguments => Some(MappedField::Arguments),
            Self::Unmapped { .. } | Self::Alone { .. } | Self::Empty => None,
        }
    }
}

fn kinds() -> String {
    let names: Vec<&str> = CredentialKind::ALL.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

impl MappingCase {
    /// # Errors
    ///
    /// [`InvalidMapping`] if no record at all could become an event, or a constant is none of those
    /// that the field takes.
    pub fn check(&self) -> Result<(), InvalidMapping> {
        let has = |field: MappedField| self.fields.contains_key(&field);
        let needed = [
            (MappedField::AgentId, "agent_id"),
            (MappedField::Action, "action"),
            (MappedField::Outcome, "outcome"),
        ];
        if let Some((_, missing)) = needed.into_iter().find(|(field, _)| !has(*field)) {
            return Err(InvalidMapping::Unmapped { missing });
        }
        let pairs = [
            (MappedField::Amount, "amount", MappedField::Currency, "currency"),
            (
                MappedField::CredentialKind,
                "credential_kind",
                MappedField::CredentialId,
                "credential_id",
            ),
            (
                MappedField::CounterpartyKind,
                "counterparty_kind",
                MappedField::CounterpartyId,
                "counterparty_id",
            ),
            (MappedField::ResourceKind, "resource_kind", MappedField::Resource, "resource"),
        ];
        for (field, found, other, needed) in pairs {
            if has(field) && !has(other) {
                return Err(InvalidMapping::Alone { found, needed });
            }
        }
        let all = |field: MappedField, is_one: fn(&str) -> bool| {
            let constants = self.fields.get(&field).map(Expression::constants);
            constants.unwrap_or_default().into_iter().all(is_one)
        };
        if !all(MappedField::Outcome, |text| Outcome::parse(text).is_some()) {
            return Err(InvalidMapping::Outcome);
        }
        if !all(MappedField::CredentialKind, |text| CredentialKind::parse(text).is_some()) {
            return Err(InvalidMapping::Kind);
        }
        if self.fields.get(&MappedField::Arguments).is_some_and(|one| !one.is_path()) {
            return Err(InvalidMapping::Arguments);
        }
        Ok(())
    }
}

impl Mapping {
    /// A mapping whose first case that is for a record reads it.
    ///
    /// # Errors
    ///
    /// [`InvalidMapping`], that of the first case that is wrong.
    pub fn new(name: MappingName, cases: Vec<MappingCase>) -> Result<Self, InvalidMapping> {
        if cases.is_empty() {
            return Err(InvalidMapping::Empty);
        }
        cases.iter().try_for_each(MappingCase::check)?;
        Ok(Self { name, cases })
    }

    pub fn name(&self) -> MappingName {
        self.name
    }

    /// The event that `whole` tells of.
    pub(super) fn read(
        &self,
        whole: &Json<'_>,
        clean: &Clean<'_>,
    ) -> Result<CredentialEvent, Fault> {
        let mut lacks_record = false;
        for case in &self.cases {
            let record = match &case.record {
                None => None,
                Some(at) => match at.value(whole) {
                    Some(Value::Of(json @ Json::Object(_))) => Some(json.clone()),
                    Some(Value::Read(json @ Json::Object(_))) => Some(json),
                    Some(Value::Of(_) | Value::Read(_) | Value::Text(_)) | None => {
                        lacks_record = true;
                        continue;
                    }
                },
            };
            let record = record.as_ref().unwrap_or(whole);
            if case.when.as_ref().is_none_or(|when| when.holds(record)) {
                return case.read(record, clean);
            }
        }
        let why = if lacks_record { " with a JSON object at `record`" } else { "" };
        Err(Fault::bad_field(format!(
            "wanted a record{why} that one of the {} mappings of `{}` is for, found another",
            self.cases.len(),
            self.name
        )))
    }
}

impl MappingCase {
    fn read(&self, record: &Json<'_>, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
        let mut draft = Draft::new(NEEDS, &Json::Null, &[])?;
        let text = |field: MappedField| self.fields.get(&field)?.text(record);
        draft.time = match text(MappedField::Time) {
            Some(told) => {
                let time = time_of(&told);
                Some(time.map_err(|error| Fault::bad_field(format!("`time`: {error}")))?)
            }
            None => None,
        };
        draft.event_id = text(MappedField::EventId);
        draft.agent = text(MappedField::AgentId);
        draft.class = text(MappedField::AgentClass);
        draft.instance = text(MappedField::AgentInstance);
        draft.model = text(MappedField::Model);
        draft.session = text(MappedField::SessionId);
        draft.task = text(MappedField::TaskId);
        draft.grant = text(MappedField::GrantId);
        draft.action = text(MappedField::Action);
        draft.resource = text(MappedField::Resource);
        draft.resource_kind = draft.resource.as_ref().and(text(MappedField::ResourceKind));
        draft.outcome_reason = text(MappedField::OutcomeReason);
        draft.source = text(MappedField::SourceIp);
        draft.user_agent = text(MappedField::UserAgent);
        let arguments = self.fields.get(&MappedField::Arguments);
        if let Some(Value::Of(arguments)) = arguments.and_then(|one| one.value(record)) {
            draft.stake(arguments);
        }
        if let Some(id) = text(MappedField::CounterpartyId) {
            let kind = text(MappedField::CounterpartyKind);
            draft.counterparty = Some((kind.unwrap_or_else(|| "counterparty".into()), id));
        }
        if let Some(amount) = text(MappedField::Amount) {
            draft.money = Some(money(&amount, text(MappedField::Currency).as_deref())?);
        }
        draft.credential = match text(MappedField::CredentialId) {
            Some(id) => Some((kind(text(MappedField::CredentialKind).as_deref())?, id)),
            None => None,
        };
        draft.outcome = outcome(text(MappedField::Outcome).as_deref())?;
        draft.delegation = texts(&self.delegation, record).collect();
        for (name, expression) in &self.attributes {
            draft.keep(name.as_str(), expression.value(record).and_then(Value::told));
        }
        if self.keeps_rest {
            draft.keep_rest(record, &[]);
        }
        draft.labels = texts(&self.labels, record).collect();
        let mut event = draft.finish(clean)?;
        clean.redactor().whole(&mut event);
        Ok(event)
    }
}

fn texts<'r>(
    expressions: &'r [Expression],
    record: &'r Json<'r>,
) -> impl Iterator<Item = Word<'r>> {
    let values = expressions.iter().filter_map(|expression| expression.value(record));
    values.flat_map(Value::into_texts)
}

fn outcome(told: Option<&str>) -> Result<Outcome, Fault> {
    let Some(told) = told else {
        return Err(Fault::bad_field("wanted field `outcome`, found none"));
    };
    Outcome::parse(told).ok_or_else(|| {
        Fault::bad_field("`outcome`: wanted success, denied or error, found another text")
    })
}

fn kind(told: Option<&str>) -> Result<CredentialKind, Fault> {
    match told {
        None => Ok(CredentialKind::Unknown),
        Some(told) => CredentialKind::parse(told).ok_or_else(|| {
            let detail =
                format!("`credential_kind`: wanted one of {}, found another text", kinds());
            Fault::bad_field(detail)
        }),
    }
}

fn money(amount: &str, currency: Option<&str>) -> Result<(Amount, Currency), Fault> {
    let amount = Amount::parse(amount)
        .map_err(|error| Fault::bad_field(format!("`amount`: {error}, found another text")))?;
    let Some(currency) = currency else {
        return Err(Fault::bad_field("wanted `currency` beside `amount`, found none"));
    };
    let currency = Currency::try_from(currency.to_ascii_uppercase().as_str()).map_err(|_| {
        Fault::bad_field("`currency`: wanted three letters such as EUR, found another text")
    })?;
    Ok((amount, currency))
}

#[cfg(test)]
mod tests;
