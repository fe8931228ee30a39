//! The four parts of a report, one for each duty.

use super::super::facts::{Elsewhere, Facts, HopOfTrace, Person, TraceOfAgent, WorstFinding};
use super::super::plots;
use super::super::tally::{AgentTally, Cents, UseTally};
use super::markup::Column::{Left, Right};
use super::markup::{Html, amount, code, count, money, number, table, text};
use super::{date, largest};

/// Rows of a table that a person reads; all of them are in the files.
const ROWS_MAX: usize = 40;
const BARS_MAX: usize = 12;

/// The largest first; of equals, by name.
fn ranked<T>(
    map: &std::collections::BTreeMap<String, T>,
    key: impl Fn(&T) -> i128,
) -> Vec<(&str, &T)> {
    let mut ranked: Vec<_> = map.iter().map(|(name, one)| (name.as_str(), one)).collect();
    ranked.sort_by_key(|(name, one)| (std::cmp::Reverse(key(one)), *name));
    ranked
}

/// Says how many rows of a table are left out, where some are.
fn rest(all: usize, file: &'static str) -> Html {
    if all <= ROWS_MAX {
        return Html::new();
    }
    Html::new()
        .raw("<p class=\"note\">The first ")
        .text(ROWS_MAX)
        .raw(" of ")
        .text(number(all as u64))
        .raw("; all are in <code>")
        .raw(file)
        .raw("</code>.</p>\n")
}

fn dash() -> Html {
    Html::new().raw("&ndash;")
}

fn maybe(value: Option<&str>) -> Html {
    value.map_or_else(dash, text)
}

pub(super) fn owner(facts: &Facts) -> Html {
    let tally = &facts.tally;
    let names = ["below 0.5", "0.5 to 0.8", "0.8 to 0.95", "0.95 to 1"];
    let classes = ["bad", "denied", "fourth", "good"];
    let parts: Vec<(&'static str, String, u64)> =
        (0..4).map(|at| (classes[at], names[at].to_owned(), tally.confidences[at])).collect();
    let caption = "Actions by the confidence of their trace, as stamped when they were read";
    let statuses = ranked(&tally.statuses, |events| i128::from(*events));
    let statuses = statuses
        .into_iter()
        .map(|(status, events)| vec![text(status), text(meaning(status)), text(number(*events))]);
    Html::new()
        .raw("<h2>1 &ensp;Named owner<small>Which human answered for these actions on the day they happened, and how sure that is.</small></h2>\n")
        .add(&people(&facts.people))
        .add(&plots::figure(caption, &plots::split(caption, &parts)))
        .add(&table(
            &[Left("Trace"), Left("Means"), Right("Actions")],
            statuses.collect(),
            "There is no action to trace.",
        ))
        .add(&traces(&facts.traces))
        .add(&elsewhere(&facts.elsewhere))
}

/// What a status means, for people.
pub(super) fn meaning(status: &str) -> &'static str {
    match status {
        "traced" => "The agent is registered, and its sponsor was active.",
        "delegated" => {
            "Through a registered parent agent, or the one agent that may use the credential."
        }
        "claimed" => "Through a parent or a class that only the event claims.",
        "shared" => "Through a credential that several agents may use, all of one sponsor.",
        "orphaned" => "The agent is registered, but nobody answers for it, or who did has left.",
        "unregistered" => "Nothing is known of the agent.",
        "gap" => "The chain broke: a cycle, too deep, or several candidates.",
        _ => "As the registry has it.",
    }
}

pub(super) fn people(people: &[Person]) -> Html {
    let row = |one: &Person| {
        let active = match one.is_active {
            Some(true) => Html::new().raw("active"),
            Some(false) => Html::new().raw("<span class=\"gap\">has left</span>"),
            None => Html::new().raw("not in the registry"),
        };
        let nobody = || Html::new().raw("<span class=\"gap\">nobody</span>");
        vec![
            one.sponsor_id.as_ref().map_or_else(nobody, code),
            maybe(one.name.as_deref()),
            maybe(one.unit.as_deref()),
            if one.sponsor_id.is_some() { active } else { dash() },
            text(number(one.agents)),
            text(number(one.events)),
        ]
    };
    let columns = [
        Left("Sponsor"),
        Left("Name"),
        Left("Unit"),
        Left("By the registry's last word"),
        Right("Agents"),
        Right("Actions"),
    ];
    table(&columns, people.iter().map(row).collect(), "Nobody answers: there is no action.")
}

