//! [`Html`]: markup in which no value can be markup.
//!
//! Invariant: what is not escaped is written down in our sources: [`Html::raw`] takes nothing else.

use std::fmt::Display;

use crate::format::visible;
use crate::report::tally::{Cents, Money};

/// A piece of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Markup of ours.
    pub(crate) fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// A value: escaped, and what a reader would not see spelled out.
    pub(crate) fn text(mut self, value: impl Display) -> Self {
        for character in visible(&value.to_string()).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(character),
            }
        }
        self
    }

    pub(crate) fn add(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    pub(crate) fn all(self, others: impl IntoIterator<Item = Self>) -> Self {
        others.into_iter().fold(self, |all, one| all.add(&one))
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// A value alone.
pub(crate) fn text(value: impl Display) -> Html {
    Html::new().text(value)
}

/// A value that programs use: an id, a hash.
pub(crate) fn code(value: impl Display) -> Html {
    Html::new().raw("<code>").text(value).raw("</code>")
}

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Left(&'static str),
    /// Numbers: under each other.
    Right(&'static str),
}

/// A table, or a sentence where it has no rows.
pub(crate) fn table(columns: &[Column], rows: Vec<Vec<Html>>, empty: &'static str) -> Html {
    if rows.is_empty() {
        return Html::new().raw("<p class=\"empty\">").raw(empty).raw("</p>");
    }
    let head = |column: &Column| match column {
        Column::Left(name) => Html::new().raw("<th>").raw(name).raw("</th>"),
        Column::Right(name) => Html::new().raw("<th class=\"n\">").raw(name).raw("</th>"),
    };
    let cell = |(column, cell): (&Column, Html)| {
        let open = match column {
            Column::Left(_) => "<td>",
            Column::Right(_) => "<td class=\"n\">",
        };
        Html::new().raw(open).add(&cell).raw("</td>")
    };
    let row = |cells: Vec<Html>| {
        Html::new().raw("<tr>").all(columns.iter().zip(cells).map(cell)).raw("</tr>\n")
    };
    Html::new()
        .raw("<table>\n<thead><tr>")
        .all(columns.iter().map(head))
        .raw("</tr></thead>\n<tbody>\n")
        .all(rows.into_iter().map(row))
        .raw("</tbody>\n</table>\n")
}

/// `1234567` as `1,234,567`.
pub(crate) fn number(number: impl Into<u128>) -> String {
    grouped(&number.into().to_string())
}

fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1,234,567.89`.
pub(crate) fn amount(cents: Cents) -> String {
    let text = String::from(cents);
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
    format!("{sign}{}.{fraction}", grouped(whole))
}

/// Every currency by itself, one a line; a dash where there is none.
pub(crate) fn money(money: &Money) -> Html {
    if money.is_empty() {
        return Html::new().raw("&ndash;");
    }
    let one = |(currency, cents): (&String, &Cents)| {
        Html::new()
            .raw("<span class=\"money\">")
            .text(amount(*cents))
            .raw("&nbsp;")
            .text(currency)
            .raw("</span>")
    };
    Html::new().all(money.iter().map(one))
}

/// `part` of `whole` in per cent with one digit, rounded down: what is not all is never `100.0 %`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "\u{2013}".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// One thing or several: `1 agent`, `3 agents`.
pub(crate) fn count(number_of: u64, one: &str, several: &str) -> String {
    format!("{} {}", number(number_of), if number_of == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_markup() {
        let value = "<script>alert('1')</script>&\"\u{202E}\n";

        assert_eq!(
            text(value).into_string(),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\\u{202e}\\n"
        );
    }

    #[test]
    fn numbers_are_grouped_and_shares_never_flatter() {
        assert_eq!(number(0_u64), "0");
        assert_eq!(number(999_u64), "999");
        assert_eq!(number(1_234_567_u64), "1,234,567");
        assert_eq!(amount(Cents(-123_456_789)), "-1,234,567.89");
        assert_eq!(amount(Cents(5)), "0.05");
        assert_eq!(share(9_999, 10_000), "99.9 %");
        assert_eq!(share(7, 7), "100.0 %");
        assert_eq!(share(0, 0), "\u{2013}");
    }
}
