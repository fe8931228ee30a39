//! Evaluates the detector on labelled rows: one report per file, then the mean of all.
//!
//! `cargo run -p detect --release --example evaluate -- --kind agent-stream|edges FILE...
//! [--without peers|probation|calibration] [--poisoned] [--scores OUT.csv]`

#![expect(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::io::{BufRead, BufReader, Read, Write};

use detect::evaluate::{Evaluation, Kind, Report};
use detect::{Ablation, Config};

/// In the five days before its first attack each attacker makes its victim deal with the same
/// counterparty by the same tool once a day, for a hundredth of the money. These are malicious too.
fn poisoned(lines: &[String]) -> Vec<String> {
    let mut rows: Vec<(f64, serde_json::Value)> = lines
        .iter()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("a row");
            (row[0].as_f64().expect("seconds"), row)
        })
        .collect();
    let mut victims = Vec::new();
    let mut small = Vec::new();
    for (second, row) in &rows {
        let has_payee = row[8].as_array().is_some_and(|all| !all.is_empty());
        if row[11] != 1 || !has_payee || victims.contains(&row[1]) {
            continue;
        }
        victims.push(row[1].clone());
        for day in 1..=5_i32 {
            let at = second - 86_400.0 * f64::from(day);
            let mut one = row.clone();
            one[0] = at.into();
            one[4] = format!("small-{}-{day}", row[1]).into();
            one[9] = row[9].as_f64().map(|units| units / 100.0).into();
            one[11] = 1.into();
            small.push((at, one));
        }
    }
    rows.extend(small);
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.iter().map(|(_, row)| row.to_string()).collect()
}

fn main() {
    let mut files = Vec::new();
    let mut kind = Kind::AgentStream;
    let mut scores_to = None;
    let mut is_poisoned = false;
    let mut config = Config::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--kind" => {
                kind = match args.next().as_deref() {
                    Some("agent-stream") => Kind::AgentStream,
                    Some("edges") => Kind::Edges,
                    _ => panic!("wanted agent-stream or edges"),
                }
            }
            "--without" => {
                config = config.without(match args.next().as_deref() {
                    Some("peers") => Ablation::Peers,
                    Some("probation") => Ablation::Probation,
                    Some("calibration") => Ablation::Calibration,
                    _ => panic!("wanted peers, probation or calibration"),
                });
            }
            "--poisoned" => is_poisoned = true,
            "--scores" => scores_to = args.next(),
            _ => files.push(arg),
        }
    }
    let mut reports = Vec::new();
    for file in &files {
        let mut evaluation = Evaluation::new(kind, config.clone());
        let input: Box<dyn Read> = if file == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(file).expect("a file"))
        };
        let lines = BufReader::new(input).lines().map(|line| line.expect("text"));
        if is_poisoned {
            for line in poisoned(&lines.collect::<Vec<String>>()) {
                evaluation.push(&line).expect("a row");
            }
        } else {
            for line in lines {
                evaluation.push(&line).expect("a row");
            }
        }
        let (scores, report) = evaluation.finish();
        if let Some(path) = &scores_to {
            let mut out = std::fs::File::create(path).expect("a file to write");
            let text: Vec<String> = scores.iter().map(|score| format!("{score:.6}\n")).collect();
            out.write_all(text.concat().as_bytes()).expect("a disk");
        }
        println!("{}", serde_json::to_string(&report).expect("numbers"));
        reports.push(report);
    }
    tell_mean(&reports);
}

fn tell_mean(reports: &[Report]) {
    let count = f64::from(u32::try_from(reports.len()).expect("a few files"));
    let mean = |of: fn(&Report) -> f64| reports.iter().map(of).sum::<f64>() / count;
    println!(
        "mean: auc {:.4} ap {:.3} recall {:.3}/{:.3}/{:.3} first {:.3} calibration {}",
        mean(|one| one.auc),
        mean(|one| one.average_precision),
        mean(|one| one.recall.review),
        mean(|one| one.recall.page),
        mean(|one| one.recall.block),
        mean(|one| one.caught_at_first_call),
        [0, 1, 2]
            .map(|at| {
                let ratio =
                    |one: &Report| one.calibration[at].observed / one.calibration[at].expected;
                format!("{:.2}", reports.iter().map(ratio).sum::<f64>() / count)
            })
            .join("/")
    );
}
