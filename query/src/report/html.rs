//! [`page`]: the report for people, as one file of HTML.
//!
//! Invariant: a function of the [`Facts`]; self-contained: no script, no font, no picture from elsewhere.
//! [`pdf`](super::pdf) makes pages of it, and knows the elements that are used here.

mod coverage;
mod frameworks;
pub(crate) mod markup;
mod readme;
mod sections;

use markup::{Html, amount, count, number, share, text};

use super::facts::Facts;
use super::plots;
use super::tally::{Cents, Money};
use crate::Subject;

pub(crate) use readme::readme;

const STYLE: &str = include_str!("html/style.css");

/// `report.html`.
pub(crate) fn page(facts: &Facts) -> String {
    let whose = facts.whose();
    let body = match facts.subject {
        Subject::Coverage => coverage::body(facts),
        Subject::Sponsor { .. } | Subject::Agent { .. } => body(facts),
    };
    Html::new()
        .raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>")
        .text(&whose)
        .text(format_args!(", {} to {}", date(facts.from), date(facts.to)))
        .raw("</title>\n<style>\n")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n")
        .add(&header(facts, &whose))
        .add(&body)
        .add(&footer(facts))
        .raw("</body>\n</html>\n")
        .into_string()
}

/// A time to the second.
fn date(time: schemas::Timestamp) -> String {
    let text = time.to_string();
    match text.strip_suffix("T00:00:00.000000Z") {
        Some(day) => day.to_owned(),
        None => format!("{} {}", &text[..10], &text[11..19]),
    }
}

impl Facts {
    /// What the report is about, in words.
    fn whose(&self) -> String {
        match &self.subject {
            Subject::Sponsor { .. } => format!("What was done in the name of {}", self.who()),
            Subject::Agent { .. } => format!("What {} did, and who answers", self.who()),
            Subject::Coverage => "How much of what agents did leads to a human".to_owned(),
        }
    }

    /// A sponsor's name where the registry knows it, else the id.
    fn who(&self) -> &str {
        match &self.subject {
            Subject::Sponsor { id } => {
                let name = self.people.iter().find(|one| one.sponsor_id.as_deref() == Some(id));
                name.and_then(|one| one.name.as_deref()).unwrap_or(id)
            }
            Subject::Agent { id } => id,
            Subject::Coverage => "all agents",
        }
    }
}

fn header(facts: &Facts, whose: &str) -> Html {
    let kind = match facts.subject {
        Subject::Sponsor { .. } => "Sponsor trace report",
        Subject::Agent { .. } => "Agent trace report",
        Subject::Coverage => "Trace coverage report",
    };
    let id = match &facts.subject {
        Subject::Sponsor { id } => {
            Html::new().raw("<div><dt>Sponsor</dt><dd>").text(id).raw("</dd></div>")
        }
        Subject::Agent { id } => {
            Html::new().raw("<div><dt>Agent</dt><dd>").text(id).raw("</dd></div>")
        }
        Subject::Coverage => Html::new(),
    };
    Html::new()
        .raw("<header>\n<p class=\"kind\">")
        .raw(kind)
        .raw("</p>\n<h1>")
        .text(whose)
        .raw("</h1>\n<dl>")
        .add(&id)
        .raw("<div><dt>From</dt><dd>")
        .text(date(facts.from))
        .raw("</dd></div><div><dt>To</dt><dd>")
        .text(date(facts.to))
        .raw(" (not in it), UTC</dd></div><div><dt>As of seal</dt><dd>")
        .text(format_args!("{} of {}", facts.head.sequence, date(facts.head.time)))
        .raw("</dd></div></dl>\n</header>\n")
}

fn footer(facts: &Facts) -> Html {
    Html::new()
        .raw("<footer>Lake <code>")
        .text(&facts.lake)
        .raw("</code>, newest seal ")
        .text(facts.head.sequence)
        .raw(", SHA-256 <code>")
        .text(&facts.head.sha256)
        .raw("</code>, key <code>")
        .text(&facts.key)
        .raw("</code>. Every figure is counted from the rows beside this page; all times are UTC.</footer>\n")
}

fn body(facts: &Facts) -> Html {
    Html::new()
        .raw("<section class=\"summary\">\n")
        .add(&answer(facts))
        .add(&tiles(facts))
        .add(&days(facts))
        .add(&duties(facts))
        .add(&gaps(facts))
        .raw("</section>\n")
        .add(&sections::owner(facts))
        .add(&sections::monitoring(facts))
        .add(&sections::explanation(facts))
        .add(&sections::challenge(facts))
        .add(&frameworks::section())
}

