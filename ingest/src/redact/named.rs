//! The value of a name that tells of a secret, in whatever notation the two stand.
//!
//! Invariant: no more of a text is walked along than the value is long, and what is walked back along has a
//! bound.

use std::ops::Range;

use super::hidden;
use super::marks::{CODE, EXPLANATIONS, HEADERS};
use super::scan::{is_break, is_harmless, is_token};

/// Longest name that is walked back along.
const NAME_BYTES_MAX: usize = 64;
/// Shortest authorization code. RFC 6749, section 10.10, asks for 128 bits: 22 letters of Base64; errors
/// have shorter codes.
const CODE_BYTES_MIN: usize = 16;

/// The value of the name that ends with the match at `at`, if that is a name with a value.
pub(super) fn value(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let (name_end, is_quoted) = match opening_quote(bytes, at.end) {
        Some((quote, _)) => (quote + 1, true),
        None => (at.end, false),
    };
    let sign = after_blanks(bytes, name_end);
    let value = match bytes.get(sign)? {
        b'=' => after_blanks(bytes, sign + 1),
        b':' => {
            let value = after_blanks(bytes, sign + 1);
            // `arn:...:secret:name` and `token:refresh` are names, `token: x` and `"token":x` are not.
            let is_value = is_quoted || sign + 1 < value || opening_quote(bytes, value).is_some();
            is_value.then_some(value)?
        }
        b',' if is_quoted => beside(bytes, &at, sign + 1)?,
        b'>' if is_element(bytes, at.start) => return element(bytes, sign + 1),
        b'-' => return None,
        _ if !is_quoted && name_end < sign && is_flag(bytes, at.start) => sign,
        _ => return None,
    };
    if bytes.len() <= value {
        return None;
    }
    let secret = match (opening_quote(bytes, value), bytes[value]) {
        (Some((quote, escapes)), _) => quote + 1..closing_quote(bytes, quote, escapes),
        (None, b'[' | b'{') => value..closing_bracket(bytes, value),
        (None, _) => value..bare_end(bytes, value, is_header(&bytes[at])),
    };
    let is_sentence = bytes[sign] == b':' && !is_quoted && is_explanation(bytes, &secret);
    (!is_sentence && !is_harmless(&bytes[secret.clone()])).then_some(secret)
}

