//! [`place`]: a table, row by row, its head on each page that it reaches.
//!
//! Invariant: columns are as wide as what is in them where there is room, and never narrower than the
//! numbers in them; every row has every cell.

use super::blocks::draw;
use super::font::Fonts;
use super::lines::{self, INK, Piece, RULE, SOFT, Style};
use super::paper::{Fragment, Paper, ROOM};
use super::tree::Element;

const CELL: Style = Style::of(7.9, INK);
const HEAD: Style = Style::of(7.9, SOFT).bold();
const SIDE: f32 = 4.0;
const ABOVE: f32 = 2.6;
/// A column of texts is at least so wide, whatever its longest word.
const TEXT_MAX: f32 = 90.0;

/// A column: what it takes at least and at most, and whether it holds numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Column {
    least: f32,
    most: f32,
    is_number: bool,
}

pub(super) fn place(table: &Element, fonts: &Fonts, paper: &mut Paper) {
    let rows_of = |name: &str| -> Vec<&Element> {
        table.child(name).map(|part| part.elements().collect()).unwrap_or_default()
    };
    let (heads, rows) = (rows_of("thead"), rows_of("tbody"));
    let mut columns: Vec<Column> = Vec::new();
    for row in heads.iter().chain(&rows) {
        for (at, cell) in row.elements().enumerate() {
            if columns.len() <= at {
                columns.push(Column::default());
            }
            let (word, line) = lines::widths(&pieces(cell, fonts), fonts);
            let column = &mut columns[at];
            column.is_number = cell.has_class("n");
            let least = if column.is_number && cell.name == "td" { line } else { word };
            let least = if column.is_number { least } else { least.min(TEXT_MAX) };
            column.least = column.least.max(least);
            column.most = column.most.max(line);
        }
    }
    let widths = widths(&columns, ROOM - 2.0 * SIDE * f(columns.len()));
    let set = |row: &Element| set(row, &columns, &widths, fonts);
    let head: Vec<Fragment> = heads.iter().map(|row| set(row)).collect();
    let height: f32 = head.iter().map(|row| row.height).sum();
    let rows: Vec<Fragment> = rows.iter().map(|row| set(row)).collect();
    let first = rows.first().map_or(0.0, |row| row.height);
    paper.keep(height + first.min(120.0));
    for row in &head {
        paper.place(row.clone());
    }
    for row in rows {
        if !paper.fits(row.height) {
            paper.turn();
            for row in &head {
                paper.place(row.clone());
            }
        }
        paper.place(row);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a table has a few columns")]
fn f(count: usize) -> f32 {
    count as f32
}

fn pieces(cell: &Element, fonts: &Fonts) -> Vec<Piece> {
    lines::pieces(&cell.children, if cell.name == "th" { HEAD } else { CELL }, fonts)
}

/// What each column gets of the room.
fn widths(columns: &[Column], room: f32) -> Vec<f32> {
    let least: f32 = columns.iter().map(|column| column.least).sum();
    let most: f32 = columns.iter().map(|column| column.most).sum();
    if most <= room {
        let spare = (room - most) / f(columns.len().max(1));
        return columns.iter().map(|column| column.most + spare).collect();
    }
    if room <= least {
        return columns.iter().map(|column| column.least * room / least).collect();
    }
    let share = (room - least) / (most - least);
    columns.iter().map(|column| column.least + (column.most - column.least) * share).collect()
}

fn set(row: &Element, columns: &[Column], widths: &[f32], fonts: &Fonts) -> Fragment {
    let mut whole = Fragment::default();
    let (mut x, mut is_head) = (0.0, false);
    for ((cell, column), width) in row.elements().zip(columns).zip(widths) {
        is_head |= cell.name == "th";
        let mut inside = Fragment::default();
        // A hundredth more: a width that was computed from this text must hold it.
        for line in lines::set(&pieces(cell, fonts), width + 0.01, fonts) {
            let left = if column.is_number { width - line.width } else { 0.0 };
            draw(&line, left, &mut inside);
        }
        whole.add(inside, x + SIDE, ABOVE);
        x += width + 2.0 * SIDE;
    }
    whole.height += ABOVE;
    let (thick, color) = if is_head { (1.1, INK) } else { (0.5, RULE) };
    whole.rect([0.0, whole.height - thick, ROOM, thick], color);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_share_the_room_by_what_is_in_them() {
        let column = |least, most| Column { least, most, is_number: false };

        assert_eq!(widths(&[column(10.0, 20.0), column(10.0, 40.0)], 100.0), [40.0, 60.0]);
        let tight = widths(&[column(10.0, 20.0), column(30.0, 230.0)], 100.0);
        assert!((tight.iter().sum::<f32>() - 100.0).abs() < 0.01 && 10.0 < tight[0], "{tight:?}");
        let scant = widths(&[column(100.0, 200.0), column(100.0, 100.0)], 100.0);
        assert!((scant.iter().sum::<f32>() - 100.0).abs() < 0.01, "{scant:?}");
    }
}