fn traces(traces: &[TraceOfAgent]) -> Html {
    let hop = |hop: &HopOfTrace| {
        Html::new()
            .raw("<li>")
            .text(&hop.from)
            .raw(" <span class=\"arrow\">&rarr;</span> ")
            .text(&hop.to)
            .raw(", <b>")
            .text(format_args!("{:.2}", hop.confidence))
            .raw("</b> by ")
            .text(hop.method.replace('_', " "))
            .raw("</li>")
    };
    let row = |one: &TraceOfAgent| {
        let gap = one
            .gap
            .as_ref()
            .map(|gap| Html::new().raw("<li class=\"gap\">Gap ").text(gap).raw("</li>"));
        let hops = Html::new()
            .raw("<ul class=\"hops\">")
            .all(one.hops.iter().map(hop))
            .all(gap)
            .raw("</ul>");
        vec![
            text(&one.agent_id),
            hops,
            text(&one.status),
            text(format_args!("{:.2}", one.confidence)),
            code(&one.event_id),
        ]
    };
    let columns = [Left("Agent"), Left("Hops"), Left("Status"), Right("Confidence"), Left("Event")];
    Html::new()
        .raw("<h3>The way from agent to sponsor</h3>\n<p class=\"note\">The last action of each agent (of the thirty that did the most), as of its time, by what the registry knows now. Confidence is the product of the hops'.</p>\n")
        .add(&table(&columns, traces.iter().map(row).collect(), "There is no action to trace."))
}

fn elsewhere(elsewhere: &[Elsewhere]) -> Html {
    if elsewhere.is_empty() {
        return Html::new();
    }
    let nobody = || Html::new().raw("<span class=\"gap\">nobody</span>");
    let row = |one: &Elsewhere| {
        vec![
            one.sponsor_id.as_ref().map_or_else(nobody, code),
            text(&one.trace_status),
            text(number(one.agents)),
            text(number(one.events)),
        ]
    };
    Html::new()
        .raw("<h3>What the same agents did in other names</h3>\n<p class=\"note\">In the same range, and not in the rows of this pack.</p>\n")
        .add(&table(
            &[Left("Sponsor"), Left("Trace"), Right("Agents"), Right("Actions")],
            elsewhere.iter().map(row).collect(),
            "",
        ))
}

pub(super) fn monitoring(facts: &Facts) -> Html {
    let counts = facts.findings.iter().map(|one| {
        vec![
            severity(&one.severity),
            text(one.detector.replace('_', " ")),
            one.verdict.as_ref().map_or_else(
                || Html::new().raw("not judged yet"),
                |verdict| text(verdict.replace('_', " ")),
            ),
            text(number(one.findings)),
        ]
    });
    let all: u64 = facts.findings.iter().map(|one| one.findings).sum();
    let left_out = Html::new()
        .raw("<p class=\"note\">The most severe ")
        .text(facts.worst.len())
        .raw(" of ")
        .text(number(all))
        .raw("; all are in <code>rows/findings.csv</code>.</p>\n");
    Html::new()
        .raw("<h2>2 &ensp;Continuous monitoring<small>What was unusual for its agent, and what a person said of it.</small></h2>\n")
        .add(&table(
            &[Left("Severity"), Left("Detector"), Left("Disposition"), Right("Findings")],
            counts.collect(),
            "No finding was raised in this range.",
        ))
        .add(&table(
            &[Left("Time, severity"), Left("Agent"), Left("What was found"), Right("At risk"), Left("Disposition")],
            facts.worst.iter().map(finding).collect(),
            "There is no finding to list.",
        ))
        .add(&if (facts.worst.len() as u64) < all { left_out } else { Html::new() })
}

fn severity(severity: &str) -> Html {
    let open = match severity {
        "block" => "<span class=\"tag block\">",
        "page" => "<span class=\"tag page\">",
        _ => "<span class=\"tag\">",
    };
    Html::new().raw(open).text(severity).raw("</span>")
}

