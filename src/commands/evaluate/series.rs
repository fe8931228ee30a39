//! Series as NAB has them: windows of labels in, result files out.
//!
//! Invariant: a result file has the columns and the place that NAB's own scorer reads:
//! `FOLDER/surety/<folder>/surety_<file>.csv` with `timestamp,value,anomaly_score,label`.
//!
//! Source: NAB's `README.md` and `nab/detectors/base.py`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use schemas::Timestamp;

use crate::exit::{Exit, Failure};

/// What NAB calls the detector.
const NAME: &str = "surety";
/// Surprises end here, scores at 1.
const SURPRISE_MAX: f64 = 16.0;

/// Where each series is anomalous, by `folder/file.csv`.
#[derive(Debug, Default)]
pub(super) struct Windows(BTreeMap<String, Vec<(f64, f64)>>);

impl Windows {
    /// Reads NAB's `combined_windows.json`.
    ///
    /// # Errors
    ///
    /// [`Exit::Data`] if it is not that.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |failure: Failure| failure.while_doing(format!("read {}", path.display()));
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| wrong(Failure::new(Exit::Data, error)))?;
        let named: BTreeMap<String, Vec<[String; 2]>> =
            serde_json::from_str(&text).map_err(|error| wrong(Failure::new(Exit::Data, error)))?;
        let mut windows = BTreeMap::new();
        for (name, pairs) in named {
            let mut of_file = Vec::with_capacity(pairs.len());
            for [from, to] in pairs {
                let (Some(from), Some(to)) = (second_of(&from), second_of(&to)) else {
                    let text = format!("wanted times YYYY-MM-DD HH:MM:SS, found {from} and {to}");
                    return Err(wrong(Failure::told(Exit::Data, text)));
                };
                of_file.push((from, to));
            }
            windows.insert(name, of_file);
        }
        Ok(Self(windows))
    }

    /// Those of the series in this file; none if it is not named.
    pub(super) fn of(&self, path: &Path) -> Vec<(f64, f64)> {
        let of_path = self.0.iter().find(|(name, _)| path.ends_with(name));
        of_path.map(|(_, windows)| windows.clone()).unwrap_or_default()
    }
}

/// Seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "microseconds of this century")]
fn second_of(time: &str) -> Option<f64> {
    let time = Timestamp::parse(&format!("{}Z", time.trim().replacen(' ', "T", 1))).ok()?;
    Some(time.as_micros() as f64 / 1e6)
}

/// Writes the result file of the series at `path` whose rows are `lines`, without the header.
///
/// # Errors
///
/// [`Exit::Unavailable`] if it cannot be written.
pub(super) fn write_results(
    below: &Path,
    path: &Path,
    lines: &[String],
    scores: &[f64],
    windows: &[(f64, f64)],
) -> Result<(), Failure> {
    let target = result_path(below, path);
    let mut text = String::from("timestamp,value,anomaly_score,label\n");
    for (line, score) in lines.iter().zip(scores) {
        let time = line.split_once(',').and_then(|(time, _)| second_of(time)).unwrap_or_default();
        let label = u8::from(windows.iter().any(|(from, to)| (*from..=*to).contains(&time)));
        let score = (score / SURPRISE_MAX).clamp(0.0, 1.0);
        writeln!(text, "{line},{score},{label}").expect("writing to a string does not fail");
    }
    let folder = target.parent().expect("a result file lies in a folder");
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&target, text));
    written.map_err(|error| {
        Failure::new(Exit::Unavailable, error).while_doing(format!("write {}", target.display()))
    })
}

fn result_path(below: &Path, path: &Path) -> PathBuf {
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or("series.csv");
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    below.join(NAME).join(folder).join(format!("{NAME}_{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_file_is_what_nabs_scorer_reads() {
        let folder = tempfile::TempDir::new().unwrap();
        let labels = folder.path().join("windows.json");
        let json = r#"{"realTweets/a.csv": [["2014-04-01 00:05:00", "2014-04-01 00:10:00"]]}"#;
        std::fs::write(&labels, json).unwrap();
        let path = Path::new("data/realTweets/a.csv");
        let windows = Windows::read(&labels).unwrap();
        let lines = ["2014-04-01 00:00:00,1", "2014-04-01 00:10:00,99"].map(str::to_owned);

        write_results(folder.path(), path, &lines, &[0.0, 8.0], &windows.of(path)).unwrap();

        let written = folder.path().join("surety/realTweets/surety_a.csv");
        assert_eq!(
            std::fs::read_to_string(written).unwrap(),
            "timestamp,value,anomaly_score,label\n\
             2014-04-01 00:00:00,1,0,0\n2014-04-01 00:10:00,99,0.5,1\n"
        );
        assert!(windows.of(Path::new("data/realTweets/b.csv")).is_empty());
    }

    #[test]
    fn a_window_that_is_no_time_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let labels = folder.path().join("windows.json");
        std::fs::write(&labels, r#"{"a.csv": [["yesterday", "today"]]}"#).unwrap();

        let failure = Windows::read(&labels).unwrap_err();

        assert_eq!(failure.exit(), Exit::Data);
        assert!(format!("{failure:#}").contains("yesterday"), "{failure:#}");
    }
}
