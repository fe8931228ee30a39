//! The report on coverage: how much of what all agents did leads to a human.

use std::collections::BTreeMap;

use super::super::facts::{Facts, Unowned};
use super::super::plots;
use super::markup::Column::{Left, Right};
use super::markup::{Html, code, count, number, share, table, text};
use super::{date, duty_cards, frameworks, gap_box, sections, tile};

/// What is counted of a day, a format or a status.
#[derive(Clone, Copy, Default)]
struct Covered {
    events: u64,
    traced: u64,
    claimed: u64,
}

fn by(
    facts: &Facts,
    key: impl Fn(&super::super::facts::Coverage) -> &str,
) -> BTreeMap<String, Covered> {
    let mut groups: BTreeMap<String, Covered> = BTreeMap::new();
    for one in &facts.coverage {
        let group = groups.entry(key(one).to_owned()).or_default();
        group.events += one.events;
        group.traced += one.traced;
        group.claimed += one.claimed;
    }
    groups
}

pub(super) fn body(facts: &Facts) -> Html {
    let (all, traced) = facts.covered();
    let claimed: u64 = facts.coverage.iter().map(|one| one.claimed).sum();
    let sponsors = facts.people.iter().filter(|one| one.sponsor_id.is_some()).count() as u64;
    let days = by(facts, |one| &one.day);
    let parts = days
        .into_iter()
        .map(|(day, one)| (day, [one.traced - one.claimed, one.claimed, one.events - one.traced]));
    let caption = "Actions per day (UTC)";
    Html::new()
        .raw("<section class=\"summary\">\n<p class=\"answer\">Of ")
        .text(count(all, "use of a credential", "uses of credentials"))
        .raw(" in this range, <b>")
        .text(share(traced, all))
        .raw("</b> lead to a human who answered on that day; ")
        .text(number(claimed))
        .raw(" of them rest on nothing but the event's own claim. For ")
        .text(number(all - traced))
        .raw(" nobody answers.</p>\n<div class=\"tiles\">\n")
        .add(&tile(&share(traced, all), "lead to a sponsor", &number(traced)))
        .add(&tile(&share(claimed, all), "only by a claim", &number(claimed)))
        .add(&tile(&number(all - traced), "nobody answers for", "of all actions"))
        .add(&tile(&number(sponsors), "sponsors answered", "at least; the largest are listed"))
        .raw("</div>\n")
        .add(&plots::figure(caption, &plots::days(caption, plots::TRACED, &parts.collect())))
        .add(&duty_cards([
            format!("{} have a named human; for {} there is none.", share(traced, all), number(all - traced)),
            "Each action was scored and traced when it was read; the figures are of that moment.".to_owned(),
            "By day, format and kind of trace; what nobody answers for is listed by agent and credential.".to_owned(),
            "The statements are in the pack: ask them of the lake again, and verify its seals.".to_owned(),
        ]))
        .add(&gap_box(gaps(facts)))
        .raw("</section>\n")
        .add(&parts_section(facts))
        .add(&challenge(facts))
        .add(&frameworks::section())
}

fn gaps(facts: &Facts) -> Vec<String> {
    let mut gaps = vec![
        "The rows of the actions are not in this pack: its figures are counted on the lake, and the seals vouch for the lake.".to_owned(),
    ];
    let missing: usize = facts.completeness.partitions.iter().map(|one| one.missing.len()).sum();
    if 0 < missing {
        gaps.push(format!(
            "{} of offsets in no seal of this pack.",
            count(missing as u64, "range is", "ranges are")
        ));
    }
    if 0 < facts.completeness.rejects {
        gaps.push(format!(
            "{} in the sealed ranges could not become events.",
            count(facts.completeness.rejects, "record", "records"),
        ));
    }
    gaps
}

fn parts_section(facts: &Facts) -> Html {
    let row = |(name, one): (String, Covered)| {
        vec![
            text(name),
            text(number(one.events)),
            text(number(one.traced)),
            text(number(one.claimed)),
            text(share(one.traced, one.events)),
        ]
    };
    let columns = |name| {
        [
            Left(name),
            Right("Actions"),
            Right("Lead to a sponsor"),
            Right("By a claim"),
            Right("Share"),
        ]
    };
    let statuses = by(facts, |one| &one.trace_status).into_iter().map(|(status, one)| {
        vec![text(&status), text(sections::meaning(&status)), text(number(one.events))]
    });
    let unowned = |one: &Unowned| {
        vec![
            text(&one.agent_id),
            code(&one.credential_id),
            text(&one.trace_status),
            text(number(one.events)),
            text(date(one.first_time)),
            text(date(one.last_time)),
        ]
    };
    Html::new()
        .raw("<h2>1 &ensp;Who answers<small>And for what nobody does.</small></h2>\n")
        .add(&sections::people(&facts.people))
        .raw("<h3>What nobody answers for</h3>\n")
        .add(&table(
            &[
                Left("Agent"),
                Left("Credential"),
                Left("Trace"),
                Right("Actions"),
                Left("First"),
                Left("Last"),
            ],
            facts.unowned.iter().map(unowned).collect(),
            "Somebody answers for everything.",
        ))
        .raw("<p class=\"note\">The largest; all are in <code>rows/unowned.csv</code>.</p>\n")
        .raw("<h2>2 &ensp;How it is traced</h2>\n")
        .add(&table(
            &[Left("Trace"), Left("Means"), Right("Actions")],
            statuses.collect(),
            "Nothing was done.",
        ))
        .add(&table(
            &columns("Format"),
            by(facts, |one| &one.format).into_iter().map(row).collect(),
            "Nothing was done.",
        ))
        .add(&table(
            &columns("Day"),
            by(facts, |one| &one.day).into_iter().map(row).collect(),
            "Nothing was done.",
        ))
}

fn challenge(facts: &Facts) -> Html {
    Html::new()
        .raw("<h2>3 &ensp;Independent challenge<small>How anybody checks this without trusting who made it.</small></h2>\n<pre>surety verify PACK.zip --key '")
        .text(&facts.key)
        .raw("'\nsurety verify LAKE\nsurety sql --file queries.sql</pre>\n")
        .add(&sections::completeness(facts))
}
