//! Records with a secret somewhere in them, spelled somehow.
//!
//! Invariant: a record is a function of its number and the seed. What must not be seen of it is told with it:
//! the secret itself and each way in which it was spelled.

use serde_json::Value;

use super::formats::{Draw, Secret};

/// Stands in a record where the secret comes.
const HOLE: &str = "@@hole@@";

/// A text, and which of its bytes tell of a secret.
#[derive(Clone, Debug)]
pub(crate) struct Spelled {
    pub(crate) text: String,
    pub(crate) is_hidden: Vec<bool>,
}

impl Spelled {
    fn new() -> Self {
        Self { text: String::new(), is_hidden: Vec::new() }
    }

    fn push(&mut self, piece: &str, is_hidden: bool) {
        self.text.push_str(piece);
        self.is_hidden.resize(self.text.len(), is_hidden);
    }

    /// The same with each byte written otherwise.
    fn each(&self, write: impl Fn(usize, u8) -> String) -> Self {
        let mut other = Self::new();
        for (at, (byte, is_hidden)) in self.text.bytes().zip(&self.is_hidden).enumerate() {
            other.push(&write(at, byte), *is_hidden);
        }
        other
    }

    fn within(&self, before: &str, after: &str) -> Self {
        let mut other = Self::new();
        other.push(before, false);
        other.text.push_str(&self.text);
        other.is_hidden.extend(&self.is_hidden);
        other.push(after, false);
        other
    }

    fn in_percents(&self) -> Self {
        self.each(|at, byte| {
            let is_plain = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if is_plain && at % 7 != 6 { char::from(byte).into() } else { format!("%{byte:02X}") }
        })
    }

    fn in_base64(&self, letters: &[u8; 64]) -> Self {
        let bytes = self.text.as_bytes();
        let mut other = Self::new();
        for from in (0..8 * bytes.len()).step_by(6) {
            let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| (byte >> (7 - at % 8)) & 1);
            let sextet = (from..from + 6).fold(0, |sextet, at| (sextet << 1) | bit(at));
            let is_hidden =
                [from, from + 5].iter().all(|at| self.is_hidden.get(at / 8) == Some(&true));
            other.push(&char::from(letters[usize::from(sextet)]).to_string(), is_hidden);
        }
        other
    }

    /// As it stands between the quotes of JSON, some letters as escapes if wished.
    fn in_json(&self, has_escapes: bool) -> Self {
        self.each(|at, byte| match byte {
            b'"' => "\\\"".into(),
            b'\\' => "\\\\".into(),
            b'\n' => "\\n".into(),
            b'/' if has_escapes => "\\/".into(),
            byte if has_escapes && at % 5 == 2 => format!("\\u{byte:04x}"),
            byte => char::from(byte).into(),
        })
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const OF_URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How a secret is written.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Plain,
    InSentence,
    InUrl,
    Percents,
    PercentsTwice,
    Base64,
    Base64OfJson,
    Base64OfUrls,
    Hex,
    HexInCapitals,
    Json,
    JsonInJson,
    Escaped,
    EscapedJson,
}

const SPELLINGS: [Spelling; 14] = [
    Spelling::Plain,
    Spelling::InSentence,
    Spelling::InUrl,
    Spelling::Percents,
    Spelling::PercentsTwice,
    Spelling::Base64,
    Spelling::Base64OfJson,
    Spelling::Base64OfUrls,
    Spelling::Hex,
    Spelling::HexInCapitals,
    Spelling::Json,
    Spelling::JsonInJson,
    Spelling::Escaped,
    Spelling::EscapedJson,
];

impl Spelling {
    /// What a field's text is.
    fn of(self, plain: &Spelled) -> Spelled {
        let json = |text: &Spelled| text.in_json(false).within(r#"{"note":""#, r#"","n":1}"#);
        match self {
            Self::Plain | Self::Escaped => plain.clone(),
            Self::InSentence => plain.within("tried again with ", " at once"),
            Self::InUrl => plain.in_percents().within("https://h.example/a?x=1&q=", "&page=2"),
            Self::Percents => plain.in_percents(),
            Self::PercentsTwice => plain.in_percents().in_percents(),
            Self::Base64 => plain.within("this was it: ", "").in_base64(STANDARD),
            Self::Base64OfJson => json(plain).in_base64(STANDARD),
            Self::Base64OfUrls => plain.within("the key: ", "").in_base64(OF_URLS),
            Self::Hex => plain.each(|_, byte| format!("{byte:02x}")),
            Self::HexInCapitals => plain.each(|_, byte| format!("{byte:02X}")),
            Self::Json | Self::EscapedJson => json(plain),
            Self::JsonInJson => json(&json(plain)),
        }
    }

    fn has_escapes(self) -> bool {
        matches!(self, Self::Escaped | Self::EscapedJson)
    }
}

/// Where a secret stands in a record.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Instead of a text.
    Text,
    /// In a text that is longer than is kept of one.
    LongText,
    /// In a list in an object in a field that nobody knows.
    Unknown,
    /// In the name of a field.
    Name,
    /// In a text, and the record is wrong in another place.
    Wrong,
    /// In a record that ends too early.
    CutOff,
    /// In a text that is no record.
    NoJson,
}

