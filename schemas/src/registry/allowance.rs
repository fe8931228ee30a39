//! [`Allowance`]: what an agent was registered for.
//!
//! Invariant: what is not said is allowed. An absent list allows everything, as most inventories say
//! nothing of it; a list allows what it names and nothing else.

use crate::{Amount, CounterpartyId, CredentialEvent, Currency};

/// What the registry says that an agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) actions: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) counterparties: Vec<String>,
    pub(crate) limit: Option<Limit>,
}

/// The most that an agent may pay in one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) amount: Amount,
    /// Of any currency, if absent.
    pub(crate) currency: Option<Currency>,
}

impl Allowance {
    /// `None` where nothing is said.
    pub(crate) fn unless_silent(self) -> Option<Box<Self>> {
        let Self { actions, resources, counterparties, limit } = &self;
        let lists = [actions, resources, counterparties];
        let is_silent = limit.is_none() && lists.iter().all(|list| list.is_empty());
        (!is_silent).then(|| Box::new(self))
    }

    /// The fields of `event` that are not among what the agent was registered for.
    pub(crate) fn breaches(&self, event: &CredentialEvent) -> impl Iterator<Item = &'static str> {
        let counterparty = event.counterparty_id.as_ref().map(CounterpartyId::as_str);
        [
            ("action", &self.actions, Some(event.action.as_str())),
            ("resource", &self.resources, event.resource.as_deref()),
            ("counterparty", &self.counterparties, counterparty),
        ]
        .into_iter()
        .filter(|(_, allowed, found)| found.is_some_and(|found| !is_among(allowed, found)))
        .map(|(name, ..)| name)
    }

    /// The limit that `event` is above.
    pub(crate) fn exceeded(&self, event: &CredentialEvent) -> Option<Limit> {
        let limit = self.limit?;
        let is_above = event.amount.is_some_and(|amount| limit.amount < amount);
        let is_meant = limit.currency.is_none() || limit.currency == event.currency;
        (is_above && is_meant).then_some(limit)
    }
}

/// A pattern is a name, or the beginning of names with a `*` behind it.
fn is_among(patterns: &[String], name: &str) -> bool {
    let fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    patterns.is_empty() || patterns.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_what_it_names_and_no_list_everything() {
        let list = ["order.read", "s3:Get*"].map(str::to_owned);
        for (name, is_allowed) in [
            ("order.read", true),
            ("order.reads", false),
            ("s3:GetObject", true),
            ("s3:PutObject", false),
            ("", false),
        ] {
            assert_eq!(is_among(&list, name), is_allowed, "{name}");
            assert!(is_among(&[], name) && is_among(&["*".to_owned()], name));
        }
    }
}
