//! [`write`]: pages as the bytes of a PDF.
//!
//! Source: ISO 32000-1 (PDF 1.7), through the crate that writes its objects. Fonts are embedded, and each
//! glyph says which character it is, so that texts can be searched and copied.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::font::{Font, Fonts, Weight};
use super::lines::{SOFT, Style};
use super::paper::{BOTTOM, HEIGHT, LEFT, Mark, WIDTH};

const CATALOG: i32 = 1;
const PAGES: i32 = 2;
const INFO: i32 = 3;
/// Each font takes five objects.
const FONTS: [i32; 2] = [10, 20];
/// Each page takes two.
const FIRST_PAGE: i32 = 30;

const UNICODE: SystemInfo<'_> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

pub(super) fn write(title: &str, pages: &[Vec<Mark>], fonts: &Fonts) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let ids = |at: usize| {
        let number = FIRST_PAGE + 2 * i32::try_from(at).expect("fewer than a billion pages");
        (Ref::new(number), Ref::new(number + 1))
    };
    pdf.catalog(Ref::new(CATALOG)).pages(Ref::new(PAGES)).lang(TextStr("en"));
    pdf.document_info(Ref::new(INFO)).title(TextStr(title)).producer(TextStr("Surety"));
    let count = i32::try_from(pages.len()).expect("fewer than a billion pages");
    pdf.pages(Ref::new(PAGES)).kids((0..pages.len()).map(|at| ids(at).0)).count(count);
    for (at, marks) in pages.iter().enumerate() {
        let (page_id, content_id) = ids(at);
        let mut page = pdf.page(page_id);
        page.parent(Ref::new(PAGES));
        page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT));
        page.contents(content_id);
        let mut resources = page.resources();
        let mut dictionary = resources.fonts();
        for (name, id) in [Name(b"F0"), Name(b"F1")].into_iter().zip(FONTS) {
            dictionary.pair(name, Ref::new(id));
        }
        dictionary.finish();
        resources.finish();
        page.finish();
        let number = format!("{} / {}", at + 1, pages.len());
        let content = compressed(&content(marks, &number, fonts));
        pdf.stream(content_id, &content).filter(Filter::FlateDecode);
    }
    let mut used = [BTreeMap::new(), BTreeMap::new()];
    for mark in pages.iter().flatten() {
        if let Mark::Text { text, style, .. } = mark {
            note(text, *style, fonts, &mut used);
        }
    }
    note("0123456789 / Surety evidence pack", Style::of(8.0, SOFT), fonts, &mut used);
    for ((font, name), (id, used)) in
        [(&fonts.regular, "DejaVuSansCondensed"), (&fonts.bold, "DejaVuSansCondensed-Bold")]
            .into_iter()
            .zip(FONTS.into_iter().zip(&used))
    {
        write_font(&mut pdf, font, name, id, used);
    }
    pdf.finish()
}

/// Notes which glyphs a text takes, and which characters they are.
fn note(text: &str, style: Style, fonts: &Fonts, used: &mut [BTreeMap<u16, (char, f32)>; 2]) {
    let font = fonts.of(style.weight);
    for character in text.chars() {
        let (glyph, width) = font.glyph(character);
        used[usize::from(style.weight == Weight::Bold)].entry(glyph).or_insert((character, width));
    }
}

fn content(marks: &[Mark], number: &str, fonts: &Fonts) -> Vec<u8> {
    let mut content = Content::new();
    for mark in marks {
        match mark {
            Mark::Rect { x, y, width, height, color: [red, green, blue] } => {
                content.set_fill_rgb(*red, *green, *blue);
                content.rect(*x, HEIGHT - y - height, *width, *height).fill_nonzero();
            }
            Mark::Text { x, y, text, style } => {
                draw(&mut content, [*x, HEIGHT - y], text, *style, fonts);
            }
        }
    }
    let style = Style::of(7.5, SOFT);
    draw(&mut content, [LEFT, BOTTOM - 22.0], "Surety evidence pack", style, fonts);
    let width = fonts.regular.width(number, style.size);
    draw(&mut content, [WIDTH - LEFT - width, BOTTOM - 22.0], number, style, fonts);
    content.finish().to_vec()
}

fn draw(content: &mut Content, [x, y]: [f32; 2], text: &str, style: Style, fonts: &Fonts) {
    let [red, green, blue] = style.color;
    let name = if style.weight == Weight::Bold { Name(b"F1") } else { Name(b"F0") };
    content.begin_text().set_font(name, style.size).set_fill_rgb(red, green, blue);
    content.next_line(x, y);
    content.show(Str(&fonts.of(style.weight).encoded(text)));
    content.end_text();
}

fn write_font(pdf: &mut Pdf, font: &Font, name: &str, id: i32, used: &BTreeMap<u16, (char, f32)>) {
    let [cid, descriptor, cmap, file] = [1, 2, 3, 4].map(|more| Ref::new(id + more));
    let name = Name(name.as_bytes());
    pdf.type0_font(Ref::new(id))
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(cmap);
    let mut cid_font = pdf.cid_font(cid);
    cid_font
        .subtype(CidFontType::Type2)
        .base_font(name)
        .system_info(UNICODE)
        .font_descriptor(descriptor)
        .default_width(600.0)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = cid_font.widths();
    for (glyph, (_, width)) in used {
        widths.consecutive(*glyph, [*width]);
    }
    widths.finish();
    cid_font.finish();
    let [left, bottom, right, top] = font.bbox;
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(Rect::new(left, bottom, right, top))
        .italic_angle(0.0)
        .ascent(font.ascent)
        .descent(font.descent)
        .cap_height(font.cap_height)
        .stem_v(80.0)
        .font_file2(file);
    let mut characters = UnicodeCmap::new(Name(b"Characters"), UNICODE);
    for (glyph, (character, _)) in used {
        characters.pair(*glyph, *character);
    }
    let characters = compressed(&characters.finish());
    pdf.stream(cmap, &characters).filter(Filter::FlateDecode);
    let bytes = compressed(font.bytes);
    let length = i32::try_from(font.bytes.len()).expect("a small font");
    let mut stream = pdf.stream(file, &bytes);
    stream.filter(Filter::FlateDecode);
    stream.pair(Name(b"Length1"), length);
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory")
}
