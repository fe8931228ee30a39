//! [`Fonts`]: `DejaVu` Sans Condensed, regular and bold, and what a text takes of them.
//!
//! Invariant: a character that the fonts do not have is spelled out (`\u{4e2d}`), never left out and
//! never a box: a name that cannot be read must not look like another one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ttf_parser::Face;

const REGULAR: &[u8] = include_bytes!("fonts/DejaVuSansCondensed.ttf");
const BOLD: &[u8] = include_bytes!("fonts/DejaVuSansCondensed-Bold.ttf");

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// One font.
pub(super) struct Font {
    pub(super) bytes: &'static [u8],
    /// Numbers of glyphs and their widths in thousandths of the font's size.
    glyphs: BTreeMap<char, (u16, f32)>,
    pub(super) ascent: f32,
    pub(super) descent: f32,
    pub(super) cap_height: f32,
    pub(super) bbox: [f32; 4],
}

pub(super) struct Fonts {
    pub(super) regular: Font,
    pub(super) bold: Font,
}

impl Fonts {
    pub(super) fn new() -> Self {
        Self { regular: Font::read(REGULAR), bold: Font::read(BOLD) }
    }

    pub(super) fn of(&self, weight: Weight) -> &Font {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// A text in which everything can be drawn.
    pub(super) fn drawable(&self, text: &str) -> String {
        let mut drawable = String::with_capacity(text.len());
        for character in text.chars() {
            if character.is_whitespace() || self.regular.glyphs.contains_key(&character) {
                drawable.push(character);
            } else {
                let code = u32::from(character);
                write!(drawable, "\\u{{{code:x}}}").expect("writing to a string");
            }
        }
        drawable
    }
}

impl Font {
    fn read(bytes: &'static [u8]) -> Self {
        let face = Face::parse(bytes, 0).expect("the font is a part of the program");
        let scale = 1_000.0 / f32::from(face.units_per_em());
        let mut glyphs = BTreeMap::new();
        let tables = face.tables().cmap.expect("the font maps characters");
        for table in tables.subtables.into_iter().filter(ttf_parser::cmap::Subtable::is_unicode) {
            table.codepoints(|code| {
                if let Some(character) = char::from_u32(code)
                    && let Some(glyph) = face.glyph_index(character)
                {
                    let advance = face.glyph_hor_advance(glyph).unwrap_or(0);
                    glyphs.insert(character, (glyph.0, f32::from(advance) * scale));
                }
            });
        }
        let bbox = face.global_bounding_box();
        let units = |value: i16| f32::from(value) * scale;
        Self {
            bytes,
            glyphs,
            ascent: units(face.ascender()),
            descent: units(face.descender()),
            cap_height: units(face.capital_height().unwrap_or(face.ascender())),
            bbox: [units(bbox.x_min), units(bbox.y_min), units(bbox.x_max), units(bbox.y_max)],
        }
    }

    /// Points that a text is wide at a size.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|character| self.glyph(character).1).sum::<f32>() * size / 1_000.0
    }

    /// The glyph of a character and its width in thousandths; a space's where there is none.
    pub(super) fn glyph(&self, character: char) -> (u16, f32) {
        let space = || self.glyphs.get(&' ').copied().unwrap_or((0, 0.0));
        self.glyphs.get(&character).copied().unwrap_or_else(space)
    }

    /// A text as the file has it: two bytes a glyph.
    pub(super) fn encoded(&self, text: &str) -> Vec<u8> {
        text.chars().flat_map(|character| self.glyph(character).0.to_be_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_greek_and_cyrillic_are_drawn_and_the_rest_is_spelled_out() {
        let fonts = Fonts::new();

        assert_eq!(
            fonts.drawable("Zoë Ørsted Łukasz Ελένη Сергей → –"),
            "Zoë Ørsted Łukasz Ελένη Сергей → –"
        );
        assert_eq!(fonts.drawable("中a"), "\\u{4e2d}a");
        assert!(fonts.regular.width("mm", 10.0) < fonts.bold.width("mm", 10.0));
        assert_ne!(fonts.regular.glyph('а').0, fonts.regular.glyph('\u{e000}').0);
    }
}