const PLACES: [Place; 10] = [
    Place::Text,
    Place::Text,
    Place::Text,
    Place::Text,
    Place::LongText,
    Place::Unknown,
    Place::Name,
    Place::Wrong,
    Place::CutOff,
    Place::NoJson,
];

/// A record with a secret.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) record: String,
    /// What was done, for a person.
    pub(crate) told: String,
    /// What must not be seen.
    pub(crate) secrets: Vec<Spelled>,
}

/// A record of this number, made of one of `golden`.
pub(crate) fn placed(number: u64, seed: u64, golden: &[Value]) -> Placed {
    let mut draw = Draw(seed.wrapping_mul(1 << 32).wrapping_add(number));
    let secret = Secret::of(number, &mut draw);
    let spelling = SPELLINGS[draw.below(SPELLINGS.len())];
    let place = PLACES[draw.below(PLACES.len())];
    let mut value = golden[draw.below(golden.len())].clone();
    let plain = Spelled { text: secret.text, is_hidden: secret.is_hidden };
    let mut text = spelling.of(&plain);
    if let Place::LongText = place {
        // Its beginning is some bytes before one of the lengths at which texts are cut.
        let length = [128, 256, 1_024, 2_048, 4_096, 8_192][draw.below(6)];
        let before = "word ".repeat(length / 5 + 1);
        let before = format!("{} ", &before[..length - 1 - draw.below(40)]);
        text = text.within(&before, &" words".repeat(draw.below(2_000)));
    }
    let written = text.in_json(spelling.has_escapes());
    let path = match place {
        Place::Unknown => {
            let nested = serde_json::json!({"list": [1, {"deep": HOLE}]});
            let _before = value.as_object_mut().unwrap().insert("unheard_of".to_owned(), nested);
            "unheard_of".to_owned()
        }
        Place::Name => {
            let _before = value.as_object_mut().unwrap().insert(HOLE.to_owned(), "x".into());
            "a name".to_owned()
        }
        Place::Text | Place::LongText | Place::Wrong | Place::CutOff | Place::NoJson => {
            put(&mut value, &mut draw)
        }
    };
    if let Place::Wrong = place {
        for name in ["time", "eventTime", "timestamp", "published", "createdDateTime", "@timestamp"]
        {
            if let Some(time) = value.get_mut(name).filter(|time| *time != HOLE) {
                *time = "at some time".into();
            }
        }
    }
    let mut record = serde_json::to_string(&value).unwrap().replace(HOLE, &written.text);
    if let Place::CutOff = place {
        record.truncate(record.trim_end_matches(['}', ']']).len());
    }
    if let Place::NoJson = place {
        record = format!("2026-03-02 WARN request failed: {}", text.text);
    }
    let told = format!("{number}: {} as {spelling:?}, {place:?} at {path}", secret.format);
    Placed { record, told, secrets: vec![plain, text, written] }
}

/// Puts the hole into one of the texts of `value`, or beside what it has if that is no text, and says which.
fn put(value: &mut Value, draw: &mut Draw) -> String {
    fn texts<'v>(value: &'v mut Value, path: &str, found: &mut Vec<(String, &'v mut String)>) {
        match value {
            Value::String(text) => found.push((path.to_owned(), text)),
            Value::Array(values) => {
                for (at, value) in values.iter_mut().enumerate() {
                    texts(value, &format!("{path}.{at}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    texts(value, &format!("{path}.{name}"), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    texts(value, "", &mut found);
    if found.is_empty() {
        let _before = value.as_object_mut().unwrap().insert("note".to_owned(), HOLE.into());
        return "note".to_owned();
    }
    let at = draw.below(found.len());
    let (path, text) = found.swap_remove(at);
    HOLE.clone_into(text);
    path
}
