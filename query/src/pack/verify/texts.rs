//! The figures and the page of a pack: what they say follows from the rows and the seals.

use serde::Serialize;
use serde_json::Value;

use super::super::chain::Chain;
use super::super::manifest::{FORMAT, Manifest};
use super::super::name;
use super::rows::Counted;
use super::{Pack, PackFlaw};
use crate::report::facts::Facts;
use crate::report::pdf::pdf;
use crate::report::{RELEASE, html, queries};

impl Pack {
    /// The facts say what the manifest, the rows and the seals say; the page says what the facts say.
    pub(super) fn check_texts(
        &mut self,
        manifest: &Manifest,
        facts: &Facts,
        chain: &Chain,
        counted: &Counted,
    ) {
        // Where rows or seals are wrong, that is told, and the figures would only repeat it.
        let rows = format!("{}.parquet", name::EVENTS);
        if !self.unreadable.contains(&rows) {
            self.compare("tally", &counted.tally, &facts.tally);
            self.compare("unsealed", &counted.unsealed, &facts.unsealed);
        }
        if !self.unreadable.iter().any(|file| file == name::CHAIN) {
            self.compare("completeness", &chain.completeness(), &facts.completeness);
        }
        self.compare("format", &FORMAT, &facts.format);
        self.compare("subject", &manifest.subject, &facts.subject);
        self.compare("from", &manifest.from, &facts.from);
        self.compare("to", &manifest.to, &facts.to);
        self.compare("lake", &manifest.lake, &facts.lake);
        self.compare("head", &manifest.head, &facts.head);
        if let Some(key) = self.text(name::KEY) {
            self.compare("key", &key.trim_end(), &facts.key);
        }
        let queries = queries(&manifest.subject, manifest.from, manifest.to);
        self.check_text(name::QUERIES, &queries);
        if manifest.made_by == RELEASE {
            let page = html::page(facts);
            self.check_text(name::REPORT, &page);
            if self.content(name::REPORT_PDF).is_some_and(|found| found != pdf(&page)) {
                let what = format!("it does not say what {} says", name::REPORT);
                self.tell(PackFlaw::in_file(name::REPORT_PDF, what));
            }
            self.check_text(name::README, &html::readme(facts));
        }
    }

    /// Compares one part of the facts with what it must follow from.
    fn compare(&mut self, path: &str, wanted: &impl Serialize, found: &impl Serialize) {
        let value = |part: Result<Value, _>| part.unwrap_or(Value::Null);
        let wanted = value(serde_json::to_value(wanted));
        let found = value(serde_json::to_value(found));
        if let Some(what) = difference(path, &wanted, &found) {
            self.tell(PackFlaw::in_file(name::FACTS, what));
        }
    }

    fn check_text(&mut self, file: &str, wanted: &str) {
        let Some(found) = self.text(file) else { return };
        if found != wanted {
            let same = wanted.lines().zip(found.lines()).take_while(|(one, other)| one == other);
            let line = same.count() + 1;
            let what = format!("line {line} does not say what follows from the other files");
            self.tell(PackFlaw::in_file(file, what));
        }
    }
}

/// The first place where two values differ, and how.
fn difference(path: &str, wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            let part = |of: &serde_json::Map<String, Value>, key| {
                of.get(key).cloned().unwrap_or(Value::Null)
            };
            keys.into_iter().find_map(|key| {
                difference(&format!("{path}.{key}"), &part(one, key), &part(other, key))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(at, (one, other))| difference(&format!("{path}[{at}]"), one, other))
        }
        (one, other) if one == other => None,
        (one, other) => Some(format!("{path}: wanted {}, found {}", short(one), short(other))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
