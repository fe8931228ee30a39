//! [`Scanner`]: where in a text a secret stands.
//!
//! Invariant: linear in the text, whatever the text is; and what is found is the secret itself, not
//! the name in front of it, so that a reader of the result still sees what was there.
//!
//! Sources for the shapes: the vendors' documentation of their token formats; RFC 7519 (JWT),
//! RFC 7468 (PEM), RFC 3986, section 3.2.1 (user and password in a URL), RFC 6750 and 7617 (HTTP
//! authorization); AWS, Google and Microsoft Azure for signed URLs and connection strings.
//!
//! What names an account or a key without opening it (AWS `AKIA…` and `ASIA…`, Twilio `AC…`) is an id
//! and stays: it joins a use with its credential.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::hidden;

/// What follows a mark when it is a secret.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// At least so many characters of a token.
    Token { chars_min: usize },
    /// The same, and nothing that could be a word may stand in front.
    TokenAfterBreak { chars_min: usize },
    /// The same, and the mark names the scheme: the secret is what comes after it.
    Scheme { chars_min: usize },
    /// Three parts with dots between, the first and second in Base64 of a JSON object.
    Jwt,
    /// A PEM block with a private key.
    Pem,
    /// `user:password@` of a URL.
    UserInfo,
}

const MARKS: &[(&str, Shape)] = &[
    ("ghp_", Shape::Token { chars_min: 16 }),
    ("gho_", Shape::Token { chars_min: 16 }),
    ("ghu_", Shape::Token { chars_min: 16 }),
    ("ghs_", Shape::Token { chars_min: 16 }),
    ("ghr_", Shape::Token { chars_min: 16 }),
    ("github_pat_", Shape::Token { chars_min: 16 }),
    ("xapp-", Shape::TokenAfterBreak { chars_min: 30 }),
    ("xoxa-", Shape::Token { chars_min: 10 }),
    ("xoxb-", Shape::Token { chars_min: 10 }),
    ("xoxc-", Shape::Token { chars_min: 10 }),
    ("xoxd-", Shape::Token { chars_min: 10 }),
    ("xoxe-", Shape::Token { chars_min: 10 }),
    ("xoxp-", Shape::Token { chars_min: 10 }),
    ("xoxr-", Shape::Token { chars_min: 10 }),
    ("xoxs-", Shape::Token { chars_min: 10 }),
    ("sk-", Shape::TokenAfterBreak { chars_min: 20 }),
    ("sk_live_", Shape::TokenAfterBreak { chars_min: 16 }),
    ("sk_test_", Shape::TokenAfterBreak { chars_min: 16 }),
    ("rk_live_", Shape::TokenAfterBreak { chars_min: 16 }),
    ("rk_test_", Shape::TokenAfterBreak { chars_min: 16 }),
    ("GOCSPX-", Shape::Token { chars_min: 20 }),
    ("AIza", Shape::Token { chars_min: 30 }),
    ("ya29.", Shape::Token { chars_min: 16 }),
    ("eyJ", Shape::Jwt),
    ("-----BEGIN", Shape::Pem),
    ("hvs.", Shape::TokenAfterBreak { chars_min: 16 }),
    ("hvb.", Shape::TokenAfterBreak { chars_min: 16 }),
    ("glpat-", Shape::Token { chars_min: 16 }),
    ("npm_", Shape::TokenAfterBreak { chars_min: 36 }),
    ("pypi-", Shape::Token { chars_min: 30 }),
    ("SG.", Shape::TokenAfterBreak { chars_min: 30 }),
    ("whsec_", Shape::Token { chars_min: 16 }),
    ("Bearer ", Shape::Scheme { chars_min: 16 }),
    ("bearer ", Shape::Scheme { chars_min: 16 }),
    ("Basic ", Shape::Scheme { chars_min: 16 }),
    ("basic ", Shape::Scheme { chars_min: 16 }),
    ("hooks.slack.com/services/", Shape::Scheme { chars_min: 20 }),
    ("hf_", Shape::TokenAfterBreak { chars_min: 30 }),
    ("dop_v1_", Shape::TokenAfterBreak { chars_min: 40 }),
    ("shpat_", Shape::TokenAfterBreak { chars_min: 30 }),
    ("AGE-SECRET-KEY-1", Shape::TokenAfterBreak { chars_min: 40 }),
    ("://", Shape::UserInfo),
];

/// A name that ends in one of these, whatever its letters' case, has a secret as its value.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secretstring",
    "secretbinary",
    "secret_key",
    "secretkey",
    "secret_access_key",
    "secretaccesskey",
    "secret-access-key",
    "private_key",
    "privatekey",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "accountkey",
    "sharedaccesskey",
    "x-amz-signature",
    "x-goog-signature",
    "authorization",
    "cookie",
];

/// Parameters of a URL whose value opens what the URL names. Elsewhere they are ordinary words.
const PARAMETERS: &[&str] = &["sig", "signature"];

/// Values of these run to the end of the line: they hold blanks and semicolons.
const HEADERS: &[&str] = &["authorization", "cookie"];

/// How `name: value` looks in running text, as far as a JSON object's own syntax does not look so.
/// `name=value` and everything escaped are seen by their `=` and `\`.
const WORDED: &[&str] = &[
    "': ",
    "assword: ",
    "asswd: ",
    "pwd: ",
    "Pwd: ",
    "PWD: ",
    "phrase: ",
    "ecret: ",
    "oken: ",
    "key: ",
    "Key: ",
    "ation: ",
    "ookie: ",
    "ORD: ",
    "SWD: ",
    "RET: ",
    "KEN: ",
    "KEY: ",
    "ION: ",
    "KIE: ",
];

// More than that, and the automaton of the quick look finds its candidates without SIMD.
const _: () = assert!(MARKS.len() + WORDED.len() <= 64);

