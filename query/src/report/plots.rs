//! Plots as SVG: no script, no font of their own, readable in black and white.
//!
//! Invariant: a function of the numbers; nothing is measured, so the same numbers give the same bytes.

use std::collections::BTreeMap;

use super::html::markup::{Html, amount, number, share, text};
use super::tally::{Cents, Outcomes};

/// Width of every plot. The page scales it to its own.
const WIDTH: f64 = 700.0;
/// Room for the names of values at the left.
const LEFT: f64 = 52.0;

/// A number as a coordinate.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

#[expect(clippy::cast_precision_loss, reason = "a picture has a few hundred dots")]
fn dots(value: u64) -> f64 {
    value as f64
}

fn svg(height: f64, what: &str, content: &Html) -> Html {
    Html::new()
        .raw("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 700 ")
        .text(at(height))
        .raw("\"><title>")
        .text(what)
        .raw("</title>")
        .add(content)
        .raw("</svg>\n")
}

fn rect(class: &'static str, x: f64, y: f64, width: f64, height: f64) -> Html {
    Html::new()
        .raw("<rect class=\"")
        .raw(class)
        .raw("\" x=\"")
        .text(at(x))
        .raw("\" y=\"")
        .text(at(y))
        .raw("\" width=\"")
        .text(at(width))
        .raw("\" height=\"")
        .text(at(height))
        .raw("\"/>")
}

fn label(class: &'static str, x: f64, y: f64, value: &str) -> Html {
    Html::new()
        .raw("<text class=\"")
        .raw(class)
        .raw("\" x=\"")
        .text(at(x))
        .raw("\" y=\"")
        .text(at(y))
        .raw("\">")
        .text(value)
        .raw("</text>")
}

fn line(y: f64) -> Html {
    Html::new()
        .raw("<line class=\"grid\" x1=\"52\" x2=\"700\" y1=\"")
        .text(at(y))
        .raw("\" y2=\"")
        .text(at(y))
        .raw("\"/>")
}

