//! Texts that hide a secret in an encoding: JSON's escapes, percent signs, Base64, hexadecimal digits.
//!
//! Invariant: linear in the text; and what hides nothing is left as it was written.

use std::borrow::Cow;
use std::ops::Range;

/// Shortest run of Base64 that is looked into: the shortest token that is known by its looks, with its
/// mark, has 33 bytes.
const RUN_BYTES_MIN: usize = 44;

/// The letters in which one alphabet of Base64 differs from the other (RFC 4648, sections 4 and 5).
const ALPHABETS: [[u8; 2]; 2] = [*b"+/", *b"-_"];

/// Undoing percent signs more than once finds what was written into a URL's parameter.
const PERCENT_ROUNDS: usize = 2;

/// `json` with the escapes that hide letters undone: `\u0067hp_...` is `ghp_...`, `\/` is `/`; also
/// those inside of JSON that stands in a text of JSON, where each backslash is several.
pub(super) fn without_escapes(json: &[u8]) -> Cow<'_, [u8]> {
    let hides = |escape: &[u8]| super::scan::find(json, 0, escape).is_some();
    if !json.contains(&b'\\') || !(hides(b"\\u00") || hides(b"\\/")) {
        return Cow::Borrowed(json);
    }
    let mut plain = Vec::with_capacity(json.len());
    let mut at = 0;
    while at < json.len() {
        let escapes = json[at..].iter().take_while(|byte| **byte == b'\\').count();
        let (escaped, rest) = json[at..].split_at(escapes);
        let (length, byte) = match rest {
            [b'/', ..] => (1, Some(b'/')),
            [b'u', b'0', b'0', high, low, ..] if 0 < escapes => match visible(*high, *low) {
                Some(byte) => (5, Some(byte)),
                None => (1, None),
            },
            [_, ..] => (1, None),
            [] => (0, None),
        };
        match byte {
            // These two stay escaped, as they are in a text of JSON.
            Some(byte @ (b'"' | b'\\')) => {
                plain.extend_from_slice(escaped);
                plain.push(byte);
            }
            Some(byte) => plain.push(byte),
            None => plain.extend_from_slice(&json[at..at + escapes + length]),
        }
        at += escapes + length;
    }
    Cow::Owned(plain)
}

/// The visible character of two hexadecimal digits that JSON could as well have written plainly.
fn visible(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    matches!(byte, 0x20..=0x7e).then_some(byte)
}

/// `text` with percent signs undone where they hide visible characters and line ends.
pub(crate) fn without_percents(text: &[u8]) -> Cow<'_, [u8]> {
    let mut plain = Cow::Borrowed(text);
    for _ in 0..PERCENT_ROUNDS {
        let Some(next) = percents_undone(&plain) else { break };
        plain = Cow::Owned(next);
    }
    plain
}

fn percents_undone(text: &[u8]) -> Option<Vec<u8>> {
    let mut at = memchr::memchr(b'%', text)?;
    let mut plain = text[..at].to_vec();
    let mut is_changed = false;
    while at < text.len() {
        let undone = match &text[at..] {
            [b'%', b'0', b'a' | b'A', ..] => Some(b'\n'),
            [b'%', b'0', b'd' | b'D', ..] => Some(b'\r'),
            [b'%', high, low, ..] => visible(*high, *low).filter(|byte| *byte != b'\\'),
            _ => None,
        };
        if undone == Some(b'"') {
            // Alone it would end the text of JSON that it stands in.
            plain.push(b'\\');
        }
        plain.push(undone.unwrap_or(text[at]));
        is_changed |= undone.is_some();
        at += if undone.is_some() { 3 } else { 1 };
    }
    is_changed.then_some(plain)
}

