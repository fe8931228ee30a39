//! `surety evaluate --kind company`: a simulated company through the detector.
//!
//! Invariant: the figures of a seed are those of that seed alone, whatever others are asked for.

mod play;

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::play::{Play, Played};
use crate::cli::{Evaluate, ReportFormat};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Plays the company of each seed and prints what came of it.
///
/// # Errors
///
/// [`Exit::Unavailable`] if it was stopped.
pub(super) fn run(args: &Evaluate, shutdown: &CancellationToken) -> Result<Exit, Failure> {
    let mut all = Vec::with_capacity(args.seeds.len());
    for seed in &args.seeds {
        let (agents, days) = (args.agents as usize, u64::from(args.days));
        let play = Play { seed: *seed, agents, days };
        let bar = bar(*seed);
        let played = play.play(&mut |folded| {
            bar.set_position(folded);
            !shutdown.is_cancelled()
        });
        bar.finish_and_clear();
        let text = "stopped before the end: nothing was evaluated";
        all.push(played.ok_or_else(|| Failure::told(Exit::Unavailable, text.to_owned()))?);
    }
    let values: Vec<Value> =
        all.iter().map(|one| serde_json::to_value(one).expect("figures are numbers")).collect();
    let text = match args.format {
        ReportFormat::Json => {
            let answer = json!({
                "kind": "company", "agents": args.agents, "days": args.days, "seeds": values,
            });
            format!("{answer:#}\n")
        }
        ReportFormat::Table => all.iter().map(lines_of).collect(),
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

/// For a person who watches.
fn bar(seed: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} seed {msg}: {human_pos} events, {per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style.expect("a valid template"));
    bar.with_message(seed.to_string())
}

fn lines_of(played: &Played) -> String {
    let mut lines = vec![format!(
        "seed {}: {} events, {} normal agent-days\n",
        played.seed, played.events, played.agent_days
    )];
    for level in &played.calibration {
        lines.push(format!(
            "  false findings per agent-day {:.4} at a budget of {}: {:.2} of it\n",
            level.observed, level.budget, level.ratio
        ));
    }
    for (detector, count) in &played.false_findings {
        lines.push(format!("  {detector}: {count}\n"));
    }
    for (detector, count) in &played.registry_findings {
        lines.push(format!("  {detector}, by the registry: {count}\n"));
    }
    for attack in &played.attacks {
        let name = serde_json::to_value(attack.attack).expect("a name");
        let name = name.as_str().unwrap_or_default().to_owned();
        lines.push(match (attack.found_at_event, attack.seconds_to_detect) {
            (Some(event), Some(seconds)) => format!(
                "  {name}: event {event} of {}, {} {}, after {seconds:.0} s and {:.0} units of {:.0}\n",
                attack.events,
                attack.severity.unwrap_or_default(),
                attack.detector.unwrap_or_default(),
                attack.money_before,
                attack.money_in_all
            ),
            _ => format!("  {name}: not found in {} events\n", attack.events),
        });
    }
    lines.concat()
}
