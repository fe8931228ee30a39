//! [`Scanner`]: where in a text a secret stands.
//!
//! Invariant: linear in the text, whatever the text is; and what is found is the secret itself, not
//! the name in front of it, so that a reader of the result still sees what was there.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};
use memchr::memmem::Finder;

use super::marks::{FLAGGED, LED, LOGINS, MARKS, NAMES, PARAMETERS, Shape};
use super::{hidden, named};

/// Longest URL authority that is looked at.
const AUTHORITY_BYTES_MAX: usize = 512;

/// Longest name that is walked back along, and longest part of a token before the mark within it.
const NAME_BYTES_MAX: usize = 64;
const BEFORE_BYTES_MAX: usize = 96;

/// Shortest word that is a secret by its looks, mark and all. What stands behind a name is shorter, and has
/// a sign in front.
pub(crate) const SECRET_BYTES_MIN: usize = 15;

/// The quick look sees so much of what stands before a long run of letters.
const LOOK_BACK_BYTES: usize = 40;

/// Whether the value under this name is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    ends_in_name(name.as_bytes())
}

fn ends_in_name(text: &[u8]) -> bool {
    let Some(last) = text.last().map(u8::to_ascii_lowercase) else { return false };
    NAMES.iter().any(|end| end.as_bytes().last() == Some(&last) && ends_with(text, end))
}

/// Whether `name` ends so, in any case of letters.
pub(crate) fn ends_with(name: &[u8], end: &str) -> bool {
    let start = name.len().checked_sub(end.len());
    start.is_some_and(|start| name[start..].eq_ignore_ascii_case(end.as_bytes()))
}

/// Whether a value under a secret's name tells nothing: empty, a literal, stars or a fingerprint, be it with the
/// comma before the next field.
pub(super) fn is_harmless(value: &[u8]) -> bool {
    let value = value.strip_suffix(b",").unwrap_or(value);
    value.iter().all(|byte| *byte == b'*')
        || matches!(value, b"null" | b"true" | b"false" | b"None" | b"True" | b"False")
        || is_fingerprint(value)
}

/// `fp:` 8 hexadecimal digits `:` 32 hexadecimal digits.
pub(super) fn is_fingerprint(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"fp:") else { return false };
    let is_hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    rest.len() == 41 && is_hex(&rest[..8]) && rest[8] == b':' && is_hex(&rest[9..])
}

/// Finds secrets.
pub(super) struct Scanner {
    /// Stems of marks and what flags begin with, letters as they are: one pass over a record with few false
    /// alarms.
    quick: AhoCorasick,
    /// What each pattern of `quick` may begin.
    stems: Vec<Stem>,
    /// Marks, then names, then parameters, then logins, in any case of letters.
    full: AhoCorasick,
}

/// What a pattern of the quick look stands for.
enum Stem {
    /// One of these marks may begin so many bytes behind its start.
    Of { marks: Vec<usize>, skipped: usize },
    /// The name of a secret may stand behind it.
    Flag,
}

/// The patterns of the quick look.
fn stems() -> Vec<(&'static str, Stem)> {
    let mut stems: Vec<(&str, Stem)> = Vec::new();
    let mut add = |stem: &'static str, mark: usize, skipped: usize| {
        let known = stems.iter_mut().find(|(text, _)| *text == stem);
        if let Some((_, Stem::Of { marks, .. })) = known {
            marks.push(mark);
        } else {
            stems.push((stem, Stem::Of { marks: vec![mark], skipped }));
        }
    };
    for (mark, (_, stem, _)) in MARKS.iter().enumerate() {
        let led = LED.iter().filter(|led| 2 == stem.len() && led.ends_with(stem));
        led.for_each(|led| add(led, mark, 1));
        if 2 < stem.len() {
            add(stem, mark, 0);
        }
    }
    stems.push((FLAGGED, Stem::Flag));
    // More than that, and the automaton finds its candidates without SIMD.
    assert!(stems.len() <= 64, "{} patterns of the quick look", stems.len());
    alike_together(stems)
}

