//! `--plots`: what the metrics summarise, as pictures.
//!
//! Invariant: a function of the reports: the same rows give the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use detect::evaluate::{Curves, Report};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use super::unwritable;
use crate::exit::{Exit, Failure};

/// Pixels.
const SIZE: (u32, u32) = (760, 520);
/// Told apart in black and white by their order in the legend.
const COLOURS: [RGBColor; 5] = [
    RGBColor(27, 79, 114),
    RGBColor(176, 58, 46),
    RGBColor(30, 132, 73),
    RGBColor(125, 60, 152),
    RGBColor(120, 120, 120),
];
/// The least rate on the axes of the calibration, in false alerts per agent-day.
const RATE_MIN: f64 = 0.001;

type Drawn<T> = Result<T, DrawingAreaErrorKind<io::Error>>;
/// A stream's name and its curves.
type Streams<'a> = [(String, &'a Curves)];

/// Writes `roc.svg`, `precision-recall.svg`, `calibration.svg` and `detectors.svg` below `folder`.
///
/// # Errors
///
/// [`Exit::Unavailable`] for what cannot be written.
pub(super) fn write(folder: &Path, reports: &[(&PathBuf, Report)]) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    let streams: Vec<(String, &Curves)> =
        reports.iter().map(|(path, report)| (name_of(path), &report.curves)).collect();
    let roc = Axes {
        title: "Receiver operating characteristic, by row",
        x: "share of benign rows above the score",
        y: "share of malicious rows above it",
    };
    let precision_recall =
        Axes { title: "Precision and recall, by row", x: "recall", y: "precision" };
    let of_chance = [(0.0, 0.0), (1.0, 1.0)];
    for (file, picture) in [
        (
            "roc.svg",
            shares(&roc, &streams, (Some(of_chance), SeriesLabelPosition::LowerRight), |curves| {
                &curves.roc
            }),
        ),
        (
            "precision-recall.svg",
            shares(
                &precision_recall,
                &streams,
                (None, SeriesLabelPosition::UpperRight),
                |curves| &curves.precision_recall,
            ),
        ),
        ("calibration.svg", calibration(&streams)),
        ("detectors.svg", detectors(&streams)),
    ] {
        let text = picture.map_err(|error| {
            Failure::told(Exit::Software, format!("{file} could not be drawn: {error}"))
        })?;
        let path = folder.join(file);
        fs::write(&path, text).map_err(|error| unwritable(&path, error))?;
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

struct Axes {
    title: &'static str,
    x: &'static str,
    y: &'static str,
}

/// A curve of each stream between 0 and 1.
fn shares(
    axes: &Axes,
    streams: &Streams<'_>,
    (of_chance, legend): (Option<[(f64, f64); 2]>, SeriesLabelPosition),
    points: impl Fn(&Curves) -> &[[f64; 2]],
) -> Drawn<String> {
    let mut svg = String::new();
    {
        let area = blank(&mut svg)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(axes.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart.configure_mesh().x_desc(axes.x).y_desc(axes.y).draw()?;
        if let Some(ends) = of_chance {
            chart.draw_series(LineSeries::new(ends, RGBColor(160, 160, 160)))?;
        }
        draw(&mut chart, streams, (legend, 0), |curves| {
            points(curves).iter().map(|[x, y]| (*x, *y)).collect()
        })?;
        area.present()?;
    }
    Ok(svg)
}

/// A line of each stream, with points of so many pixels, and the legend.
fn draw<'a, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    streams: &Streams<'_>,
    (legend, point_size): (SeriesLabelPosition, u32),
    line: impl Fn(&Curves) -> Vec<(f64, f64)>,
) -> Drawn<()> {
    for ((name, curves), colour) in streams.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line(curves), style).point_size(point_size))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(legend)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()
}