fn finding(finding: &WorstFinding) -> Vec<Html> {
    let at_risk = match (finding.money_at_risk, &finding.currency) {
        (Some(cents), Some(currency)) => text(format_args!("{} {currency}", amount(cents))),
        _ => dash(),
    };
    let said = match (&finding.verdict, &finding.person) {
        (Some(verdict), Some(person)) => Html::new()
            .text(verdict.replace('_', " "))
            .raw(", ")
            .text(person)
            .raw(if finding.note.is_some() { ": " } else { "" })
            .text(finding.note.as_deref().unwrap_or("")),
        _ => Html::new().raw("not judged yet"),
    };
    vec![
        text(date(finding.time)).raw("<br>").add(&severity(&finding.severity)),
        text(&finding.agent_id),
        text(&finding.summary).raw(" ").add(&code(&finding.event_id)),
        at_risk,
        said,
    ]
}

pub(super) fn explanation(facts: &Facts) -> Html {
    let tally = &facts.tally;
    let agents = ranked(&tally.agents, |agent| i128::from(agent.outcomes.all()));
    let agent_rows = agents.iter().take(ROWS_MAX).map(|(id, one)| agent(id, one));
    Html::new()
        .raw("<h2>3 &ensp;Explainability<small>What every agent did, with whom, and with which credential.</small></h2>\n<h3>Agents</h3>\n")
        .add(&table(
            &[Left("Agent"), Left("Did most"), Right("Actions"), Right("Denied, failed"), Right("Money"), Left("From, to")],
            agent_rows.collect(),
            "No agent acted.",
        ))
        .add(&rest(agents.len(), "facts.json"))
        .add(&counterparties(facts))
        .add(&credentials(facts))
        .add(&models(facts))
}

fn agent(id: &str, agent: &AgentTally) -> Vec<Html> {
    let class = agent
        .class
        .as_deref()
        .map(|class| Html::new().raw("<br><span class=\"tag\">").text(class).raw("</span>"));
    let actions = ranked(&agent.actions, |events| i128::from(*events));
    let most = actions.iter().take(3).map(|(action, events)| {
        Html::new().text(action).raw(" <b>").text(number(**events)).raw("</b><br>")
    });
    let more = actions.len().saturating_sub(3) as u64;
    let more = (0 < more).then(|| text(format_args!("and {}", count(more, "other", "others"))));
    vec![
        text(id).all(class),
        Html::new().all(most).all(more),
        text(number(agent.outcomes.all())),
        text(format_args!("{}, {}", number(agent.outcomes.denied), number(agent.outcomes.error))),
        money(&agent.money),
        text(date(agent.span.first)).raw("<br>").add(&text(date(agent.span.last))),
    ]
}

fn counterparties(facts: &Facts) -> Html {
    let (currency, _) = largest(&facts.tally.money);
    let in_currency = |one: &UseTally| one.money.get(currency).copied().unwrap_or_default();
    let parties = ranked(&facts.tally.counterparties, |one| in_currency(one).0);
    let bars: Vec<(&str, Cents)> = parties
        .iter()
        .map(|(id, one)| (*id, in_currency(one)))
        .filter(|(_, cents)| 0 < cents.0)
        .take(BARS_MAX)
        .collect();
    let row = |(id, one): &(&str, &UseTally)| {
        vec![
            text(id),
            maybe(one.kind.as_deref()),
            text(number(one.events)),
            text(number(one.agents.len() as u64)),
            money(&one.money),
            text(date(one.span.first)),
            text(date(one.span.last)),
        ]
    };
    let columns = [
        Left("Counterparty"),
        Left("Kind"),
        Right("Actions"),
        Right("Agents"),
        Right("Money"),
        Left("First"),
        Left("Last"),
    ];
    let caption = "Most money by counterparty";
    let plot = if bars.is_empty() {
        Html::new()
    } else {
        plots::figure(caption, &plots::bars(caption, currency, &bars))
    };
    Html::new()
        .raw("<h3>Money by counterparty</h3>\n<p class=\"note\">What successful actions moved or approved. Currencies are never added up.</p>\n")
        .add(&plot)
        .add(&table(
            &columns,
            parties.iter().take(ROWS_MAX).map(row).collect(),
            "No counterparty is named by these actions.",
        ))
        .add(&rest(parties.len(), "facts.json"))
}