/// The report in three sentences.
fn answer(facts: &Facts) -> Html {
    let tally = &facts.tally;
    let findings = facts.findings.iter().map(|one| one.findings).sum::<u64>();
    let said: u64 =
        facts.findings.iter().filter(|one| one.verdict.is_some()).map(|one| one.findings).sum();
    let mut answer = Html::new().raw("<p class=\"answer\">");
    if tally.events == 0 {
        answer = answer.raw("In this range nothing was done that the lake knows of. ");
    } else {
        answer = answer
            .text(count(tally.agents.len() as u64, "agent", "agents"))
            .raw(" made ")
            .text(count(tally.events, "use of a credential", "uses of credentials"))
            .raw(", ")
            .text(number(tally.outcomes.denied + tally.outcomes.error))
            .raw(" of them denied or failed");
        if !tally.money.is_empty() {
            let parties = tally.counterparties.values().filter(|one| !one.money.is_empty()).count();
            answer = answer
                .raw(", and moved or approved ")
                .text(in_words(&tally.money))
                .raw(" with ")
                .text(count(parties as u64, "counterparty", "counterparties"));
        }
        answer = answer.raw(". ");
    }
    answer
        .text(count(findings, "finding was raised", "findings were raised"))
        .raw(", ")
        .text(number(said))
        .raw(" of them judged by a person. ")
        .raw(if facts.unsealed == 0 {
            "Every row is proven to be as it was sealed."
        } else {
            "Not every row is in a seal yet: see the gaps below."
        })
        .raw("</p>\n")
}