/// What was promised against what came, both on logarithmic axes.
fn calibration(streams: &Streams<'_>) -> Drawn<String> {
    let mut svg = String::new();
    {
        let area = blank(&mut svg)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("False alerts per agent-day", ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((RATE_MIN..1.0).log_scale(), (RATE_MIN..1.0).log_scale())?;
        chart.configure_mesh().x_desc("expected at most").y_desc("observed").draw()?;
        // As promised, and twice and half of it.
        for ends in [
            [(RATE_MIN, RATE_MIN), (1.0, 1.0)],
            [(RATE_MIN, 2.0 * RATE_MIN), (0.5, 1.0)],
            [(2.0 * RATE_MIN, RATE_MIN), (1.0, 0.5)],
        ] {
            chart.draw_series(LineSeries::new(ends, RGBColor(160, 160, 160)))?;
        }
        draw(&mut chart, streams, (SeriesLabelPosition::LowerRight, 2), |curves| {
            let rates = curves.calibration.iter();
            rates.map(|[x, y]| (*x, y.clamp(RATE_MIN, 1.0))).collect()
        })?;
        area.present()?;
    }
    Ok(svg)
}

/// How much of each detector's findings is on malicious rows, all streams together.
#[expect(clippy::cast_precision_loss, reason = "a picture needs no more than a few digits")]
fn detectors(streams: &Streams<'_>) -> Drawn<String> {
    let mut all: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for (detector, found) in streams.iter().flat_map(|(_, curves)| &curves.findings) {
        let of = all.entry(detector).or_default();
        *of = [of[0] + found[0], of[1] + found[1]];
    }
    let most = all.values().map(|[hits, misses]| hits + misses).max().unwrap_or(0).max(1) as f64;
    let rows = all.len().max(1) as f64;
    let mut svg = String::new();
    {
        let area = blank(&mut svg)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Findings by detector, at the review budget", ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .build_cartesian_2d(0.0..1.6 * most, 0.0..rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc("findings: dark on malicious rows, light on benign ones")
            .draw()?;
        for (at, (detector, [hits, misses])) in all.iter().enumerate() {
            let (bottom, top) = (rows - at as f64 - 0.85, rows - at as f64 - 0.15);
            let (hit, end) = (*hits as f64, (hits + misses) as f64);
            let bar = |from: f64, to: f64, colour: RGBColor| {
                Rectangle::new([(from, bottom), (to, top)], colour.filled())
            };
            let light = RGBColor(190, 200, 210);
            chart.draw_series([bar(0.0, hit, COLOURS[0]), bar(hit, end, light)])?;
            let text = format!("{detector}: {hits} of {}", hits + misses);
            let place = (end + most / 80.0, f64::midpoint(bottom, top) + 0.2);
            chart.draw_series([Text::new(text, place, ("sans-serif", 14))])?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn blank(svg: &mut String) -> Drawn<DrawingArea<SVGBackend<'_>, plotters::coord::Shift>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    Ok(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_have_the_curves_and_no_markup_of_a_file_s_name() {
        let curves = Curves {
            roc: vec![[0.0, 0.0], [0.2, 0.9], [1.0, 1.0]],
            precision_recall: vec![[0.5, 1.0], [1.0, 0.4]],
            calibration: vec![[0.1, 0.08], [0.01, 0.02]],
            findings: BTreeMap::from([("new_counterparty", [7, 3])]),
        };
        let streams = [(name_of(Path::new("a/<b>&.jsonl")), &curves)];
        let axes = Axes { title: "title", x: "x", y: "y" };

        let roc =
            shares(&axes, &streams, (None, SeriesLabelPosition::LowerRight), |curves| &curves.roc)
                .unwrap();
        let bars = detectors(&streams).unwrap();
        let rates = calibration(&streams).unwrap();

        assert!(roc.contains("&lt;b&gt;&amp;.jsonl") && !roc.contains("<b>"), "{roc}");
        assert!(1 <= roc.matches("<polyline").count(), "{roc}");
        assert!(bars.contains("new_counterparty: 7 of 10"), "{bars}");
        assert!(rates.contains("expected at most"), "{rates}");
        assert!(detectors(&[]).is_ok(), "no stream is no bar");
    }
}
