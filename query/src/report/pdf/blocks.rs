//! [`place`]: the elements of a page, from the first to the last, as fragments on paper.
//!
//! Invariant: an element that is not known here is placed as the elements and texts in it.

use super::font::Fonts;
use super::lines::{self, Color, DEEP, DENIED, INK, RULE, SOFT, Style, WASH};
use super::paper::{Fragment, Mark, Paper, ROOM};
use super::plot;
use super::table;
use super::tree::{Element, Node};

pub(super) const BODY: Style = Style::of(9.2, INK);
const NOTE: Style = Style::of(8.3, SOFT);
const SMALL: Style = Style::of(7.8, SOFT);

/// Room that a heading wants below it.
const WITH_HEADING: f32 = 90.0;

/// Places what is in `parent`.
pub(super) fn place(parent: &Element, fonts: &Fonts, paper: &mut Paper) {
    for element in parent.elements() {
        block(element, fonts, paper);
    }
}

fn block(element: &Element, fonts: &Fonts, paper: &mut Paper) {
    let text = |style: Style, width: f32| text(&element.children, style, width, fonts);
    match element.name.as_str() {
        "header" => {
            let mut bar = Fragment { height: 22.0, ..Fragment::default() };
            bar.rect([0.0, 0.0, ROOM, 8.5], DEEP);
            paper.place(bar);
            place(element, fonts, paper);
        }
        "h1" => {
            paper.space(3.0);
            paper.place(text(Style::of(20.0, INK).bold(), ROOM));
            paper.space(4.0);
        }
        "dl" => paper.place(terms(element, fonts)),
        "h2" => heading(element, fonts, paper),
        "h3" => {
            paper.space(11.0);
            paper.keep(WITH_HEADING * 0.7);
            paper.place(text(Style::of(10.3, INK).bold(), ROOM));
            paper.space(3.0);
        }
        "p" => paragraph(element, fonts, paper),
        "div" if element.has_class("tiles") => grid(element, 4, tile, fonts, paper),
        "div" if element.has_class("duties") => grid(element, 2, duty, fonts, paper),
        "div" if element.has_class("gaps") => {
            paper.space(5.0);
            let inside = stacked(element, ROOM - 24.0, fonts);
            let frame = Frame { left: 3.4, line: DENIED, ground: None, border: Some(DENIED) };
            paper.place(framed(inside, 10.0, 7.0, frame));
        }
        "section" => {
            place(element, fonts, paper);
            if element.has_class("summary") {
                paper.turn();
            }
        }
        "table" => {
            table::place(element, fonts, paper);
            paper.space(9.0);
        }
        "ul" | "pre" => {
            paper.place(one(element, ROOM, fonts));
            paper.space(5.0);
        }
        "figure" => figure(element, fonts, paper),
        "footer" => {
            paper.space(16.0);
            let mut whole = Fragment::default();
            whole.rect([0.0, 0.0, ROOM, 0.8], RULE);
            whole.add(text(SMALL, ROOM), 0.0, 6.0);
            paper.place(whole);
        }
        _ if element.elements().next().is_some() => place(element, fonts, paper),
        _ => paper.place(text(BODY, ROOM)),
    }
}

fn paragraph(element: &Element, fonts: &Fonts, paper: &mut Paper) {
    let text = |style: Style, width: f32| text(&element.children, style, width, fonts);
    if element.has_class("kind") {
        let upper = Node::Text(element.text().to_uppercase());
        paper.place(self::text(&[upper], Style::of(8.3, DEEP).bold(), ROOM, fonts));
    } else if element.has_class("answer") {
        paper.space(6.0);
        paper.place(framed(text(Style::of(10.2, INK), ROOM - 26.0), 12.0, 8.0, Frame::WASHED));
        paper.space(9.0);
    } else {
        let is_note = element.has_class("note") || element.has_class("empty");
        paper.place(text(if is_note { NOTE } else { BODY }, ROOM));
        paper.space(4.0);
    }
}

fn figure(element: &Element, fonts: &Fonts, paper: &mut Paper) {
    let mut whole = Fragment::default();
    if let Some(caption) = element.child("figcaption") {
        let style = Style::of(8.5, INK).bold();
        whole.stack(text(&caption.children, style, ROOM, fonts), 0.0);
    }
    if let Some(svg) = element.child("svg") {
        whole.stack(plot::fragment(svg, ROOM, fonts), 4.0);
    }
    paper.space(3.0);
    paper.place(whole);
    paper.space(8.0);
}

fn heading(element: &Element, fonts: &Fonts, paper: &mut Paper) {
    paper.space(20.0);
    paper.keep(WITH_HEADING);
    let is_small = |node: &Node| matches!(node, Node::Element(one) if one.name == "small");
    let (small, large): (Vec<Node>, Vec<Node>) =
        element.children.iter().cloned().partition(is_small);
    let mut whole = text(&large, Style::of(14.0, INK).bold(), ROOM, fonts);
    if !small.is_empty() {
        whole.stack(text(&small, NOTE, ROOM, fonts), 1.0);
    }
    let y = whole.height + 2.5;
    whole.rect([0.0, y, ROOM, 1.4], DEEP);
    whole.height = y + 1.4;
    paper.place(whole);
    paper.space(7.0);
}

/// Lines of text below each other.
pub(super) fn text(nodes: &[Node], style: Style, width: f32, fonts: &Fonts) -> Fragment {
    let mut fragment = Fragment::default();
    for line in lines::set(&lines::pieces(nodes, style, fonts), width, fonts) {
        draw(&line, 0.0, &mut fragment);
    }
    fragment
}