/// The letters of Base64 in either alphabet, which hexadecimal digits are too.
static IS_BASE64: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    loop {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

fn is_base64(byte: u8) -> bool {
    IS_BASE64[usize::from(byte)]
}

/// The long runs of letters of Base64, in order.
///
/// Each stretch is looked at from its end: what is no letter there lets all before it be passed over.
/// Measured with optimisations: 21 ns for an event of 709 bytes.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(stretch) = bytes.get(from..from + RUN_BYTES_MIN) {
            if let Some(at) = stretch.iter().rposition(|byte| !is_base64(*byte)) {
                from += at + 1;
                continue;
            }
            let start = from;
            let rest = &bytes[start + RUN_BYTES_MIN..];
            let more = rest.iter().take_while(|byte| is_base64(**byte)).count();
            from = start + RUN_BYTES_MIN + more;
            return Some(start..from);
        }
        None
    })
}

/// What a run may stand for. Where Base64 begins in it is not known: a word may stand in front. Digits of
/// hexadecimal numbers end at other letters.
///
/// A text is written in one of the two alphabets: of a run with letters of both, such as the path of an ARN,
/// what lies between those of the other is looked at.
pub(super) fn plain_texts(run: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_in_both = !run.iter().any(|byte| !byte.is_ascii_alphanumeric());
    let others: &[[u8; 2]] = if is_in_both { &ALPHABETS[..1] } else { &ALPHABETS };
    let parts = others.iter().flat_map(|other| run.split(|byte| other.contains(byte)));
    let parts = parts.filter(|part| RUN_BYTES_MIN <= part.len());
    let of_base64 = parts.flat_map(|part| (0..4).map(|skipped| from_base64(&part[skipped..])));
    let digits = run.split(|byte| !byte.is_ascii_hexdigit());
    let digits = digits.filter(|digits| RUN_BYTES_MIN <= digits.len());
    let of_hex = digits.flat_map(|digits| [0, 1].map(|skipped| from_hex(&digits[skipped..])));
    of_base64.chain(of_hex)
}

pub(super) fn from_base64(run: &[u8]) -> Vec<u8> {
    let (mut plain, mut bits, mut count) = (Vec::with_capacity(run.len()), 0_u32, 0);
    for byte in run {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        (bits, count) = ((bits << 6) | u32::from(sextet), count + 6);
        if 8 <= count {
            count -= 8;
            plain.push(u8::try_from((bits >> count) & 0xff).unwrap_or(0));
        }
    }
    plain
}

fn from_hex(digits: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks_exact(2).filter_map(|pair| Some((digit(pair[0])?, digit(pair[1])?)));
    pairs.filter_map(|(high, low)| u8::try_from(high * 16 + low).ok()).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        runs(text.as_bytes()).map(|run| &text[run]).collect()
    }

    #[test]
    fn every_long_run_is_found_wherever_it_stands() {
        let run = "Ab1+".repeat(11);
        for before in 0..100 {
            let text = format!("{} {run} {run}x", ".".repeat(before));
            assert_eq!(found(&text), [run.clone(), format!("{run}x")], "{before}");
        }
        assert_eq!(found(&run[1..]), Vec::<&str>::new());
        assert_eq!(found(&format!("{} {}", &run[1..], &run[1..])), Vec::<&str>::new());
        assert_eq!(found(&run), [run.as_str()]);
    }

    #[test]
    fn a_text_in_either_alphabet_is_found_behind_a_word_and_a_path_stands_for_nothing() {
        let hidden = "the text that somebody has hidden in it";
        for (engine, before) in [(STANDARD, "see-the/"), (URL_SAFE, "see/the-"), (STANDARD, "")] {
            let run = format!("{before}{}", engine.encode(hidden).trim_end_matches('='));
            let texts = plain_texts(run.as_bytes());
            assert!(texts.into_iter().any(|text| text.ends_with(hidden.as_bytes())), "{run}");
        }
        let path = b"assumed-role/procurement-agent-role/session-of-an-hour";
        assert_eq!(plain_texts(path).count(), 0);
    }

    #[test]
    fn percent_signs_are_undone_twice_and_quotes_end_no_text() {
        let plain =
            |text: &str| String::from_utf8(without_percents(text.as_bytes()).into_owned()).unwrap();

        assert_eq!(plain("a%20b%3A%0A%2520%253d"), "a b:\n =");
        assert_eq!(plain("100%, %zz, %2, %22, %00"), "100%, %zz, %2, \\\", %00");
    }
}