/// The smallest of 1, 2, 5, 10, 20, 50 ... that is not below `value`.
fn round_up(value: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let round = step.saturating_mul(factor);
            if value <= round || round == u64::MAX {
                return round;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// A class of a stacked plot: how it is drawn and called.
pub(crate) type Part = (&'static str, &'static str);

pub(crate) const OUTCOMES: [Part; 3] =
    [("good", "succeeded"), ("denied", "denied"), ("bad", "failed")];
pub(crate) const TRACED: [Part; 3] =
    [("good", "leads to a sponsor"), ("denied", "only by a claim"), ("bad", "nobody answers")];

/// The parts of a day's outcomes, in the order of [`OUTCOMES`].
pub(crate) fn parts_of(outcomes: Outcomes) -> [u64; 3] {
    [outcomes.success, outcomes.denied, outcomes.error]
}

/// One stacked bar for each day.
pub(crate) fn days(what: &str, parts: [Part; 3], days: &BTreeMap<String, [u64; 3]>) -> Html {
    let (top, bottom) = (24.0, 150.0);
    let highest = days.values().map(|day| day.iter().sum::<u64>()).max().unwrap_or(0);
    let highest = round_up(highest.max(1));
    let scale = (bottom - top) / dots(highest);
    let step = (WIDTH - LEFT) / dots(days.len().max(1) as u64);
    let width = (step * 0.8).min(36.0);
    let mut content = Html::new();
    for (part, value) in [(0.0, 0), (0.5, highest / 2), (1.0, highest)] {
        let y = bottom - (bottom - top) * part;
        content = content.add(&line(y));
        if part == 0.0 || 1 < highest {
            content = content.add(&label("axis end", LEFT - 6.0, y + 3.5, &number(value)));
        }
    }
    // About six dates below, the first and the last among them.
    let every = days.len().div_ceil(6).max(1);
    for (place, (day, counts)) in days.iter().enumerate() {
        let x = LEFT + step * (dots(place as u64) + 0.5);
        let mut y = bottom;
        for ((class, _), count) in parts.iter().zip(counts) {
            let height = dots(*count) * scale;
            if 0 < *count {
                y -= height;
                content = content.add(&rect(class, x - width / 2.0, y, width, height));
            }
        }
        let is_last = place + 1 == days.len();
        let is_near_last = days.len() <= place + every / 2 + 1 && !is_last;
        if is_last || (place % every == 0 && !is_near_last) {
            content = content.add(&label("axis middle", x, bottom + 15.0, &day[5..]));
        }
    }
    svg(172.0, what, &content.add(&legend(&parts)))
}

fn legend(parts: &[Part]) -> Html {
    let place = |(number, (class, name)): (usize, &Part)| {
        let x = LEFT + 150.0 * dots(number as u64);
        rect(class, x, 3.0, 10.0, 10.0).add(&label("axis", x + 15.0, 12.0, name))
    };
    Html::new().all(parts.iter().enumerate().map(place))
}

/// One bar of parts, with what each part is below it.
pub(crate) fn split(what: &str, parts: &[(&'static str, String, u64)]) -> Html {
    let whole: u64 = parts.iter().map(|(.., count)| count).sum();
    let mut content = Html::new();
    let mut x = 0.0;
    for (class, _, count) in parts.iter().filter(|(.., count)| 0 < *count) {
        let width = WIDTH * dots(*count) / dots(whole.max(1));
        content = content.add(&rect(class, x, 0.0, width, 22.0));
        x += width;
    }
    let step = WIDTH / dots(parts.len().max(1) as u64);
    for (place, (class, name, count)) in parts.iter().enumerate() {
        let x = step * dots(place as u64);
        let counted = format!("{} ({})", number(*count), share(*count, whole));
        content = content
            .add(&rect(class, x, 32.0, 10.0, 10.0))
            .add(&label("axis", x + 15.0, 41.0, name))
            .add(&label("axis strong", x + 15.0, 55.0, &counted));
    }
    svg(60.0, what, &content)
}

/// One bar for each name, the largest first, all of one currency.
pub(crate) fn bars(what: &str, currency: &str, bars: &[(&str, Cents)]) -> Html {
    let highest = bars.iter().map(|(_, cents)| cents.0).max().unwrap_or(0).max(1);
    let mut content = Html::new();
    for (place, (name, cents)) in bars.iter().enumerate() {
        let y = 20.0 * dots(place as u64);
        let thousandths = u64::try_from(cents.0.max(0) * 1_000 / highest).unwrap_or(0);
        let width = 330.0 * dots(thousandths) / 1_000.0;
        let name = shortened(name, 34);
        content = content
            .add(&label("axis end", 212.0, y + 13.5, &name))
            .add(&rect("good", 220.0, y + 3.0, width.max(0.5), 14.0))
            .add(&label(
                "axis",
                228.0 + width,
                y + 13.5,
                &format!("{} {currency}", amount(*cents)),
            ));
    }
    svg(20.0 * dots(bars.len() as u64) + 4.0, what, &content)
}

/// At most so many characters.
pub(crate) fn shortened(value: &str, characters: usize) -> String {
    if value.chars().count() <= characters {
        return value.to_owned();
    }
    value.chars().take(characters - 1).chain(['\u{2026}']).collect()
}

/// A plot with what it shows above it.
pub(crate) fn figure(caption: &str, plot: &Html) -> Html {
    Html::new()
        .raw("<figure><figcaption>")
        .add(&text(caption))
        .raw("</figcaption>")
        .add(plot)
        .raw("</figure>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, wanted) in
            [(1, 1), (2, 2), (3, 5), (6, 10), (10, 10), (101, 200), (2_001, 5_000)]
        {
            assert_eq!(round_up(value), wanted);
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_name_of_somebody_is_no_markup_in_a_plot() {
        let plot = bars("x", "EUR", &[("<script>", Cents(100)), ("b", Cents(-5))]);

        let plot = plot.into_string();

        assert!(plot.contains("&lt;script&gt;"));
        assert!(!plot.contains("<script>"));
    }
}
