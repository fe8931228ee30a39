//! [`Paper`]: fragments placed one below the other on pages of A4.
//!
//! Invariant: nothing is drawn outside of a page's margins, and nothing is lost: a fragment that does not
//! fit goes to the next page, and one that is higher than a page is cut between its lines.

use super::lines::{Color, Style};

/// A4, and what is left free of it, in points.
pub(super) const WIDTH: f32 = 595.28;
pub(super) const HEIGHT: f32 = 841.89;
pub(super) const LEFT: f32 = 42.5;
pub(super) const TOP: f32 = 45.0;
pub(super) const BOTTOM: f32 = 56.0;
/// Width of what is placed.
pub(super) const ROOM: f32 = WIDTH - 2.0 * LEFT;
const PAGE_ROOM: f32 = HEIGHT - TOP - BOTTOM;

/// Something drawn. `y` counts downwards; a text's is that of its base line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    Rect { x: f32, y: f32, width: f32, height: f32, color: Color },
    Text { x: f32, y: f32, text: String, style: Style },
}

/// Marks that belong together, from their own left and top.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fragment {
    pub(super) marks: Vec<Mark>,
    pub(super) height: f32,
}

impl Fragment {
    /// Left, top, width, height.
    pub(super) fn rect(&mut self, [x, y, width, height]: [f32; 4], color: Color) {
        self.marks.push(Mark::Rect { x, y, width, height, color });
    }

    /// Draws `other` at a place in this one, which becomes as high as it takes.
    pub(super) fn add(&mut self, other: Self, x: f32, y: f32) {
        self.height = self.height.max(y + other.height);
        self.marks.extend(other.marks.into_iter().map(|mark| mark.moved(x, y)));
    }

    /// Draws `other` below this one.
    pub(super) fn stack(&mut self, other: Self, gap: f32) {
        let y = if self.height == 0.0 { 0.0 } else { self.height + gap };
        self.add(other, 0.0, y);
    }
}

impl Mark {
    fn moved(self, right: f32, down: f32) -> Self {
        match self {
            Self::Rect { x, y, width, height, color } => {
                Self::Rect { x: x + right, y: y + down, width, height, color }
            }
            Self::Text { x, y, text, style } => {
                Self::Text { x: x + right, y: y + down, text, style }
            }
        }
    }

    /// What of it lies between two heights.
    fn between(&self, top: f32, bottom: f32) -> Option<Self> {
        match self {
            Self::Text { y, .. } => (top < *y && *y <= bottom).then(|| self.clone()),
            Self::Rect { x, y, width, height, color } => {
                let (start, end) = (y.max(top), (y + height).min(bottom));
                (start < end).then_some(Self::Rect {
                    x: *x,
                    y: start,
                    width: *width,
                    height: end - start,
                    color: *color,
                })
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Paper {
    pages: Vec<Vec<Mark>>,
    /// Where the next fragment begins, from the margin.
    y: f32,
}

impl Paper {
    pub(super) fn new() -> Self {
        Self { pages: vec![Vec::new()], y: 0.0 }
    }

    pub(super) fn pages(&self) -> &[Vec<Mark>] {
        &self.pages
    }

    /// Begins another page unless nothing is on this one.
    pub(super) fn turn(&mut self) {
        if 0.0 < self.y {
            self.pages.push(Vec::new());
            self.y = 0.0;
        }
    }

    /// Leaves room, but not at the top of a page.
    pub(super) fn space(&mut self, height: f32) {
        if 0.0 < self.y {
            self.y += height;
        }
    }

    /// Whether so much fits on this page.
    pub(super) fn fits(&self, height: f32) -> bool {
        self.y + height <= PAGE_ROOM
    }

    /// Begins another page if less than this is left, e.g. for a heading and the first of its lines.
    pub(super) fn keep(&mut self, height: f32) {
        if !self.fits(height) {
            self.turn();
        }
    }

    pub(super) fn place(&mut self, fragment: Fragment) {
        if fragment.height <= PAGE_ROOM {
            self.keep(fragment.height);
            let down = TOP + self.y;
            self.y += fragment.height;
            self.draw(fragment.marks.into_iter().map(|mark| mark.moved(LEFT, down)));
            return;
        }
        self.turn();
        let mut top = 0.0;
        while top < fragment.height {
            // Between two lines: below the lowest base line that fits, with room for its descenders.
            let bottom = if fragment.height - top <= PAGE_ROOM {
                fragment.height
            } else {
                fragment
                    .marks
                    .iter()
                    .filter_map(|mark| match mark {
                        Mark::Text { y, style, .. } => Some(y + 0.3 * style.size),
                        Mark::Rect { .. } => None,
                    })
                    .filter(|y| top < *y && *y <= top + PAGE_ROOM)
                    .fold(0.0_f32, f32::max)
                    .max(top + PAGE_ROOM / 2.0)
            };
            let cut = fragment.marks.iter().filter_map(|mark| mark.between(top, bottom));
            let cut: Vec<Mark> = cut.map(|mark| mark.moved(LEFT, TOP - top)).collect();
            self.turn();
            self.draw(cut);
            self.y = bottom - top;
            top = bottom;
        }
    }

    fn draw(&mut self, marks: impl IntoIterator<Item = Mark>) {
        if let Some(page) = self.pages.last_mut() {
            page.extend(marks);
        }
    }
}
