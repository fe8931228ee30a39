//! `surety evaluate`: labelled streams through the real detector, and how well it does; edges and
//! series through a part that only they have, unless the detector alone is asked for.
//!
//! Invariant: each file is a stream of its own, judged by what knows nothing yet and by the default
//! configuration; `--scores` has one line per row that was read, in order.

mod company;
mod plots;
mod series;

use std::fs::File;
use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use detect::evaluate::{Evaluation, NabScore, Poison, Report};
use detect::{Ablation, Config};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use self::series::Windows;
use super::typed;
use crate::bench::Usage;
use crate::cli::measure::Poisoning;
use crate::cli::{Evaluate, Part, ReportFormat, StreamKind};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Rows between two looks at the terminal and at the signals.
const ROWS_PER_LOOK: u64 = 8_192;
/// Processor time below which speed is not told: it is counted in 10 ms.
const USED_MIN: Duration = Duration::from_millis(100);

/// Evaluates the files and prints the metrics: those of the one file, or the means of all with those
/// of each.
///
/// # Errors
///
/// [`Exit::Usage`] for what does not go together; [`Exit::Data`] with path and line of what is no row;
/// [`Exit::Unavailable`] for what cannot be read or written.
pub(super) fn run(args: &Evaluate, shutdown: &CancellationToken) -> Result<Exit, Failure> {
    check(args)?;
    if args.kind == StreamKind::Company {
        return company::run(args, shutdown);
    }
    let windows = args.windows.as_deref().map(Windows::read).transpose()?.unwrap_or_default();
    let mut scores = args.scores.as_deref().map(Scores::create).transpose()?;
    let mut reports = Vec::with_capacity(args.files.len());
    let mut speeds = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let (of_file, report, speed) = evaluate(args, path, &windows, shutdown)?;
        speeds.push(speed);
        if let Some(scores) = &mut scores {
            scores.write(&of_file)?;
        }
        reports.push((path, report));
    }
    if let Some(scores) = scores {
        scores.finish()?;
    }
    if let Some(folder) = &args.plots {
        plots::write(folder, &reports)?;
    }
    let answer = figures(args, &reports, &speeds);
    let text = match args.format {
        ReportFormat::Json => format!("{answer:#}\n"),
        ReportFormat::Table => lines_of(&answer),
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

/// Options that are of one kind of streams only.
fn check(args: &Evaluate) -> Result<(), Failure> {
    let only = |option: &str, kind: StreamKind| {
        let text = format!("{option}: wanted --kind {}, found {}", typed(&kind), typed(&args.kind));
        Failure::told(Exit::Usage, text)
    };
    if args.poisoned.is_some() && args.kind != StreamKind::AgentStream {
        return Err(only("--poisoned", StreamKind::AgentStream));
    }
    if args.windows.is_some() && args.kind != StreamKind::Series {
        return Err(only("--windows", StreamKind::Series));
    }
    if args.results.is_some() && args.kind != StreamKind::Series {
        return Err(only("--results", StreamKind::Series));
    }
    let has_own_part = matches!(args.kind, StreamKind::Edges | StreamKind::Series);
    if args.detector_alone && !has_own_part {
        let found = typed(&args.kind);
        let text = format!("--detector-alone: wanted --kind edges or series, found {found}");
        return Err(Failure::told(Exit::Usage, text));
    }
    if args.without.is_some() && has_own_part && !args.detector_alone {
        let text = "--without leaves a part of the detector out: wanted --detector-alone with it";
        return Err(Failure::told(Exit::Usage, text.to_owned()));
    }
    if args.kind == StreamKind::Company && !args.files.is_empty() {
        let text = "--kind company plays its own events: wanted no file".to_owned();
        return Err(Failure::told(Exit::Usage, text));
    }
    let is_of_files = args.scores.is_some() || args.without.is_some() || args.plots.is_some();
    if args.kind == StreamKind::Company && is_of_files {
        let text = "--scores, --without and --plots: wanted a kind that reads files, found company";
        return Err(Failure::told(Exit::Usage, text.to_owned()));
    }
    Ok(())
}

/// One file through a new detector: scores, metrics, rows read and judged per second of a processor.
fn evaluate(
    args: &Evaluate,
    path: &Path,
    windows: &Windows,
    shutdown: &CancellationToken,
) -> Result<(Vec<f64>, Report, Option<f64>), Failure> {
    let config = args.without.map_or_else(Config::default, |part| {
        Config::default().without(match part {
            Part::Peers => Ablation::Peers,
            Part::Probation => Ablation::Probation,
            Part::Calibration => Ablation::Calibration,
        })
    });
    let kind = match args.kind {
        StreamKind::AgentStream => detect::evaluate::Kind::AgentStream,
        StreamKind::Edges => detect::evaluate::Kind::Edges,
        StreamKind::Series => detect::evaluate::Kind::Series,
        StreamKind::Company => unreachable!("it has no file"),
    };
    let windows = windows.of(path);
    let evaluation = if args.detector_alone {
        Evaluation::by_detector_alone(kind, config)
    } else {
        Evaluation::new(kind, config)
    };
    let mut evaluation = evaluation.with_windows(windows.clone());
    let before = Usage::now().ok();
    let no_row = |number: u64, error| {
        Failure::new(Exit::Data, error).while_doing(format!("{}:{number}", path.display()))
    };
    if args.poisoned.is_none() && args.results.is_none() {
        each_line(path, shutdown, |number, line| {
            evaluation.push(line).map_err(|error| no_row(number, error))
        })?;
        evaluation.judge_waiting();
        let used = used_since(before.as_ref());
        let (scores, report) = evaluation.finish();
        let speed = per_second(&scores, used);
        return Ok((scores, report, speed));
    }
    let mut lines = Vec::new();
    each_line(path, shutdown, |_, line| {
        lines.push(line.to_owned());
        Ok(())
    })?;
    if let Some(how) = args.poisoned {
        let poison = match how {
            Poisoning::SmallSessions => Poison::SmallSessions,
            Poisoning::FakePeers => Poison::FakePeers,
        };
        let poisoned = poison.add_to(&lines);
        lines = poisoned.map_err(|(number, error)| no_row(number as u64, error))?;
    }
    for (number, line) in (1..).zip(&lines) {
        evaluation.push(line).map_err(|error| no_row(number, error))?;
    }
    evaluation.judge_waiting();
    let used = used_since(before.as_ref());
    let (scores, report) = evaluation.finish();
    if let Some(below) = &args.results {
        lines.retain(|line| !line.trim().is_empty() && !line.starts_with("timestamp"));
        series::write_results(below, path, &lines, &scores, &windows)?;
    }
    let speed = per_second(&scores, used);
    Ok((scores, report, speed))
}

/// Processor time of all threads, where the system tells it.
fn used_since(before: Option<&Usage>) -> Option<Duration> {
    Some(Usage::now().ok()?.since(before?).cpu)
}

/// None of what took too few of the clock's ticks to tell.
#[expect(clippy::cast_precision_loss, reason = "rows of a file")]
fn per_second(scores: &[f64], used: Option<Duration>) -> Option<f64> {
    let used = used.filter(|used| USED_MIN <= *used)?;
    Some((scores.len() as f64 / used.as_secs_f64()).round())
}

/// Gives `sink` each line of the file with its number, from 1.
fn each_line(
    path: &Path,
    shutdown: &CancellationToken,
    mut sink: impl FnMut(u64, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(Exit::Data, error).while_doing(format!("read {}", path.display()))
    };
    let mut input = ingest::open_plain_or_gzip(path).map_err(unreadable)?;
    let bar = bar(path);
    let (mut line, mut number) = (String::new(), 0_u64);
    loop {
        line.clear();
        if input.read_line(&mut line).map_err(unreadable)? == 0 {
            break;
        }
        number += 1;
        sink(number, line.trim_end())?;
        if number.is_multiple_of(ROWS_PER_LOOK) {
            bar.set_position(number);
            if shutdown.is_cancelled() {
                let text = "stopped before the end: nothing was evaluated".to_owned();
                return Err(Failure::told(Exit::Unavailable, text));
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// How many rows were read, for a person who watches.
fn bar(path: &Path) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} rows of {msg}, {per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style.expect("a valid template"));
    bar.with_message(path.display().to_string())
}

/// The file of `--scores`.
struct Scores {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Scores {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| unwritable(path, error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn write(&mut self, scores: &[f64]) -> Result<(), Failure> {
        for score in scores {
            // As many digits as tell it from every other one: what ranks apart stays apart.
            writeln!(self.file, "{score}").map_err(|error| unwritable(&self.path, error))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(|error| unwritable(&self.path, error))
    }
}

fn unwritable(path: &Path, error: io::Error) -> Failure {
    Failure::new(Exit::Unavailable, error).while_doing(format!("write {}", path.display()))
}

/// The metrics as JSON.
fn figures(args: &Evaluate, reports: &[(&PathBuf, Report)], speeds: &[Option<f64>]) -> Value {
    let values: Vec<Value> = reports
        .iter()
        .zip(speeds)
        .map(|((_, report), speed)| {
            let mut value = serde_json::to_value(report).expect("a report is numbers");
            value["rows_per_processor_second"] = json!(speed);
            value
        })
        .collect();
    let mut answer = summed_up(&values);
    if args.windows.is_some() {
        let series: Vec<_> = reports.iter().map(|(_, report)| &report.series).collect();
        answer["nab"] = json!(NabScore::of(&series));
    }
    answer["kind"] = json!(typed(&args.kind));
    answer["without"] = json!(args.without.as_ref().map(typed));
    answer["poisoned"] = json!(args.poisoned.as_ref().map(typed));
    answer["files"] = reports
        .iter()
        .zip(values)
        .map(|((path, _), mut value)| {
            value["file"] = json!(path);
            value
        })
        .collect();
    answer
}

/// The one value; or the mean of several, with the `range` of each number.
fn summed_up(values: &[Value]) -> Value {
    match values {
        [one] => one.clone(),
        all => {
            let mut answer = summary(all, &|numbers| json!(mean(numbers)));
            answer["range"] = summary(all, &|numbers| {
                let least = numbers.iter().copied().fold(f64::MAX, f64::min);
                json!([least, numbers.iter().copied().fold(f64::MIN, f64::max)])
            });
            answer
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few files")]
fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// What `of` makes of values of one shape, number by number; of counts too, as a file's are. What is
/// null in one of them is null.
fn summary(all: &[Value], of: &impl Fn(&[f64]) -> Value) -> Value {
    match &all[0] {
        Value::Number(_) => {
            let numbers: Option<Vec<f64>> = all.iter().map(Value::as_f64).collect();
            numbers.map_or(Value::Null, |numbers| of(&numbers))
        }
        Value::Object(first) => {
            let of_key = |key: &String| {
                let values: Vec<Value> = all.iter().map(|one| one[key].clone()).collect();
                (key.clone(), summary(&values, of))
            };
            Value::Object(first.keys().map(of_key).collect::<Map<String, Value>>())
        }
        Value::Array(first) => {
            let of_place = |at: usize| {
                let values: Vec<Value> = all.iter().map(|one| one[at].clone()).collect();
                summary(&values, of)
            };
            (0..first.len()).map(of_place).collect()
        }
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other.clone(),
    }
}

/// The same for people: a line per number.
fn lines_of(answer: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in answer.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("calibration", Value::Array(levels)) => {
                for level in levels {
                    let (budget, observed) = (&level["budget"], &level["observed"]);
                    lines.push(format!(
                        "false alerts per agent-day   {observed} at a budget of {budget}\n"
                    ));
                }
            }
            ("range", _) => {}
            ("files", Value::Array(files)) if files.len() < 2 => {}
            ("files", Value::Array(files)) => {
                for file in files {
                    lines.push(format!(
                        "{}: auc {}, average precision {}\n",
                        file["file"].as_str().unwrap_or_default(),
                        file["auc"],
                        file["average_precision"]
                    ));
                }
            }
            (name, Value::Object(parts)) => {
                for (part, value) in parts {
                    lines.push(format!("{:<28} {value}\n", format!("{name} at {part}")));
                }
            }
            (name, value) => lines.push(format!("{name:<28} {value}\n")),
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_reports_has_their_shape() {
        let one = json!({"auc": 0.5, "recall": {"0.1": 1.0}, "calibration": [{"budget": 0.1}], "t": null});
        let two =
            json!({"auc": 1.0, "recall": {"0.1": 0.0}, "calibration": [{"budget": 0.1}], "t": 3.0});

        let of_both = summed_up(&[one, two]);

        assert_eq!(
            of_both,
            json!({"auc": 0.75, "recall": {"0.1": 0.5}, "calibration": [{"budget": 0.1}], "t": null,
                "range": {"auc": [0.5, 1.0], "recall": {"0.1": [0.0, 1.0]},
                    "calibration": [{"budget": [0.1, 0.1]}], "t": null}})
        );
    }

    /// What the command line gives without options.
    fn args_of(kind: StreamKind, file: PathBuf) -> Evaluate {
        Evaluate {
            kind,
            files: vec![file],
            agents: 2_000,
            days: 90,
            seeds: vec![1],
            scores: None,
            plots: None,
            without: None,
            poisoned: None,
            windows: None,
            results: None,
            detector_alone: false,
            format: ReportFormat::Json,
        }
    }

    #[test]
    fn a_line_that_is_no_row_is_named_by_its_place() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("rows.jsonl");
        std::fs::write(&file, "\n[1, 2]\n").unwrap();
        let args = args_of(StreamKind::AgentStream, file);

        let failure = run(&args, &CancellationToken::new()).unwrap_err();

        assert_eq!(failure.exit(), Exit::Data);
        let text = format!("{failure:#}");
        assert!(text.contains("rows.jsonl:2: wanted an array of twelve values"), "{text}");
    }

    #[test]
    fn options_of_another_kind_are_refused() {
        let args = Evaluate {
            poisoned: Some(Poisoning::FakePeers),
            ..args_of(StreamKind::Edges, "edges".into())
        };

        let failure = run(&args, &CancellationToken::new()).unwrap_err();

        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn series_have_nabs_score_and_both_ways_to_judge() {
        let folder = tempfile::TempDir::new().unwrap();
        let series = folder.path().join("art").join("one.csv");
        std::fs::create_dir(folder.path().join("art")).unwrap();
        let row = |n: u32| {
            let value = if n == 900 { 500 } else { 20 + n * 7 % 5 };
            format!("2014-04-{:02} {:02}:{:02}:00,{value}\n", 1 + n / 288, n / 12 % 24, n % 12 * 5)
        };
        let rows: String = (0..1_000).map(row).collect();
        std::fs::write(&series, format!("timestamp,value\n{rows}")).unwrap();
        let labels = folder.path().join("windows.json");
        let window = r#"{"art/one.csv": [["2014-04-04 03:00:00", "2014-04-04 05:00:00"]]}"#;
        std::fs::write(&labels, window).unwrap();
        let args = |detector_alone| Evaluate {
            windows: Some(labels.clone()),
            detector_alone,
            ..args_of(StreamKind::Series, series.clone())
        };

        for detector_alone in [false, true] {
            let args = args(detector_alone);
            let windows = Windows::read(&labels).unwrap();
            let judged = evaluate(&args, &series, &windows, &CancellationToken::new()).unwrap();
            let answer = figures(&args, &[(&series, judged.1)], &[judged.2]);

            // The wild value is the first of the window, and nothing else is told.
            let standard = answer["nab"]["standard"].as_f64().unwrap();
            assert!(99.9 < standard, "{answer:#}");
            assert_eq!(answer["session"], json!(null));
        }
    }

    #[test]
    fn parts_of_the_detector_are_left_out_of_the_detector_alone() {
        let usage = |kind, detector_alone, without| {
            let args = Evaluate {
                kind,
                files: vec!["rows".into()],
                agents: 2_000,
                days: 90,
                seeds: vec![1],
                scores: None,
                plots: None,
                without,
                poisoned: None,
                windows: None,
                results: None,
                detector_alone,
                format: ReportFormat::Json,
            };
            check(&args).err().map(|failure| failure.exit())
        };

        assert_eq!(usage(StreamKind::AgentStream, true, None), Some(Exit::Usage));
        assert_eq!(usage(StreamKind::Edges, false, Some(Part::Peers)), Some(Exit::Usage));
        assert_eq!(usage(StreamKind::Edges, true, Some(Part::Peers)), None);
    }
}