/// The patterns in the order in which the automaton keeps those that begin alike together.
///
/// It puts every sixteenth pattern into one set, and looks closely where three letters may begin any of a set,
/// each letter by itself: of a set of unlike ones nearly all letters may. Measured with optimisations on events
/// of 612 bytes: 25 such looks and 560 ns as the patterns stand in the list, 3 and 270 ns so.
fn alike_together(mut stems: Vec<(&'static str, Stem)>) -> Vec<(&'static str, Stem)> {
    const SETS: usize = 16;
    stems.sort_by_key(|(text, _)| [2, 1, 0].map(|at| text.as_bytes().get(at).copied()));
    let (rows, fuller) = (stems.len() / SETS, stems.len() % SETS);
    let sizes = (0..SETS).map(|set| rows + usize::from(set < fuller));
    let mut places: Vec<_> = sizes
        .enumerate()
        .flat_map(|(set, size)| (0..size).map(move |row| (row, set)))
        .zip(stems)
        .collect();
    places.sort_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, stem)| stem).collect()
}

impl Scanner {
    pub(super) fn new() -> Self {
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest);
        let (patterns, stems): (Vec<&str>, Vec<Stem>) = stems().into_iter().unzip();
        let quick = builder.build(patterns);
        let marks = MARKS.iter().map(|(text, ..)| *text);
        let names = NAMES.iter().chain(PARAMETERS).chain(LOGINS).copied();
        builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
        let full = builder.build(marks.chain(names));
        let few = "some two hundred short patterns fit an automaton";
        Self { quick: quick.expect(few), stems, full: full.expect(few) }
    }

    /// Whether a JSON record certainly holds no secret in its values, by one cheap pass.
    ///
    /// Names of fields are not looked at: the caller knows its fields.
    pub(super) fn is_clean(&self, record: &[u8]) -> bool {
        if memchr::memchr3(b'=', b'\\', b'%', record).is_some()
            || memchr::memchr2(b'<', b'~', record).is_some()
            || is_any_named(record)
        {
            return false;
        }
        if hidden::runs(record).any(|run| self.tells(record, run)) {
            return false;
        }
        let (mut looks, mut from) = (Looks::at(record), 0);
        while let Some(found) = self.quick.find(Input::new(record).range(from..)) {
            let is_secret = match &self.stems[found.pattern().as_usize()] {
                Stem::Of { marks, skipped } => {
                    let start = found.start() + skipped;
                    marks.iter().any(|mark| {
                        let (text, _, shape) = MARKS[*mark];
                        record[start..].starts_with(text.as_bytes())
                            && looks.marked(start..start + text.len(), shape).is_some()
                    })
                }
                Stem::Flag => {
                    let rest = &record[found.end()..];
                    let name = rest.iter().take(NAME_BYTES_MAX).take_while(|byte| is_token(**byte));
                    ends_in_name(&rest[..name.count()])
                }
            };
            if is_secret {
                return false;
            }
            from = found.start() + 1;
        }
        true
    }

    /// Whether a long run of letters, or what it stands for, is a secret.
    fn tells(&self, record: &[u8], run: Range<usize>) -> bool {
        let seen = run.start.saturating_sub(LOOK_BACK_BYTES)..run.end;
        self.secrets(&record[seen]).next().is_some() || self.hides(&record[run])
    }

    /// Whether a run of Base64 or of hexadecimal digits is that of a text with a secret in it.
    pub(super) fn hides(&self, run: &[u8]) -> bool {
        hidden::plain_texts(run).any(|text| self.secrets(&text).next().is_some())
    }

    /// The secrets of a text, in order, none overlapping.
    pub(super) fn secrets<'a>(&'a self, bytes: &'a [u8]) -> Secrets<'a> {
        Secrets { scanner: self, looks: Looks::at(bytes), from: 0, end: 0 }
    }
}

/// Whether `name: value` of a secret stands in running text. What is a name to JSON ends in a quote; and
/// `name=value` and everything escaped are seen by their `=` and `\`.
///
/// Measured with optimisations: 30 ns for an event of 709 bytes.
fn is_any_named(record: &[u8]) -> bool {
    static SIGN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(": "));
    SIGN.find_iter(record).any(|sign| {
        let name = &record[..sign];
        name.last() != Some(&b'"') && ends_in_name(name.strip_suffix(b"'").unwrap_or(name))
    })
}

