//! The PDF of a page.

use super::super::html::markup::{Column, Html, table, text};
use super::*;

fn texts(page: &str) -> Vec<String> {
    let fonts = Fonts::new();
    let mut paper = Paper::new();
    blocks::place(&tree::parse(page).1, &fonts, &mut paper);
    let on_page = |marks: &Vec<paper::Mark>| {
        let text = |mark: &paper::Mark| match mark {
            paper::Mark::Text { text, .. } => Some(text.clone()),
            paper::Mark::Rect { .. } => None,
        };
        marks.iter().filter_map(text).collect::<Vec<_>>().join(" ")
    };
    paper.pages().iter().map(on_page).collect()
}

fn page_of(body: &Html) -> String {
    format!("<title>A title</title><body>{}</body>", body.clone().into_string())
}

#[test]
fn a_long_table_has_its_head_on_every_page_and_loses_no_row() {
    let rows = (0..400).map(|row| vec![text(format_args!("row-{row}")), text("x")]).collect();
    let columns = [Column::Left("Name of it"), Column::Right("Number")];
    let pages = texts(&page_of(&table(&columns, rows, "")));

    assert!(3 < pages.len(), "{}", pages.len());
    assert!(pages.iter().all(|page| page.starts_with("Name of it Number")), "{pages:?}");
    for row in 0..400 {
        let wanted = format!("row-{row} ");
        assert_eq!(pages.iter().filter(|page| page.contains(&wanted)).count(), 1, "{wanted}");
    }
}

#[test]
fn a_cell_that_is_higher_than_a_page_is_cut_between_its_lines() {
    let words: Vec<String> = (0..9_000).map(|word| format!("w{word}")).collect();
    let cell = vec![text(words.join(" "))];
    let pages = texts(&page_of(&table(&[Column::Left("Words")], vec![cell], "")));

    let all = pages.join(" ");
    let found: Vec<&str> = all.split_whitespace().filter(|word| word.starts_with('w')).collect();
    assert_eq!(found, words, "each once and in order");
    assert!(2 < pages.len());
}

#[test]
fn the_same_page_gives_the_same_file_and_a_name_is_no_markup() {
    let page = page_of(&Html::new().raw("<h2>Who</h2><p>").text("<b>Zoë & 中</b>").raw("</p>"));

    let file = pdf(&page);

    assert!(file.starts_with(b"%PDF-1."));
    assert_eq!(file, pdf(&page));
    assert_eq!(texts(&page), ["Who <b>Zoë & \\u{4e2d}</b>"]);
}