/// Draws a line below what is there, `x` points from the left.
pub(super) fn draw(line: &lines::Line, x: f32, fragment: &mut Fragment) {
    let base = fragment.height + line.size * 1.02;
    for part in &line.parts {
        let (left, size) = (x + part.x, part.style.size);
        if let Some(ground) = part.style.ground {
            fragment.rect([left - 1.6, base - 0.86 * size, part.width + 3.2, 1.14 * size], ground);
        }
        let (text, style) = (part.text.clone(), part.style);
        fragment.marks.push(Mark::Text { x: left, y: base, text, style });
    }
    fragment.height += line.height();
}

/// `dt dd, dt dd` in a row.
fn terms(element: &Element, fonts: &Fonts) -> Fragment {
    let gap = Node::Text("\u{a0}\u{a0} \u{2002} ".to_owned());
    let mut nodes = Vec::new();
    for term in element.elements() {
        for part in term.elements() {
            nodes.push(Node::Element(part.clone()));
            nodes.push(Node::Text(" ".to_owned()));
        }
        nodes.push(gap.clone());
    }
    text(&nodes, NOTE, ROOM, fonts)
}

/// What is in a box, one below the other.
fn stacked(element: &Element, width: f32, fonts: &Fonts) -> Fragment {
    let mut whole = Fragment::default();
    for child in element.elements() {
        whole.stack(one(child, width, fonts), 2.0);
    }
    whole
}

fn one(element: &Element, width: f32, fonts: &Fonts) -> Fragment {
    match element.name.as_str() {
        "ul" => {
            let mut list = Fragment::default();
            for item in element.elements() {
                let y = list.height;
                let inside = text(&item.children, Style::of(8.7, INK), width - 11.0, fonts);
                list.rect([2.0, y + 4.7, 2.6, 2.6], SOFT);
                list.add(inside, 11.0, y);
                list.height += 1.2;
            }
            list
        }
        "pre" => {
            let inside = text(&element.children, Style::of(8.0, INK), width - 18.0, fonts);
            framed(inside, 9.0, 6.0, Frame { left: 0.0, ..Frame::WASHED })
        }
        "h3" => text(&element.children, Style::of(9.4, INK).bold(), width, fonts),
        _ => text(&element.children, Style::of(8.7, INK), width, fonts),
    }
}

/// How a box looks.
#[derive(Clone, Copy)]
struct Frame {
    /// Width of the line at its left.
    left: f32,
    line: Color,
    ground: Option<Color>,
    border: Option<Color>,
}

impl Frame {
    const WASHED: Self = Self { left: 3.4, line: DEEP, ground: Some(WASH), border: None };
}

fn framed(inside: Fragment, side: f32, above: f32, frame: Frame) -> Fragment {
    let height = inside.height + 2.0 * above;
    let mut whole = Fragment { height, ..Fragment::default() };
    if let Some(ground) = frame.ground {
        whole.rect([0.0, 0.0, ROOM, height], ground);
    }
    if let Some(border) = frame.border {
        outline(&mut whole, ROOM, height, border);
    }
    whole.rect([0.0, 0.0, frame.left, height], frame.line);
    whole.add(inside, frame.left + side, above);
    whole
}

fn outline(whole: &mut Fragment, width: f32, height: f32, color: Color) {
    const LINE: f32 = 0.8;
    whole.rect([0.0, 0.0, width, LINE], color);
    whole.rect([0.0, height - LINE, width, LINE], color);
    whole.rect([0.0, 0.0, LINE, height], color);
    whole.rect([width - LINE, 0.0, LINE, height], color);
}

/// Boxes of one width in rows, those of a row of one height.
fn grid(
    element: &Element,
    columns: u16,
    inside: fn(&Element, f32, &Fonts) -> Fragment,
    fonts: &Fonts,
    paper: &mut Paper,
) {
    const GAP: f32 = 7.0;
    let columns = f32::from(columns);
    let width = (ROOM - GAP * (columns - 1.0)) / columns;
    let cells: Vec<Fragment> =
        element.elements().map(|one| inside(one, width - 18.0, fonts)).collect();
    let is_tile = element.has_class("tiles");
    paper.space(4.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2 or 4")]
    for row in cells.chunks(columns as usize) {
        let height = row.iter().map(|cell| cell.height).fold(0.0, f32::max) + 13.0;
        let mut whole = Fragment { height, ..Fragment::default() };
        let mut x = 0.0;
        for cell in row {
            let mut box_of = Fragment { height, ..Fragment::default() };
            if is_tile {
                outline(&mut box_of, width, height, RULE);
            } else {
                box_of.rect([0.0, 0.0, width, height], WASH);
                box_of.rect([0.0, 0.0, width, 2.0], DEEP);
            }
            box_of.add(cell.clone(), 9.0, 6.5);
            whole.add(box_of, x, 0.0);
            x += width + GAP;
        }
        paper.place(whole);
        paper.space(GAP);
    }
}

fn tile(element: &Element, width: f32, fonts: &Fonts) -> Fragment {
    let mut whole = Fragment::default();
    for part in element.elements() {
        let style = match part.name.as_str() {
            "b" if part.has_class("long") => Style::of(11.0, INK).bold(),
            "b" => Style::of(14.5, INK).bold(),
            "em" => Style::of(7.8, INK),
            _ => SMALL,
        };
        whole.stack(text(&part.children, style, width, fonts), 0.5);
    }
    whole
}

fn duty(element: &Element, width: f32, fonts: &Fonts) -> Fragment {
    stacked(element, width, fonts)
}
