//! [`fragment`]: a plot of ours, whose SVG has rectangles, lines across and texts.

use super::font::Fonts;
use super::lines::{BAD, Color, DENIED, FOURTH, GOOD, INK, RULE, SOFT, Style};
use super::paper::{Fragment, Mark};
use super::tree::Element;

/// Of the page's letters, in units of the plot.
const LETTERS: f32 = 10.5;

pub(super) fn fragment(svg: &Element, room: f32, fonts: &Fonts) -> Fragment {
    let mut numbers = svg.attribute("viewBox").split(' ').filter_map(|one| one.parse().ok());
    let (width, height): (f32, f32) =
        (numbers.nth(2).unwrap_or(700.0), numbers.next().unwrap_or(0.0));
    let scale = room / width.max(1.0);
    let mut whole = Fragment { height: height * scale, ..Fragment::default() };
    for mark in svg.elements() {
        let at = |name: &str| mark.number(name) * scale;
        match mark.name.as_str() {
            "rect" => {
                whole.rect([at("x"), at("y"), at("width"), at("height")], color(mark));
            }
            "line" => {
                let (x, y) = (at("x1"), at("y1"));
                whole.rect([x, y - 0.3, at("x2") - x, 0.6], RULE);
            }
            "text" => whole.marks.push(label(mark, at("x"), at("y"), LETTERS * scale, fonts)),
            _ => {}
        }
    }
    whole
}

fn color(mark: &Element) -> Color {
    match mark.class() {
        "denied" => DENIED,
        "bad" => BAD,
        "fourth" => FOURTH,
        _ => GOOD,
    }
}

fn label(mark: &Element, x: f32, y: f32, size: f32, fonts: &Fonts) -> Mark {
    let is_strong = mark.has_class("strong");
    let style = if is_strong { Style::of(size, INK).bold() } else { Style::of(size, SOFT) };
    let text = fonts.drawable(&mark.text());
    let width = fonts.of(style.weight).width(&text, size);
    let left = if mark.has_class("end") {
        x - width
    } else if mark.has_class("middle") {
        x - width / 2.0
    } else {
        x
    };
    Mark::Text { x: left, y, text, style }
}