/// Whether what stands in `secret` is a word with which a sentence goes on.
fn is_explanation(bytes: &[u8], secret: &Range<usize>) -> bool {
    let goes_on = bytes
        .get(secret.end..)
        .is_some_and(|rest| matches!(rest, [b' ', next, ..] if next.is_ascii_alphabetic()));
    let word = &bytes[secret.clone()];
    goes_on && EXPLANATIONS.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// What has to stand on either side of the text that comes at `at` instead of an array or object of JSON:
/// the quote of the name in front of it, with its backslashes.
pub(super) fn quote_for(bytes: &[u8], at: usize) -> &[u8] {
    let before_blanks = |end: usize| bytes[..end].trim_ascii_end().len();
    let sign = before_blanks(at);
    if !matches!(bytes.get(at), Some(b'[' | b'{')) || bytes[..sign].last() != Some(&b':') {
        return &[];
    }
    let end = before_blanks(sign - 1);
    match bytes[..end].last() {
        Some(b'"' | b'\'') => &bytes[end - 1 - escapes_before(bytes, end - 1)..end],
        Some(_) | None => &[],
    }
}

/// The value of the parameter whose name stands at `at`.
pub(super) fn parameter(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let is_one = is_break(bytes, at.start) && bytes.get(at.end) == Some(&b'=');
    let secret = if is_one { value(bytes, at.clone()) } else { None }?;
    let is_code = bytes[at.clone()].eq_ignore_ascii_case(CODE.as_bytes());
    (!is_code || is_exchanged(bytes, at.start, &secret)).then_some(secret)
}

/// Whether the code that stands in `secret`, with its name at `start`, is one of OAuth and none of an
/// error: it is long and stands in the query of a URL or of a form.
fn is_exchanged(bytes: &[u8], start: usize, secret: &Range<usize>) -> bool {
    let is_in_query = match start.checked_sub(1).map(|before| bytes[before]) {
        Some(b'?' | b'&' | b'#') => true,
        None | Some(b'"') => bytes.get(secret.end) == Some(&b'&'),
        Some(_) => false,
    };
    is_in_query && CODE_BYTES_MIN <= secret.len()
}

/// The value of the name at `at`, if it is the Base64 of a user and a password.
pub(super) fn login(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    if !is_break(bytes, at.start) {
        return None;
    }
    let secret = value(bytes, at)?;
    let plain = hidden::from_base64(&bytes[secret.clone()]);
    let colon = plain.iter().take(NAME_BYTES_MAX).position(|byte| *byte == b':')?;
    let is_user = 0 < colon && plain[..colon].iter().all(u8::is_ascii_graphic);
    (is_user && colon + 1 < plain.len()).then_some(secret)
}

/// The password of `-u user:password`; the flag stands at `at`.
pub(super) fn login_of_flag(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    if !is_break(bytes, at.start) {
        return None;
    }
    let end = bare_end(bytes, at.end, false);
    let login = &bytes[at.end..end];
    let colon = login.iter().take(NAME_BYTES_MAX).position(|byte| *byte == b':')?;
    let password = at.end + colon + 1..end;
    let is_password = 0 < colon && 4 <= password.len() && !login[colon + 1..].starts_with(b"//");
    (is_password && !is_harmless(&bytes[password.clone()])).then_some(password)
}

/// Where the value begins that stands behind a name which is a text itself: in
/// `"name":"PASSWORD","value":"x"` and in `"--password","x"`.
fn beside(bytes: &[u8], at: &Range<usize>, from: usize) -> Option<usize> {
    let next = after_blanks(bytes, from);
    let (quote, _) = opening_quote(bytes, next)?;
    if is_flag(bytes, at.start) {
        return Some(next);
    }
    let word_end = quote + 1 + b"value".len();
    if !bytes.get(quote + 1..word_end)?.eq_ignore_ascii_case(b"value") {
        return None;
    }
    let (quote, _) = opening_quote(bytes, word_end)?;
    let sign = after_blanks(bytes, quote + 1);
    (bytes.get(sign) == Some(&b':')).then(|| after_blanks(bytes, sign + 1))
}

/// Where the word begins that goes on at `at`.
fn word_start(bytes: &[u8], at: usize) -> usize {
    let behind = bytes[..at].iter().rev().take(NAME_BYTES_MAX);
    at - behind.take_while(|byte| is_token(**byte)).count()
}

/// Whether the name at `at` is, or ends, a flag such as `--password`.
fn is_flag(bytes: &[u8], at: usize) -> bool {
    bytes[word_start(bytes, at)..].starts_with(b"--")
}

/// Whether the name at `at` is, or ends, that of an XML element which opens there.
fn is_element(bytes: &[u8], at: usize) -> bool {
    let start = word_start(bytes, at);
    let before = bytes[..start].last();
    match before {
        // Behind a prefix of a namespace.
        Some(b':') => bytes[..word_start(bytes, start - 1)].last() == Some(&b'<'),
        before => before == Some(&b'<'),
    }
}

/// The text of an XML element that begins at `from`.
fn element(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &bytes[from..];
    let length = rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
    (!is_harmless(&rest[..length])).then_some(from..from + length)
}

/// The first byte from `at` on that is no blank, those of escaped line ends included.
fn after_blanks(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at += match bytes.get(at..) {
            Some([byte, ..]) if byte.is_ascii_whitespace() => 1,
            Some([b'\\', b'n' | b'r' | b't', ..]) => 2,
            Some(_) | None => return at,
        };
    }
}

fn is_header(name: &[u8]) -> bool {
    HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header.as_bytes()))
}

/// The quote at `from`, behind any backslashes, with their number.
fn opening_quote(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let escapes = bytes.get(from..)?.iter().take_while(|byte| **byte == b'\\').count();
    let quote = from + escapes;
    matches!(bytes.get(quote)?, b'"' | b'\'').then_some((quote, escapes))
}

fn escapes_before(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// The end of the text that begins with the quote at `open`, which has `escapes` before it.
fn closing_quote(bytes: &[u8], open: usize, escapes: usize) -> usize {
    for at in open + 1..bytes.len() {
        if bytes[at] != bytes[open] {
            continue;
        }
        // Backslashes are counted inside the text only: `""` is empty whatever stands before it.
        let found = escapes_before(&bytes[open + 1..], at - open - 1);
        match escapes {
            0 if found.is_multiple_of(2) => return at,
            0 => {}
            _ if found <= escapes => return at - found,
            _ => {}
        }
    }
    bytes.len()
}

/// The end of the array or object that begins at `open`; brackets inside texts do not count.
fn closing_bracket(bytes: &[u8], open: usize) -> usize {
    let (mut depth, mut at) = (0_usize, open);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = closing_quote(bytes, at, escapes_before(bytes, at)),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // A text that is escaped ends at its backslashes, before its quote.
        at += bytes
            .get(at..)
            .map_or(0, |rest| rest.iter().take_while(|byte| **byte == b'\\').count());
        at += 1;
        if depth == 0 {
            return at.min(bytes.len());
        }
    }
    bytes.len()
}

/// The end of a value without quotes.
fn bare_end(bytes: &[u8], from: usize, is_header: bool) -> usize {
    let stops = |byte: &u8| match byte {
        b'"' | b'\r' | b'\n' => true,
        b',' | b';' | b'&' | b'\'' | b'}' | b')' | b']' => !is_header,
        byte => byte.is_ascii_whitespace() && !is_header,
    };
    from + bytes[from..].iter().position(stops).unwrap_or(bytes.len() - from)
}
