//! [`pdf`]: the report for people as a PDF, made from its page of HTML.
//!
//! Invariant: a function of the page, and so of the facts; no clock, no random identifier. It says what
//! the page says, in the same order: nothing is written here that the page does not have, but for the
//! numbers of pages.
//!
//! Layout, in the order a reader wants it: the page as a tree (`tree.rs`), texts as lines of glyphs
//! (`font.rs`, `lines.rs`), blocks and tables placed on A4 (`blocks.rs`, `table.rs`, `plot.rs`,
//! `paper.rs`), pages as bytes (`file.rs`).

mod blocks;
mod file;
mod font;
mod lines;
mod paper;
mod plot;
mod table;
mod tree;

use font::Fonts;
use paper::Paper;

/// `report.pdf` of a page that [`page`](super::html::page) made.
pub(crate) fn pdf(page: &str) -> Vec<u8> {
    let fonts = Fonts::new();
    let (title, body) = tree::parse(page);
    let mut paper = Paper::new();
    blocks::place(&body, &fonts, &mut paper);
    file::write(&title, paper.pages(), &fonts)
}

#[cfg(test)]
mod tests;