fn in_words(money: &Money) -> String {
    let one = |(currency, cents): (&String, &Cents)| format!("{} {currency}", amount(*cents));
    money.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A figure of the summary: what, how much, and what else there is to say.
fn tile(value: &str, name: &'static str, more: &str) -> Html {
    let open = if 11 < value.chars().count() { "<div><b class=\"long\">" } else { "<div><b>" };
    Html::new()
        .raw(open)
        .text(value)
        .raw("</b><span>")
        .raw(name)
        .raw("</span><em>")
        .text(more)
        .raw("</em></div>\n")
}

fn tiles(facts: &Facts) -> Html {
    let tally = &facts.tally;
    let findings = facts.findings_by(|one| &one.severity);
    let severity = |name: &str| findings.get(name).copied().unwrap_or(0);
    let sure = tally.confidences[3];
    let (currency, most) = largest(&tally.money);
    let others = match tally.money.len() {
        0 => "none".to_owned(),
        1 => "of successful actions".to_owned(),
        several => {
            format!("and in {}", count(several as u64 - 1, "more currency", "more currencies"))
        }
    };
    let shared = tally.shared_credentials() as u64;
    Html::new()
        .raw("<div class=\"tiles\">\n")
        .add(&tile(
            &number(tally.events),
            "actions",
            &format!(
                "{} denied, {} failed",
                number(tally.outcomes.denied),
                number(tally.outcomes.error)
            ),
        ))
        .add(&tile(
            &number(tally.agents.len() as u64),
            "agents",
            &count(tally.models.len() as u64, "model", "models"),
        ))
        .add(&tile(&money_in(currency, most), "moved or approved", &others))
        .add(&tile(
            &number(tally.counterparties.len() as u64),
            "counterparties",
            &count(tally.credentials.len() as u64, "credential used", "credentials used"),
        ))
        .add(&tile(
            &number(findings.values().sum::<u64>()),
            "findings",
            &format!(
                "{} block, {} page, {} review",
                severity("block"),
                severity("page"),
                severity("review")
            ),
        ))
        .add(&tile(
            &share(sure, tally.events),
            "traced with confidence of 0.95 or more",
            &format!("{} less sure", number(tally.events - sure)),
        ))
        .add(&tile(
            &share(tally.events - facts.unsealed, tally.events),
            "of the rows proven by a seal",
            &count(facts.completeness.seals, "seal", "seals"),
        ))
        .add(&tile(&number(shared), "shared credentials", "used by several of these agents"))
        .raw("</div>\n")
}

fn money_in(currency: &str, cents: Cents) -> String {
    if currency.is_empty() {
        "\u{2013}".to_owned()
    } else {
        format!("{} {currency}", amount(cents))
    }
}

/// The currency with the largest number, which is not said to be the most money.
fn largest(money: &Money) -> (&str, Cents) {
    let most = money.iter().max_by_key(|(currency, cents)| (**cents, std::cmp::Reverse(*currency)));
    most.map_or(("", Cents(0)), |(currency, cents)| (currency, *cents))
}

fn days(facts: &Facts) -> Html {
    let days = facts.tally.days.iter();
    let days = days.map(|(day, outcomes)| (day.clone(), plots::parts_of(*outcomes))).collect();
    let caption = "Actions per day (UTC)";
    plots::figure(caption, &plots::days(caption, plots::OUTCOMES, &days))
}

/// The four duties, each with the answer that the report gives.
fn duties(facts: &Facts) -> Html {
    let tally = &facts.tally;
    let findings = facts.findings.iter().map(|one| one.findings).sum::<u64>();
    let open: u64 =
        facts.findings.iter().filter(|one| one.verdict.is_none()).map(|one| one.findings).sum();
    let owner = match &facts.subject {
        Subject::Sponsor { id } => {
            let unit = facts.people.iter().find_map(|one| one.unit.as_deref());
            let unit = unit.map(|unit| format!(", {unit}")).unwrap_or_default();
            format!(
                "{} ({id}{unit}) answered for these actions on the day they happened.",
                facts.who()
            )
        }
        Subject::Agent { .. } | Subject::Coverage => {
            let named = facts.people.iter().filter(|one| one.sponsor_id.is_some()).count() as u64;
            let nobody: u64 = facts
                .people
                .iter()
                .filter(|one| one.sponsor_id.is_none())
                .map(|one| one.events)
                .sum();
            format!(
                "{} answered for it; for {} nobody did.",
                count(named, "sponsor", "sponsors"),
                count(nobody, "action", "actions"),
            )
        }
    };
    let monitored = format!(
        "Each action was scored against what is normal for its agent when it was read; {}, {} not judged by a person yet.",
        count(findings, "finding came of it", "findings came of it"),
        number(open),
    );
    let explained = format!(
        "All {} with time, agent, credential, resource, counterparty, amount and outcome; {} with every hop to the sponsor.",
        count(tally.events, "action is listed", "actions are listed"),
        count(facts.traces.len() as u64, "trace is shown", "traces are shown"),
    );
    let challenged = format!(
        "Anyone can check this pack offline: {} of the rows lead to the signed roots of {}.",
        share(tally.events - facts.unsealed, tally.events),
        count(facts.completeness.seals, "seal", "seals"),
    );
    duty_cards([owner, monitored, explained, challenged])
}

fn duty_cards(answers: [String; 4]) -> Html {
    let names = [
        "<div><h3>1 &ensp;Named owner</h3><p>",
        "<div><h3>2 &ensp;Continuous monitoring</h3><p>",
        "<div><h3>3 &ensp;Explainability</h3><p>",
        "<div><h3>4 &ensp;Independent challenge</h3><p>",
    ];
    let card = |(name, answer): (&'static str, String)| {
        Html::new().raw(name).text(answer).raw("</p></div>\n")
    };
    Html::new()
        .raw("<div class=\"duties\">\n")
        .all(names.into_iter().zip(answers).map(card))
        .raw("</div>\n")
}

/// What the report does not know, on its first page.
fn gaps(facts: &Facts) -> Html {
    let mut gaps: Vec<String> = Vec::new();
    if 0 < facts.unsealed {
        gaps.push(format!(
            "{} in no seal yet, and so not proven.",
            count(facts.unsealed, "row is", "rows are")
        ));
    }
    let unsure: u64 = facts.tally.confidences[..2].iter().sum();
    if 0 < unsure {
        gaps.push(format!(
            "{} to a sponsor with a confidence below 0.8.",
            count(unsure, "action leads", "actions lead")
        ));
    }
    let elsewhere: u64 = facts.elsewhere.iter().map(|one| one.events).sum();
    if 0 < elsewhere {
        let nobody: u64 = facts
            .elsewhere
            .iter()
            .filter(|one| one.sponsor_id.is_none())
            .map(|one| one.events)
            .sum();
        gaps.push(format!(
            "{} of the same agents in this range not in this sponsor's name, {} of them in nobody's.",
            count(elsewhere, "action is", "actions are"),
            number(nobody),
        ));
    }
    let missing: usize = facts.completeness.partitions.iter().map(|one| one.missing.len()).sum();
    if 0 < missing {
        gaps.push(format!(
            "{} of offsets in no seal of this pack.",
            count(missing as u64, "range is", "ranges are")
        ));
    }
    if 0 < facts.completeness.rejects {
        gaps.push(format!(
            "{} in the sealed ranges could not become events; what they tell is not in the figures.",
            count(facts.completeness.rejects, "record", "records"),
        ));
    }
    let (all, traced) = facts.covered();
    if traced < all {
        gaps.push(format!(
            "Of everything in the range, {} to nobody: they could be anybody's.",
            count(all - traced, "action leads", "actions lead"),
        ));
    }
    gap_box(gaps)
}

fn gap_box(gaps: Vec<String>) -> Html {
    if gaps.is_empty() {
        return Html::new().raw(
            "<div class=\"gaps\"><h3>Gaps</h3><ul><li>None is known in this range.</li></ul></div>\n",
        );
    }
    let item = |gap: String| Html::new().raw("<li>").add(&text(gap)).raw("</li>");
    Html::new()
        .raw("<div class=\"gaps\"><h3>Gaps</h3><ul>")
        .all(gaps.into_iter().map(item))
        .raw("</ul></div>\n")
}
