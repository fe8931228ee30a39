//! Which principles of which rule book the parts of a report answer to.
//!
//! Source: SR 26-2, *Revised Guidance on Model Risk Management* (Board of Governors of the Federal Reserve
//! System, 17 April 2026), which superseded SR 11-7; Regulation (EU) 2024/1689 (AI Act), Articles 12, 19, 26.

use super::markup::Html;

/// A principle, where it is from, and what of the pack answers to it.
const PRINCIPLES: &[[&str; 3]] = &[
    [
        "<b>Ownership and accountability</b>, model inventory",
        "SR 26-2, formerly SR 11-7: governance, roles, inventory",
        "Part 1: the named owner of every action on its day, with confidence and gaps",
    ],
    [
        "<b>Ongoing monitoring</b>, outcomes analysis",
        "SR 26-2, formerly SR 11-7: validation and monitoring",
        "Part 2: findings against each agent's own baseline, with what a person said",
    ],
    [
        "<b>Documentation</b>, understanding of use and limits",
        "SR 26-2, formerly SR 11-7: documentation",
        "Part 3: what was done, with whom, with which credential and model",
    ],
    [
        "<b>Effective challenge</b> by who is independent",
        "SR 26-2, formerly SR 11-7: effective challenge",
        "Part 4: rows, proofs, statements and key, to be checked by anybody",
    ],
    [
        "<b>Automatic recording of events</b>, traceability",
        "EU AI Act, Article 12",
        "<code>rows/events</code>: every action with time, agent, input reference and outcome",
    ],
    [
        "<b>Keeping of logs</b> for a period that fits the purpose, six months at least",
        "EU AI Act, Article 19 (providers), Article 26(6) (deployers)",
        "Seals and offset ranges: what was kept, without a gap but those named",
    ],
    [
        "<b>Human oversight</b> by named people; monitoring of operation",
        "EU AI Act, Article 26(2), 26(5)",
        "Parts 1 and 2: the sponsor, the findings and their dispositions",
    ],
];

pub(super) fn section() -> Html {
    let row = |[principle, source, answer]: &[&'static str; 3]| {
        Html::new()
            .raw("<tr><td>")
            .raw(principle)
            .raw("</td><td>")
            .raw(source)
            .raw("</td><td>")
            .raw(answer)
            .raw("</td></tr>\n")
    };
    Html::new()
        .raw("<h2>Principles this report answers to</h2>\n<table>\n<thead><tr><th>Principle</th><th>Source</th><th>Where</th></tr></thead>\n<tbody>\n")
        .all(PRINCIPLES.iter().map(row))
        .raw("</tbody>\n</table>\n<p class=\"note\">The mapping is ours, no legal advice. SR 26-2 says that generative and agentic AI are not within its scope; its principles are used here as a yardstick. Whether the EU AI Act's articles apply depends on the class of the system.</p>\n")
}