/// See [`Scanner::secrets`].
pub(super) struct Secrets<'a> {
    scanner: &'a Scanner,
    looks: Looks<'a>,
    /// Where the search goes on.
    from: usize,
    /// Where the last secret ended.
    end: usize,
}

#[cfg(test)]
impl Secrets<'_> {
    pub(super) fn steps(&self) -> usize {
        self.looks.steps
    }
}

impl Iterator for Secrets<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let bytes = self.looks.bytes;
        while let Some(found) = self.scanner.full.find(Input::new(bytes).range(self.from..)) {
            let (at, pattern) = (found.range(), found.pattern().as_usize());
            let secret = match MARKS.get(pattern) {
                Some((text, _, shape)) if bytes[at.clone()] == *text.as_bytes() => {
                    self.looks.marked(at.clone(), *shape)
                }
                Some(_) => None,
                None => match pattern - MARKS.len() {
                    name if name < NAMES.len() => named::value(bytes, at.clone()),
                    name if name < NAMES.len() + PARAMETERS.len() => {
                        named::parameter(bytes, at.clone())
                    }
                    _ => named::login(bytes, at.clone()),
                },
            };
            if let Some(secret) = secret
                && self.end <= secret.start
            {
                (self.from, self.end) = (secret.end, secret.end);
                return Some(secret);
            }
            self.from = at.start + 1;
        }
        None
    }
}

pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A text that is looked at from left to right, with what earlier looks have seen.
struct Looks<'a> {
    bytes: &'a [u8],
    /// A stretch of token characters without a dot: many beginnings of a JWT share one look.
    undotted: Range<usize>,
    /// How many bytes were looked at, for the test that this is linear.
    #[cfg(test)]
    steps: usize,
}

