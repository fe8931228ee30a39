//! Evaluates the detector on labelled rows: one report per file, then the mean of all.
//!
//! `cargo run -p detect --release --example evaluate -- --kind agent-stream FILE.jsonl...
//! [--without peers|probation|calibration] [--scores OUT.csv]`

#![expect(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::io::{BufRead, BufReader, Read, Write};

use detect::evaluate::{Evaluation, Report};
use detect::{Ablation, Config};

fn main() {
    let mut files = Vec::new();
    let mut scores_to = None;
    let mut config = Config::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--kind" => assert_eq!(args.next().as_deref(), Some("agent-stream"), "the only kind"),
            "--without" => {
                config = config.without(match args.next().as_deref() {
                    Some("peers") => Ablation::Peers,
                    Some("probation") => Ablation::Probation,
                    Some("calibration") => Ablation::Calibration,
                    _ => panic!("wanted peers, probation or calibration"),
                });
            }
            "--scores" => scores_to = args.next(),
            _ => files.push(arg),
        }
    }
    let mut reports = Vec::new();
    for file in &files {
        let mut evaluation = Evaluation::new(config.clone());
        let input: Box<dyn Read> = if file == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(file).expect("a file"))
        };
        for line in BufReader::new(input).lines() {
            evaluation.push(&line.expect("text")).expect("a row");
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
