//! [`Statements`]: the SQL of a report.
//!
//! Invariant: each statement has a total order, so that it gives the same rows in the same order however
//! many threads answer it; and stands in the pack as it was asked.

use std::fmt::Write as _;

use schemas::Timestamp;

use crate::pack::manifest::Subject;

/// One statement, and what it is for.
pub(super) struct Statement {
    pub(super) name: &'static str,
    doc: &'static str,
    pub(super) sql: String,
    /// Whether its rows are files of the pack.
    pub(super) has_files: bool,
}

/// The statements of a report.
pub(super) struct Statements(pub(super) Vec<Statement>);

/// What was said of each finding last.
const SAID: &str = "said AS (
    SELECT
        finding_id,
        last_value(verdict ORDER BY time) AS verdict,
        last_value(person ORDER BY time) AS person,
        last_value(note ORDER BY time) AS note
    FROM dispositions
    GROUP BY finding_id
)";

/// A text in SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Statements {
    pub(super) fn of(subject: &Subject, from: Timestamp, to: Timestamp) -> Self {
        let range = |column: &str| format!("{column} >= '{from}' AND {column} < '{to}'");
        let whose = match subject {
            Subject::Sponsor { id } => Some(format!("sponsor_id = {}", quoted(id))),
            Subject::Agent { id } => Some(format!("agent_id = {}", quoted(id))),
            Subject::Coverage => None,
        };
        let within = range("time");
        let mut statements = vec![
            Statement {
                name: "coverage",
                doc: "How much of all that was done in the range leads to a sponsor.",
                sql: format!(
                    "SELECT CAST(time AS DATE) AS day, format, trace_status, count(*) AS events,\n    \
                     count(sponsor_id) AS traced,\n    \
                     count(*) FILTER (WHERE sponsor_id IS NOT NULL AND trace_status = 'claimed') AS claimed\n\
                     FROM events\nWHERE {within}\n\
                     GROUP BY CAST(time AS DATE), format, trace_status\nORDER BY day, format, trace_status"
                ),
                has_files: true,
            },
            Statement {
                name: "unowned",
                doc: "What was done in the range that nobody answers for.",
                sql: format!(
                    "SELECT agent_id, credential_id, trace_status, count(*) AS events,\n    \
                     min(time) AS first_time, max(time) AS last_time\n\
                     FROM events\nWHERE sponsor_id IS NULL AND {within}\n\
                     GROUP BY agent_id, credential_id, trace_status\n\
                     ORDER BY events DESC, agent_id, credential_id, trace_status"
                ),
                has_files: whose.is_none(),
            },
            Statement {
                name: "rejects",
                doc: "Records of the whole lake that could not become events.",
                sql: "SELECT reason, count(*) AS records\nFROM rejects\nGROUP BY reason\nORDER BY reason"
                    .to_owned(),
                has_files: false,
            },
            Statement {
                name: "people",
                doc: "Who answers, by the registry's last word.",
                sql: people(whose.as_deref(), &within),
                has_files: whose.is_none(),
            },
        ];
        if let Some(whose) = whose {
            statements.extend(of_rows(&whose, subject, &within));
        }
        Self(statements)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Statement> {
        self.0.iter().find(|statement| statement.name == name)
    }

    /// `queries.sql`.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(
            "-- The statements of this pack, for `surety sql --file queries.sql` on the same lake.\n\
             -- The rows of `events` are in the pack in the order of their seals.\n",
        );
        for Statement { name, doc, sql, .. } in &self.0 {
            write!(text, "\n-- {name}: {doc}\n{sql};\n").expect("writing to a string");
        }
        text
    }
}

fn people(whose: Option<&str>, within: &str) -> String {
    let whose = whose.map(|whose| format!("{whose} AND ")).unwrap_or_default();
    format!(
        "WITH used AS (\n    SELECT sponsor_id, count(*) AS events, count(DISTINCT agent_id) AS agents\n    \
         FROM events\n    WHERE {whose}{within}\n    GROUP BY sponsor_id\n)\n\
         SELECT used.sponsor_id, sponsors.name, sponsors.unit, sponsors.is_active, used.events, used.agents\n\
         FROM used\nLEFT JOIN sponsors ON sponsors.sponsor_id = used.sponsor_id\n\
         ORDER BY used.events DESC, used.sponsor_id"
    )
}