impl<'a> Looks<'a> {
    fn at(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            undotted: 0..0,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// The end of the token that begins at `from`.
    fn run(&mut self, from: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let length = self.bytes[from..].iter().take_while(|byte| is_part(**byte)).count();
        #[cfg(test)]
        {
            self.steps += length;
        }
        from + length
    }

    /// The secret that begins with the mark at `at`.
    fn marked(&mut self, at: Range<usize>, shape: Shape) -> Option<Range<usize>> {
        // Base64 proper, which some tokens are written in.
        let is_base64 = |byte| is_token(byte) || matches!(byte, b'+' | b'/' | b'=' | b'~');
        match shape {
            Shape::Token { chars_min } => {
                let is_long = chars_min <= self.run(at.end, is_token) - at.end;
                is_long.then(|| at.start..self.run(at.end, is_base64))
            }
            Shape::TokenAfterBreak { chars_min } => {
                // Asked first: a token without a break in front is not walked along.
                if !is_break(self.bytes, at.start) {
                    return None;
                }
                let end = self.run(at.end, is_token);
                (chars_min <= end - at.end).then_some(at.start..end)
            }
            Shape::Base64 { chars_min } => {
                let end = self.run(at.end, is_base64);
                (chars_min <= end - at.end).then_some(at.start..end)
            }
            Shape::Hex { chars_min } => {
                if !is_break(self.bytes, at.start) {
                    return None;
                }
                let end = self.run(at.end, |byte| byte.is_ascii_hexdigit());
                (chars_min <= end - at.end).then(|| at.start..self.run(end, is_token))
            }
            Shape::Alone { chars } => {
                if !is_break(self.bytes, at.start) {
                    return None;
                }
                let rest = &self.bytes[at.end..];
                let found = rest.iter().take(chars + 1).take_while(|byte| is_token(**byte));
                let is_plain = rest.iter().take(chars).all(u8::is_ascii_alphanumeric);
                (found.count() == chars && is_plain).then(|| at.start..at.end + chars)
            }
            Shape::Word { chars_min } => {
                if !is_break(self.bytes, at.start) {
                    return None;
                }
                let end = self.run(at.end, |byte| byte.is_ascii_alphanumeric());
                let is_alone = !matches!(self.bytes.get(end), Some(b'_' | b'-'));
                (chars_min <= end - at.end && is_alone).then_some(at.start..end)
            }
            Shape::Scheme { chars_min } => {
                let end = self.run(at.end, is_base64);
                let is_known = is_fingerprint(&self.bytes[at.end..end]);
                (chars_min <= end - at.end && !is_known).then_some(at.end..end)
            }
            Shape::Inside { before, after } => {
                let behind = self.bytes[..at.start].iter().rev().take(BEFORE_BYTES_MAX);
                let start = at.start - behind.take_while(|byte| is_base64(**byte)).count();
                if at.start - start < before {
                    return None;
                }
                let end = self.run(at.end, is_base64);
                (after <= end - at.end).then_some(start..end)
            }
            Shape::KeyId => key_beside(self.bytes, at.end),
            Shape::Bot => {
                let behind = self.bytes[..at.start].iter().rev().take(10);
                if behind.take_while(|byte| byte.is_ascii_digit()).count() < 8 {
                    return None;
                }
                let end = self.run(at.end, is_token);
                (30 <= end - at.end).then_some(at.start + 1..end)
            }
            Shape::Login => named::login_of_flag(self.bytes, at),
            Shape::Jwt => self.jwt(at),
            Shape::Block { foot } => block(self.bytes, at, foot),
            Shape::Putty => Some(putty(self.bytes, at)),
            Shape::UserInfo => user_info(self.bytes, at.end),
        }
    }

    fn jwt(&mut self, at: Range<usize>) -> Option<Range<usize>> {
        if !self.undotted.contains(&at.end) {
            self.undotted = at.end..at.end;
        }
        let header_end = self.run(self.undotted.end, |byte| is_token(byte) && byte != b'.');
        self.undotted.end = header_end;
        if self.bytes.get(header_end) != Some(&b'.') {
            return None;
        }
        let token = at.start..self.run(at.end, is_token);
        (30 <= token.len()).then_some(token)
    }
}

/// Whether a word could begin at `start`. The letter of an escape such as `\n` ends none.
pub(super) fn is_break(bytes: &[u8], start: usize) -> bool {
    let Some(before) = start.checked_sub(1) else { return true };
    let is_escape = before.checked_sub(1).is_some_and(|at| bytes[at] == b'\\');
    is_escape || !bytes[before].is_ascii_alphanumeric()
}

pub(super) fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    bytes[from..].windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

/// The secret key of AWS that stands beside the id which ends its fixed part at `from`.
fn key_beside(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = bytes.get(from..)?;
    let id = rest.iter().take(16).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let between = rest[id..].iter().take(4).take_while(|byte| b" :,|;\"'".contains(byte)).count();
    if id < 16 || between == 0 {
        return None;
    }
    let key = from + id + between;
    let is_key = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let length = bytes[key..].iter().take(41).take_while(is_key).count();
    (length == 40).then_some(key..key + 40)
}

/// A whole block with a private key; to the end of the text where its end is missing.
fn block(bytes: &[u8], at: Range<usize>, foot: &[u8]) -> Option<Range<usize>> {
    let label_end = bytes.len().min(at.end + 40);
    let word = find(&bytes[..label_end], at.end, b"PRIVATE")? + b"PRIVATE".len();
    // A blank may be a plus sign in a URL.
    if !bytes.get(word + 1..)?.starts_with(b"KEY") {
        return None;
    }
    let end = match find(bytes, at.end, foot) {
        Some(found) => find(bytes, found + foot.len(), b"----").map_or(bytes.len(), |dashes| {
            dashes + bytes[dashes..].iter().take_while(|byte| **byte == b'-').count()
        }),
        None => bytes.len(),
    };
    Some(at.start..end)
}

/// A private key of `PuTTY`'s, up to its hash; to the end of the text where that is missing.
fn putty(bytes: &[u8], at: Range<usize>) -> Range<usize> {
    let hash = find(bytes, at.end, b"Private-MAC: ").map(|hash| hash + b"Private-MAC: ".len());
    let end = hash.map_or(bytes.len(), |hash| {
        hash + bytes[hash..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count()
    });
    at.start..end
}

/// The password of `scheme://user:password@`; `from` is after the slashes.
fn user_info(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let end = bytes.len().min(from + AUTHORITY_BYTES_MAX);
    let stops = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(*byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>')
    };
    let length = bytes[from..end].iter().position(stops).unwrap_or(end - from);
    let authority = &bytes[from..from + length];
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority[..at].iter().position(|byte| *byte == b':')?;
    let password = from + colon + 1..from + at;
    (!is_harmless(&bytes[password.clone()])).then_some(password)
}
