//! One tree of values out of three: the environment lies on the file, the file on the defaults.
//!
//! Invariant: a value of the environment has the type that the setting has in the defaults, whatever
//! it looks like: `SURETY__KAFKA__GROUP=7` is the text `7`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Tables whose keys are the person's and whose values are texts.
const FREE_TABLES: [[&str; 2]; 2] = [["kafka", "properties"], ["lake", "options"]];

/// Lays `over` on `under`: tables are merged, everything else is replaced.
pub(super) fn merge<'a>(under: &mut DeTable<'a>, over: DeTable<'a>) {
    for (key, value) in over {
        let is_merged = value.get_ref().is_table() && under.get(&key).is_some_and(is_table);
        let below = under.remove(&key).filter(|_| is_merged);
        let span = value.span();
        let value = match (below.map(Spanned::into_inner), value.into_inner()) {
            (Some(DeValue::Table(mut below)), DeValue::Table(above)) => {
                merge(&mut below, above);
                DeValue::Table(below)
            }
            (_, value) => value,
        };
        under.insert(key, Spanned::new(span, value));
    }
}

fn is_table(value: &Spanned<DeValue<'_>>) -> bool {
    value.get_ref().is_table()
}

/// The same table with every span changed.
pub(super) fn respanned<'a>(
    table: DeTable<'a>,
    change: &impl Fn(Range<usize>) -> Range<usize>,
) -> DeTable<'a> {
    let entries = table.into_iter().map(|(key, value)| {
        let key = Spanned::new(change(key.span()), key.into_inner());
        (key, respanned_value(value, change))
    });
    let mut changed = DeTable::default();
    for (key, value) in entries {
        changed.insert(key, value);
    }
    changed
}

fn respanned_value<'a>(
    value: Spanned<DeValue<'a>>,
    change: &impl Fn(Range<usize>) -> Range<usize>,
) -> Spanned<DeValue<'a>> {
    let span = change(value.span());
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(respanned(table, change)),
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|one| respanned_value(one, change)).collect())
        }
        other @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => other,
    };
    Spanned::new(span, value)
}

/// The table that a variable stands for, its prefix cut off: `A__B_C=value` is `{a: {b-c: value}}`.
///
/// # Errors
///
/// What was wanted, without the value.
pub(super) fn variable<'a>(
    name: &str,
    value: &'a str,
    span: &Range<usize>,
    under: &DeTable<'_>,
) -> Result<DeTable<'a>, String> {
    let path = path_of(name);
    let typed = match lookup(under, &path) {
        _ if is_free(&path) => DeValue::String(value.into()),
        Some(DeValue::String(_)) => DeValue::String(value.into()),
        Some(other) => DeValue::parse(value)
            .map_err(|_| format!("wanted a value of type {} as in the file", other.type_str()))?
            .into_inner(),
        // A list of tables that is empty by default, or no setting of ours, which is told later.
        None if path == ["webhooks"] || path == ["formats"] => {
            let wanted = if path == ["webhooks"] {
                "wanted a list as in the file: [{ name = \"...\", url = \"...\" }]"
            } else {
                "wanted a list as in the file: [{ name = \"...\", fields = { ... } }]"
            };
            DeValue::parse(value).map_err(|_| wanted.to_owned())?.into_inner()
        }
        None => DeValue::parse(value)
            .map_or_else(|_| DeValue::String(value.into()), Spanned::into_inner),
    };
    let mut typed = respanned_value(Spanned::new(span.clone(), typed), &|_| span.clone());
    let mut table = DeTable::default();
    for key in path.into_iter().rev() {
        table = DeTable::default();
        table.insert(Spanned::new(span.clone(), key.into()), typed);
        typed = Spanned::new(span.clone(), DeValue::Table(table.clone()));
    }
    Ok(table)
}

fn is_free(path: &[String]) -> bool {
    path.len() == 3 && FREE_TABLES.iter().any(|table| path.starts_with(&table.map(str::to_owned)))
}

/// The keys that a variable's name stands for. Kafka's properties have dots where our settings have
/// dashes, and neither has underscores.
fn path_of(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    if let Some(property) = name.strip_prefix("kafka__properties__") {
        return vec!["kafka".to_owned(), "properties".to_owned(), property.replace('_', ".")];
    }
    name.split("__").map(|part| part.replace('_', "-")).collect()
}

fn lookup<'t, 'a>(table: &'t DeTable<'a>, path: &[String]) -> Option<&'t DeValue<'a>> {
    let (first, rest) = path.split_first()?;
    let value = table.get(first.as_str())?.get_ref();
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}
