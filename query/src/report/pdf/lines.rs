//! [`set`]: a text in several styles as lines that are not wider than there is room.
//!
//! Invariant: every visible character of the text is in exactly one line, in its order. A line is broken
//! at spaces, and within a word only where the word alone is wider than a line.

use super::font::{Fonts, Weight};
use super::tree::{Element, Node};

/// Red, green, blue, 0 to 1.
pub(super) type Color = [f32; 3];

pub(super) const INK: Color = [0.09, 0.125, 0.18];
pub(super) const SOFT: Color = [0.357, 0.392, 0.447];
pub(super) const RULE: Color = [0.835, 0.855, 0.886];
pub(super) const WASH: Color = [0.957, 0.965, 0.976];
pub(super) const DEEP: Color = [0.078, 0.212, 0.373];
pub(super) const GOOD: Color = [0.169, 0.424, 0.639];
pub(super) const DENIED: Color = [0.851, 0.604, 0.169];
pub(super) const BAD: Color = [0.702, 0.22, 0.227];
pub(super) const FOURTH: Color = [0.498, 0.698, 0.851];
const PAGE_TAG: Color = [0.953, 0.816, 0.557];
const WHITE: Color = [1.0, 1.0, 1.0];

/// Height of a line, of the size of its letters.
pub(super) const LEADING: f32 = 1.38;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) size: f32,
    pub(super) color: Color,
    pub(super) ground: Option<Color>,
}

impl Style {
    pub(super) const fn of(size: f32, color: Color) -> Self {
        Self { weight: Weight::Regular, size, color, ground: None }
    }

    pub(super) const fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    const fn in_color(self, color: Color) -> Self {
        Self { color, ..self }
    }
}

/// A part of a text that has one style, or the end of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String, Style),
    Break,
}

/// Drawn at `x` from the line's left.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) x: f32,
    pub(super) width: f32,
    pub(super) text: String,
    pub(super) style: Style,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) parts: Vec<Drawn>,
    pub(super) width: f32,
    /// Of its letters: the largest in it.
    pub(super) size: f32,
}

impl Line {
    pub(super) fn height(&self) -> f32 {
        self.size * LEADING
    }
}

/// The pieces of what is in an element, in the style that each part of it has.
pub(super) fn pieces(nodes: &[Node], style: Style, fonts: &Fonts) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for node in nodes {
        match node {
            Node::Text(text) => pieces.push(Piece::Text(fonts.drawable(text), style)),
            Node::Element(element) if element.name == "br" => pieces.push(Piece::Break),
            Node::Element(element) => {
                let is_line = matches!(element.name.as_str(), "li" | "small" | "em")
                    || element.has_class("money");
                let has_text = pieces.iter().any(|piece| matches!(piece, Piece::Text(..)));
                if is_line && has_text && pieces.last() != Some(&Piece::Break) {
                    pieces.push(Piece::Break);
                }
                pieces.extend(self::pieces(&element.children, styled(element, style), fonts));
            }
        }
    }
    pieces
}

fn styled(element: &Element, style: Style) -> Style {
    let small = style.size * 0.92;
    match element.name.as_str() {
        "b" | "dt" => style.bold(),
        "code" => Style { size: small, ..style },
        "span" | "li" if element.has_class("gap") => style.bold().in_color(BAD),
        "span" if element.has_class("arrow") => style.in_color(SOFT),
        "span" if element.has_class("block") => {
            Style { ground: Some(BAD), size: small, ..style.bold().in_color(WHITE) }
        }
        "span" if element.has_class("page") => {
            Style { ground: Some(PAGE_TAG), size: small, ..style.bold() }
        }
        "span" if element.has_class("tag") => {
            Style { ground: Some(WASH), size: small, ..style.bold() }
        }
        _ => style,
    }
}

/// A word, or a space, with its width.
struct Word<'a> {
    text: &'a str,
    style: Style,
    width: f32,
    is_space: bool,
}

/// Sets pieces as lines of at most `room` points.
pub(super) fn set(pieces: &[Piece], room: f32, fonts: &Fonts) -> Vec<Line> {
    let mut setter = Setter { fonts, room, lines: Vec::new(), line: Line::default(), space: None };
    for piece in pieces {
        match piece {
            Piece::Break => setter.end_line(),
            Piece::Text(text, style) => {
                for word in words(text, *style, fonts) {
                    setter.add(&word);
                }
            }
        }
    }
    if !setter.line.parts.is_empty() {
        setter.end_line();
    }
    setter.lines
}

/// The width of the widest word, and of everything in one line (the widest, where lines are ended).
pub(super) fn widths(pieces: &[Piece], fonts: &Fonts) -> (f32, f32) {
    let (mut word_max, mut line_max) = (0.0_f32, 0.0_f32);
    for line in set(pieces, f32::MAX, fonts) {
        line_max = line_max.max(line.width);
    }
    for piece in pieces {
        if let Piece::Text(text, style) = piece {
            for word in words(text, *style, fonts).filter(|word| !word.is_space) {
                word_max = word_max.max(word.width);
            }
        }
    }
    (word_max, line_max)
}

/// Spaces and what is between them; a space that does not break is a part of a word.
fn words<'a>(text: &'a str, style: Style, fonts: &Fonts) -> impl Iterator<Item = Word<'a>> {
    let is_space = |c: char| matches!(c, ' ' | '\n' | '\t' | '\r');
    let font = fonts.of(style.weight);
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let space = is_space(first);
        let end = rest.find(|c| is_space(c) != space).unwrap_or(rest.len());
        let (word, more) = rest.split_at(end);
        rest = more;
        let width = font.width(if space { " " } else { word }, style.size);
        Some(Word { text: if space { " " } else { word }, style, width, is_space: space })
    })
}

struct Setter<'a> {
    fonts: &'a Fonts,
    room: f32,
    lines: Vec<Line>,
    line: Line,
    /// A space that is drawn only if a word follows in the line.
    space: Option<(Style, f32)>,
}

impl Setter<'_> {
    fn add(&mut self, word: &Word<'_>) {
        if word.is_space {
            if !self.line.parts.is_empty() {
                self.space = Some((word.style, word.width));
            }
            return;
        }
        let space = self.space.map_or(0.0, |(_, width)| width);
        if !self.line.parts.is_empty() && self.room < self.line.width + space + word.width {
            self.end_line();
        }
        if let Some((style, width)) = self.space.take() {
            self.draw(" ", style, width);
        }
        if word.width <= self.room {
            self.draw(word.text, word.style, word.width);
            return;
        }
        let font = self.fonts.of(word.style.weight);
        for character in word.text.chars() {
            let mut text = [0; 4];
            let text = character.encode_utf8(&mut text);
            let width = font.width(text, word.style.size);
            if !self.line.parts.is_empty() && self.room < self.line.width + width {
                self.end_line();
            }
            self.draw(text, word.style, width);
        }
    }

    fn draw(&mut self, text: &str, style: Style, width: f32) {
        let line = &mut self.line;
        line.size = line.size.max(style.size);
        match line.parts.last_mut() {
            Some(last) if last.style == style => {
                last.text.push_str(text);
                last.width += width;
            }
            _ => {
                let (x, text) = (line.width, text.to_owned());
                line.parts.push(Drawn { x, width, text, style });
            }
        }
        line.width += width;
    }

    fn end_line(&mut self) {
        self.space = None;
        let line = std::mem::take(&mut self.line);
        if !line.parts.is_empty() {
            self.lines.push(line);
        }
    }
}
