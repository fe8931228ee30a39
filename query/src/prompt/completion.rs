//! [`Completion`]: what the word before the cursor may become.
//!
//! Invariant: suggestions come in the order tables and views, columns, functions, keywords, each kind
//! by name, so that the nearest thing to a question comes first.

use std::collections::BTreeSet;

use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::command;
use crate::Engine;

const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COUNT",
    "CROSS",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "SHOW",
    "THEN",
    "TRUE",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];

/// All words, in the order in which they are suggested.
pub(super) struct Completion {
    words: Vec<String>,
}

impl Completion {
    pub(super) fn new(engine: &Engine) -> Self {
        let relations = engine.relations();
        let columns: BTreeSet<&str> = relations
            .iter()
            .flat_map(|one| &one.columns)
            .map(|column| column.name.as_str())
            .collect();
        let words = relations.iter().map(|one| one.name).chain(columns);
        let words = words.chain(engine.functions().iter().map(String::as_str));
        let words = words.chain(KEYWORDS.iter().copied());
        Self { words: words.map(str::to_owned).collect() }
    }

    /// The start of the word that ends at `pos`, and what it may become.
    fn suggest(&self, line: &str, pos: usize) -> (usize, Vec<&str>) {
        let before = &line[..pos];
        if before.starts_with('\\') && !before.contains(' ') {
            return (
                0,
                command::NAMES.iter().copied().filter(|name| name.starts_with(before)).collect(),
            );
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = before
            .rfind(|c| !is_part(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let typed = before[start..].to_lowercase();
        if typed.is_empty() {
            return (start, Vec::new());
        }
        let fits = |word: &&str| word.to_lowercase().starts_with(&typed);
        (start, self.words.iter().map(String::as_str).filter(fits).collect())
    }
}

impl Completer for Completion {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let (start, words) = self.suggest(line, pos);
        let suggest = |word: &str| Suggestion {
            value: word.to_owned(),
            span: Span::new(start, pos),
            append_whitespace: true,
            ..Suggestion::default()
        };
        CompletionResult::fresh(words.into_iter().map(suggest).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use schemas::Table;

    #[tokio::test]
    async fn a_word_becomes_what_begins_like_it() {
        let tables = Table::ALL.iter().map(|table| (*table, None)).collect();
        let engine = Engine::with_tables(tables, Limits::ONE_PERSON).await.unwrap();
        let completion = Completion::new(&engine);
        let suggest = |line: &str| {
            let (start, words) = completion.suggest(line, line.len());
            (start, words.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };

        assert_eq!(suggest("SELECT * FROM registry_c"), (14, vec!["registry_changes".to_owned()]));
        assert_eq!(suggest("select e.agent_ins"), (9, vec!["agent_instance".to_owned()]));
        assert_eq!(suggest("SELECT json_g"), (7, vec!["json_get".to_owned()]));
        assert_eq!(suggest("sele"), (0, vec!["SELECT".to_owned()]));
        assert_eq!(suggest("\\vi"), (0, vec!["\\views".to_owned()]));
        assert_eq!(suggest("SELECT ü.").1, Vec::<String>::new());
        assert_eq!(suggest("SELECT "), (7, Vec::new()));
        assert_eq!(
            suggest("SELECT * FROM agent").1[..2],
            ["agent_history", "agents"].map(str::to_owned)
        );
    }
}