/// The statements of a report that has rows of events.
fn of_rows(whose: &str, subject: &Subject, within: &str) -> Vec<Statement> {
    let mut statements = vec![
        Statement {
            name: "events",
            doc: "What was done.",
            sql: format!(
                "SELECT *\nFROM events\nWHERE {whose} AND {within}\n\
                 ORDER BY topic, kafka_partition, kafka_offset, record_part NULLS FIRST"
            ),
            has_files: false,
        },
        Statement {
            name: "findings",
            doc: "What was found unusual of it, with what a person said last.",
            sql: format!(
                "WITH {SAID}\nSELECT findings.*, said.verdict, said.person, said.note\nFROM findings\n\
                 LEFT JOIN said ON said.finding_id = findings.finding_id\n\
                 WHERE {whose} AND {within}\nORDER BY findings.time, findings.finding_id"
            ),
            has_files: true,
        },
        Statement {
            name: "finding_counts",
            doc: "The same, counted.",
            sql: format!(
                "WITH {SAID}\nSELECT severity, detector, verdict, count(*) AS findings\nFROM findings\n\
                 LEFT JOIN said ON said.finding_id = findings.finding_id\n\
                 WHERE {whose} AND {within}\nGROUP BY severity, detector, verdict\n\
                 ORDER BY severity, detector, verdict"
            ),
            has_files: false,
        },
        Statement {
            name: "worst_findings",
            doc: "The most severe of them.",
            sql: format!(
                "WITH {SAID}\nSELECT findings.finding_id, time, severity, detector, agent_id, counterparty_id,\n    \
                 event_id, summary, money_at_risk, currency, said.verdict, said.person, said.note\n\
                 FROM findings\nLEFT JOIN said ON said.finding_id = findings.finding_id\n\
                 WHERE {whose} AND {within}\n\
                 ORDER BY CASE severity WHEN 'block' THEN 0 WHEN 'page' THEN 1 ELSE 2 END,\n    \
                 time, findings.finding_id\nLIMIT 40"
            ),
            has_files: false,
        },
        Statement {
            name: "registry",
            doc: "What the registry was told of the sponsor, the agents and their credentials.",
            sql: format!(
                "WITH ids AS (\n    SELECT agent_id AS id FROM events WHERE {whose} AND {within}\n    \
                 UNION SELECT credential_id FROM events WHERE {whose} AND {within}\n    \
                 UNION SELECT sponsor_id FROM events WHERE {whose} AND {within}\n    \
                 UNION SELECT agent_class FROM events WHERE {whose} AND {within}\n)\n\
                 SELECT *\nFROM registry_changes\n\
                 WHERE subject IN (SELECT id FROM ids WHERE id IS NOT NULL)\n\
                 ORDER BY subject, valid_from, recorded_at, change_id"
            ),
            has_files: true,
        },
    ];
    if matches!(subject, Subject::Sponsor { .. }) {
        statements.push(elsewhere(whose, within));
    }
    statements
}

fn elsewhere(whose: &str, within: &str) -> Statement {
    let agents = format!("SELECT DISTINCT agent_id FROM events WHERE {whose} AND {within}");
    Statement {
        name: "elsewhere",
        doc: "What the same agents did in the range that is not in this sponsor's name.",
        sql: format!(
            "SELECT sponsor_id, trace_status, count(*) AS events, count(DISTINCT agent_id) AS agents\n\
                 FROM events\nWHERE agent_id IN ({agents}) AND {within}\n    \
                 AND (sponsor_id IS NULL OR NOT ({whose}))\n\
                 GROUP BY sponsor_id, trace_status\nORDER BY sponsor_id, trace_status"
        ),
        has_files: false,
    }
}
