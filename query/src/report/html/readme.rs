//! [`readme`]: what is in a pack and how to check it, for whoever unpacks it first.

use crate::Subject;
use crate::report::facts::Facts;

/// `README.txt`.
pub(crate) fn readme(facts: &Facts) -> String {
    let what = match &facts.subject {
        Subject::Sponsor { id } => format!("what agents did in the name of sponsor {id}"),
        Subject::Agent { id } => format!("what agent {id} did"),
        Subject::Coverage => "how much of what agents did leads to a sponsor".to_owned(),
    };
    let rows = if facts.subject == Subject::Coverage {
        "rows/coverage, rows/people, rows/unowned   what was counted on the lake"
    } else {
        "rows/events      every action, in the order of the seals
rows/findings    what was unusual, with what a person said
rows/registry    what the registry was told of those who acted
rows/coverage    how much of everything in the range leads to a sponsor
proofs.jsonl     what leads from rows/events to the roots of the seals"
    };
    format!(
        "Surety evidence pack: {what},
from {} to {} (not in it).

report.html      for people; report.pdf has the same as pages
{rows}
                 rows are there as .csv (safe to open in a spreadsheet), .jsonl and .parquet
seals.jsonl      the signed seals, each with the hash of the one before
key.txt          the public key of the seals: compare it with the one that the operator published
facts.json       the figures of the report
queries.sql      the statements that made them
manifest.json    SHA-256 of every file

To verify it, without the lake and without a network:

    surety verify PACK.zip --key KEY

The newest seal is number {}, SHA-256 {}.
",
        facts.from, facts.to, facts.head.sequence, facts.head.sha256,
    )
}
