//! [`FormatCase`]: a format of the deployment's own, as the configuration writes it.
//!
//! Invariant: every expression was read and every mapping checked before anything runs; a mistake has
//! the line and the column inside the expression.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingest::{Expression, MappedField, Mapping, MappingCase};
use schemas::{Format, MappingName};
use serde::Deserialize;
use toml::Spanned;

use super::{KafkaTopic, Origin};

/// One `[[formats]]`. Several of one name are tried in their order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FormatCase {
    name: MappingName,
    #[serde(default)]
    record: Option<Spanned<String>>,
    #[serde(default)]
    when: Option<Spanned<String>>,
    fields: BTreeMap<MappedField, Spanned<String>>,
    #[serde(default)]
    delegation: Vec<Spanned<String>>,
    #[serde(default)]
    labels: Vec<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    keep_rest: bool,
}

/// The mappings by name.
pub(crate) type Mappings = BTreeMap<MappingName, Arc<Mapping>>;

/// Reads every expression.
///
/// # Errors
///
/// The place, and what was wanted there.
pub(super) fn compiled(cases: &[Spanned<FormatCase>], origin: &Origin) -> Result<Mappings, String> {
    let mut read: BTreeMap<MappingName, Vec<MappingCase>> = BTreeMap::new();
    for spanned in cases {
        let case = spanned.get_ref();
        let compiled = case_of(case, origin)?;
        compiled.check().map_err(|error| {
            let field = error.field().and_then(|field| case.fields.get(&field));
            let span = field.map_or_else(|| spanned.span(), Spanned::span);
            format!("{}: format `{}`: {error}", origin.place(&span), case.name)
        })?;
        read.entry(case.name).or_default().push(compiled);
    }
    let mappings = read.into_iter().map(|(name, cases)| {
        let mapping = Mapping::new(name, cases).expect("each case was checked, and there is one");
        (name, Arc::new(mapping))
    });
    Ok(mappings.collect())
}

fn case_of(case: &FormatCase, origin: &Origin) -> Result<MappingCase, String> {
    let one = |text: &Spanned<String>| {
        Expression::parse(text.get_ref())
            .map_err(|error| format!("{}: {error}", origin.place_within(&text.span(), error.at)))
    };
    let many = |texts: &[Spanned<String>]| texts.iter().map(one).collect::<Result<Vec<_>, _>>();
    let fields = case.fields.iter().map(|(field, text)| Ok((*field, one(text)?)));
    let attributes = case.attributes.iter().map(|(name, text)| Ok((name.clone(), one(text)?)));
    Ok(MappingCase {
        record: case.record.as_ref().map(one).transpose()?,
        when: case.when.as_ref().map(one).transpose()?,
        fields: fields.collect::<Result<_, String>>()?,
        delegation: many(&case.delegation)?,
        labels: many(&case.labels)?,
        attributes: attributes.collect::<Result<_, String>>()?,
        keeps_rest: case.keep_rest,
    })
}

/// Each topic's format is built in, or one of `mappings`.
pub(super) fn check_topics(
    topics: &[KafkaTopic],
    mappings: &Mappings,
    origin: &Origin,
) -> Result<(), String> {
    for topic in topics {
        if let Format::Mapped(name) = topic.format.get_ref()
            && !mappings.contains_key(name)
        {
            let place = origin.place(&topic.format.span());
            return Err(format!("{place}: {}", unknown(mappings)));
        }
    }
    Ok(())
}

/// What is said of a format that is not there.
pub(crate) fn unknown(mappings: &Mappings) -> String {
    let known = Format::ALL.iter().map(Format::as_str);
    let own = mappings.keys().map(MappingName::as_str);
    let names: Vec<&str> = known.chain(own).collect();
    format!("wanted one of {}, or the name of a [[formats]], found another", names.join(", "))
}