fn credentials(facts: &Facts) -> Html {
    let used = ranked(&facts.tally.credentials, |one| i128::from(one.events));
    let row = |(id, one): &(&str, &UseTally)| {
        let is_shared = 1 < one.agents.len();
        let shared = if is_shared { " <span class=\"tag page\">shared</span>" } else { "" };
        vec![
            code(id).raw(shared),
            text(one.kind.as_deref().unwrap_or("unknown").replace('_', " ")),
            text(number(one.agents.len() as u64)),
            text(number(one.events)),
            text(date(one.span.first)),
            text(date(one.span.last)),
        ]
    };
    let columns = [
        Left("Credential (never the secret)"),
        Left("Kind"),
        Right("Agents"),
        Right("Actions"),
        Left("First"),
        Left("Last"),
    ];
    Html::new()
        .raw("<h3>Credentials</h3>\n")
        .add(&table(&columns, used.iter().take(ROWS_MAX).map(row).collect(), "None was used."))
        .add(&rest(used.len(), "facts.json"))
}

fn models(facts: &Facts) -> Html {
    if facts.tally.models.is_empty() {
        return Html::new();
    }
    let row = |(model, events): (&str, &u64)| vec![text(model), text(number(*events))];
    let models = ranked(&facts.tally.models, |events| i128::from(*events));
    Html::new().raw("<h3>Models behind the agents</h3>\n").add(&table(
        &[Left("Model"), Right("Actions")],
        models.into_iter().take(ROWS_MAX).map(row).collect(),
        "",
    ))
}

pub(super) fn challenge(facts: &Facts) -> Html {
    Html::new()
        .raw("<h2>4 &ensp;Independent challenge<small>How anybody checks this without trusting who made it.</small></h2>\n")
        .raw("<p>Each commit of the lake has a seal: a Merkle root over its records, signed, and chained to the seal before it. <code>proofs.jsonl</code> leads from the rows of this pack to the roots in <code>seals.jsonl</code>; no lake and no network is needed to check it:</p>\n")
        .raw("<pre>surety verify PACK.zip --key '")
        .text(&facts.key)
        .raw("'</pre>\n<p>Take the key from where the operator published it, not from this page; and compare seal ")
        .text(facts.head.sequence)
        .raw(" with one that was kept outside the operator's control (<code>--head</code>).</p>\n")
        .add(&completeness(facts))
        .raw("<h3>What is proven, and what is not</h3>\n<ul>\n<li>Proven: every row of <code>rows/events</code> that is in a seal is as it was when it was sealed, in all its columns.</li>\n<li>Proven: the figures and this page follow from those rows and seals; <code>surety verify</code> makes them again.</li>\n<li>Not proven by the pack alone: that no other row belongs to it. On the lake, the statements in <code>queries.sql</code> answer that, and <code>surety verify LAKE</code> shows that no record was removed.</li>\n<li>Not sealed: findings, dispositions and the registry. They are in the pack as the lake has them now.</li>\n</ul>\n")
}

/// Which records were read, and which were not.
pub(super) fn completeness(facts: &Facts) -> Html {
    let completeness = &facts.completeness;
    let row = |one: &crate::pack::chain::PartitionCover| {
        let missing = one.missing.iter().map(|(start, end)| {
            Html::new()
                .raw("<span class=\"gap\">")
                .text(format_args!("{start} to {}", end - 1))
                .raw("</span><br>")
        });
        let missing =
            if one.missing.is_empty() { Html::new().raw("none") } else { Html::new().all(missing) };
        vec![
            code(&one.topic),
            text(one.partition),
            text(format_args!("{} to {}", one.start, one.end - 1)),
            text(number(one.seals)),
            missing,
        ]
    };
    let columns = [
        Left("Topic or replayed file"),
        Right("Partition"),
        Right("Offsets"),
        Right("Seals"),
        Left("Missing"),
    ];
    let rejects =
        facts.rejects.iter().map(|one| vec![code(&one.reason), text(number(one.records))]);
    let partitions = &completeness.partitions;
    Html::new()
        .raw("<h3>Completeness</h3>\n<p>Seals ")
        .text(completeness.first_seal)
        .raw(" to ")
        .text(completeness.last_seal)
        .raw(" cover ")
        .text(count(completeness.records, "record", "records"))
        .raw(", ")
        .text(number(completeness.rejects))
        .raw(" of them rejects, in these ranges without a gap but those that are named:</p>\n")
        .add(&table(
            &columns,
            partitions.iter().take(ROWS_MAX).map(row).collect(),
            "No seal names a range.",
        ))
        .add(&rest(partitions.len(), "facts.json"))
        .raw("<h3>Rejects of the whole lake</h3>\n")
        .add(&table(
            &[Left("Reason"), Right("Records")],
            rejects.collect(),
            "Every record could become an event.",
        ))
}