/// Longest URL authority that is looked at.
const AUTHORITY_BYTES_MAX: usize = 512;

/// Whether the value under this name is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    NAMES.iter().any(|end| ends_with(name.as_bytes(), end))
}

fn ends_with(name: &[u8], end: &str) -> bool {
    let start = name.len().checked_sub(end.len());
    start.is_some_and(|start| name[start..].eq_ignore_ascii_case(end.as_bytes()))
}

/// Whether a value under a secret's name tells nothing: empty, a literal, stars or a fingerprint.
pub(super) fn is_harmless(value: &[u8]) -> bool {
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
    /// Marks and worded names, letters as they are: one pass over a record with few false alarms.
    quick: AhoCorasick,
    /// Marks, then names, then parameters, in any case of letters.
    full: AhoCorasick,
}

impl Scanner {
    pub(super) fn new() -> Self {
        let marks = MARKS.iter().map(|(text, _)| *text);
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest);
        let quick = builder.build(marks.clone().chain(WORDED.iter().copied()));
        let names = NAMES.iter().chain(PARAMETERS).copied();
        let full = builder.ascii_case_insensitive(true).build(marks.chain(names));
        let few = "some seventy short patterns fit an automaton";
        Self { quick: quick.expect(few), full: full.expect(few) }
    }

    /// Whether a JSON record certainly holds no secret in its values, by one cheap pass.
    ///
    /// Names of fields are not looked at: the caller knows its fields.
    pub(super) fn is_clean(&self, record: &[u8]) -> bool {
        if memchr::memchr3(b'=', b'\\', b'%', record).is_some() {
            return false;
        }
        if hidden::runs(record).any(|run| self.hides(&record[run])) {
            return false;
        }
        let mut looks = Looks::at(record);
        self.quick.find_iter(record).all(|found| match MARKS.get(found.pattern().as_usize()) {
            Some((_, shape)) => looks.marked(found.range(), *shape).is_none(),
            None => false,
        })
    }

    /// Whether a run of Base64 or of hexadecimal digits is that of a text with a secret in it.
    pub(super) fn hides(&self, run: &[u8]) -> bool {
        hidden::plain_texts(run).any(|text| self.secrets(&text).next().is_some())
    }

    /// The secrets of a text, in order, none overlapping.
    pub(super) fn secrets<'a>(&'a self, bytes: &'a [u8]) -> Secrets<'a> {
        Secrets { scanner: self, looks: Looks::at(bytes), from: 0 }
    }
}

/// See [`Scanner::secrets`].
pub(super) struct Secrets<'a> {
    scanner: &'a Scanner,
    looks: Looks<'a>,
    from: usize,
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
                Some((text, shape)) if bytes[at.clone()] == *text.as_bytes() => {
                    self.looks.marked(at.clone(), *shape)
                }
                Some(_) => None,
                None if pattern < MARKS.len() + NAMES.len() => named(bytes, at.clone()),
                None => parameter(bytes, at.clone()),
            };
            if let Some(secret) = secret
                && self.from <= secret.start
            {
                self.from = secret.end;
                return Some(secret);
            }
            self.from = at.start + 1;
        }
        None
    }
}

fn is_token(byte: u8) -> bool {
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
            Shape::Scheme { chars_min } => {
                let end = self.run(at.end, is_base64);
                let is_known = is_fingerprint(&self.bytes[at.end..end]);
                (chars_min <= end - at.end && !is_known).then_some(at.end..end)
            }
            Shape::Jwt => self.jwt(at),
            Shape::Pem => pem(self.bytes, at),
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
fn is_break(bytes: &[u8], start: usize) -> bool {
    let Some(before) = start.checked_sub(1) else { return true };
    let is_escape = before.checked_sub(1).is_some_and(|at| bytes[at] == b'\\');
    is_escape || !bytes[before].is_ascii_alphanumeric()
}

pub(super) fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    bytes[from..].windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

/// A whole PEM block with a private key; to the end of the text where its end is missing.
fn pem(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let label_end = bytes.len().min(at.end + 40);
    find(&bytes[..label_end], at.end, b"PRIVATE KEY")?;
    let end = match find(bytes, at.end, b"-----END") {
        Some(foot) => find(bytes, foot + 8, b"-----").map_or(bytes.len(), |dashes| dashes + 5),
        None => bytes.len(),
    };
    Some(at.start..end)
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

/// The value of the name that ends with the match at `at`, if that is a name with a value.
fn named(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let blanks = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    };
    let (name_end, is_quoted) = match opening_quote(bytes, at.end) {
        Some((quote, _)) => (quote + 1, true),
        None => (at.end, false),
    };
    let sign = blanks(name_end);
    let value = blanks(sign + 1);
    let is_value = match bytes.get(sign)? {
        b'=' => true,
        // `arn:...:secret:name` and `token:refresh` are names, `token: x` and `"token":x` are not.
        b':' => is_quoted || sign + 1 < value || opening_quote(bytes, value).is_some(),
        _ => false,
    };
    if !is_value || bytes.len() <= value {
        return None;
    }
    let secret = match (opening_quote(bytes, value), bytes[value]) {
        (Some((quote, escapes)), _) => quote + 1..closing_quote(bytes, quote, escapes),
        (None, b'[' | b'{') => value..closing_bracket(bytes, value),
        (None, _) => value..bare_end(bytes, value, is_header(&bytes[at])),
    };
    (!is_harmless(&bytes[secret.clone()])).then_some(secret)
}

/// The value of the parameter whose name stands at `at`.
fn parameter(bytes: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let is_one = is_break(bytes, at.start) && bytes.get(at.end) == Some(&b'=');
    if is_one { named(bytes, at) } else { None }
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
