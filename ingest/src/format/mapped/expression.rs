//! [`Expression`]: where a mapping finds a text in a record, and what it makes of it.
//!
//! Invariant (N1): evaluating is total and pure, and its cost is bounded by the expression and the
//! record: there are no loops, no definitions and no patterns that backtrack. What cannot be had is
//! nothing, and never a made-up text.

use std::borrow::Cow;
use std::fmt;

use schemas::Timestamp;

use super::super::draft::Word;
use super::super::json::Json;
use super::parse;

/// Longest text that a function makes. Nothing longer fits a field of an event.
const MADE_BYTES_MAX: usize = 64 * 1024;

/// An expression of a mapping, such as `lower(.actor.type) ?? "user"`.
#[derive(Clone, PartialEq)]
pub struct Expression(pub(super) Node);

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted}")]
pub struct ExpressionError {
    /// The byte of the text at which it went wrong.
    pub at: usize,
    /// What was wanted there, and what was found.
    pub wanted: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Literal(String),
    /// A path from the record.
    Path(Vec<Step>),
    /// A path from what an expression gives.
    Inside(Box<Node>, Vec<Step>),
    /// The first that gives anything.
    FirstOf(Vec<Node>),
    /// `map(x, "a" => "b", _ => "c")`.
    Map {
        of: Box<Node>,
        arms: Vec<(String, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Compare(Comparison, Box<Node>, Box<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Of a list, the field of its first element.
    Field(String),
    Element(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The functions, each with its name and how many arguments it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Lower,
    Upper,
    Trim,
    Prefix,
    Suffix,
    Join,
    Split,
    Time,
    Json,
    If,
    Exists,
    StartsWith,
    EndsWith,
    Contains,
}

impl Function {
    pub(super) const ALL: &'static [(&'static str, Self, usize, usize)] = &[
        ("lower", Self::Lower, 1, 1),
        ("upper", Self::Upper, 1, 1),
        ("trim", Self::Trim, 1, 1),
        ("prefix", Self::Prefix, 2, 2),
        ("suffix", Self::Suffix, 2, 2),
        ("join", Self::Join, 2, 32),
        ("split", Self::Split, 3, 3),
        ("time", Self::Time, 2, 2),
        ("json", Self::Json, 1, 1),
        ("if", Self::If, 2, 3),
        ("exists", Self::Exists, 1, 1),
        ("starts_with", Self::StartsWith, 2, 2),
        ("ends_with", Self::EndsWith, 2, 2),
        ("contains", Self::Contains, 2, 2),
    ];
}

/// What an expression gives.
#[derive(Clone, Debug)]
pub(super) enum Value<'r> {
    Of(&'r Json<'r>),
    /// JSON that stood in a text of the record.
    Read(Json<'r>),
    Text(Word<'r>),
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// [`ExpressionError`] with the place.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::expression(text).map(Self)
    }

    /// The texts that the expression itself can give, as far as it holds them.
    pub(super) fn constants(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.0.constants(&mut found);
        found
    }

    /// Whether it leads to a part of the record as it stands there.
    pub(super) fn is_path(&self) -> bool {
        matches!(self.0, Node::Path(_))
    }

    pub(super) fn value<'r>(&'r self, record: &'r Json<'r>) -> Option<Value<'r>> {
        self.0.value(record)
    }

    /// The text that it gives: of a list the first, of an object none.
    pub(super) fn text<'r>(&'r self, record: &'r Json<'r>) -> Option<Word<'r>> {
        self.0.text(record)
    }

    pub(super) fn holds<'r>(&'r self, record: &'r Json<'r>) -> bool {
        self.0.holds(record)
    }
}

impl<'r> Value<'r> {
    fn into_text(self) -> Option<Word<'r>> {
        match self {
            Self::Of(json) => json.as_text().map(Cow::Borrowed),
            Self::Read(json) => json.as_text().map(|text| Cow::Owned(text.to_owned())),
            Self::Text(text) => Some(text).filter(|text| !text.is_empty()),
        }
    }

    /// Whether it says nothing.
    fn is_empty(&self) -> bool {
        let json = match self {
            Self::Of(json) => *json,
            Self::Read(json) => json,
            Self::Text(text) => return text.is_empty(),
        };
        match json {
            Json::Null => true,
            Json::Literal(_) => false,
            Json::Text(text) => text.is_empty(),
            Json::List(elements) => elements.is_empty(),
            Json::Object(fields) => fields.is_empty(),
        }
    }

    /// A text as it is, everything else as its JSON.
    pub(super) fn told(self) -> Option<Word<'r>> {
        match self {
            Self::Of(json) => json.told(),
            Self::Read(json) => json.told().map(|told| Cow::Owned(told.into_owned())),
            Self::Text(text) => Some(text).filter(|text| !text.is_empty()),
        }
    }

    /// The texts of a list, or the one text.
    pub(super) fn into_texts(self) -> Vec<Word<'r>> {
        match self {
            Self::Of(Json::List(elements)) => {
                elements.iter().filter_map(Json::as_text).map(Cow::Borrowed).collect()
            }
            Self::Read(Json::List(elements)) => {
                let texts = elements.iter().filter_map(Json::as_text);
                texts.map(|text| Cow::Owned(text.to_owned())).collect()
            }
            Self::Of(_) | Self::Read(_) | Self::Text(_) => self.into_text().into_iter().collect(),
        }
    }
}

impl Node {
    fn constants<'n>(&'n self, found: &mut Vec<&'n str>) {
        match self {
            Self::Literal(text) => found.push(text),
            Self::FirstOf(nodes) => nodes.iter().for_each(|node| node.constants(found)),
            Self::Map { arms, otherwise, .. } => {
                let arms = arms.iter().map(|(_, node)| node);
                for node in arms.chain(otherwise.as_deref()) {
                    node.constants(found);
                }
            }
            Self::Call(Function::If, arguments) => {
                arguments[1..].iter().for_each(|node| node.constants(found));
            }
            Self::Path(_)
            | Self::Inside(..)
            | Self::Compare(..)
            | Self::Not(_)
            | Self::And(..)
            | Self::Or(..)
            | Self::Call(..) => {}
        }
    }

    fn holds<'r>(&'r self, record: &'r Json<'r>) -> bool {
        self.text(record).as_deref() == Some("true")
    }

    fn text<'r>(&'r self, record: &'r Json<'r>) -> Option<Word<'r>> {
        self.value(record)?.into_text()
    }

    fn value<'r>(&'r self, record: &'r Json<'r>) -> Option<Value<'r>> {
        let told = |is_so: bool| Some(Value::Text(if is_so { "true" } else { "false" }.into()));
        match self {
            Self::Literal(text) => Some(Value::Text(Cow::Borrowed(text))),
            Self::Path(steps) => walk(record, steps).map(Value::Of),
            Self::Inside(node, steps) => match node.value(record)? {
                Value::Of(json) => walk(json, steps).map(Value::Of),
                Value::Read(json) => walk(&json, steps).cloned().map(Value::Read),
                Value::Text(_) => None,
            },
            Self::FirstOf(nodes) => {
                let mut values = nodes.iter().filter_map(|node| node.value(record));
                values.find(|value| !value.is_empty())
            }
            Self::Map { of, arms, otherwise } => {
                let text = of.text(record);
                let arm = arms.iter().find(|(from, _)| text.as_deref() == Some(from));
                match arm {
                    Some((_, to)) => to.value(record),
                    None => otherwise.as_ref()?.value(record),
                }
            }
            Self::Compare(comparison, left, right) => {
                told(comparison.holds(left.text(record), right.text(record)))
            }
            Self::Not(node) => told(!node.holds(record)),
            Self::And(left, right) => told(left.holds(record) && right.holds(record)),
            Self::Or(left, right) => told(left.holds(record) || right.holds(record)),
            Self::Call(function, arguments) => function.value(arguments, record),
        }
    }
}

impl Comparison {
    /// Texts are equal or not; what is less is a number, and nothing is less than what is no number.
    fn holds(self, left: Option<Word<'_>>, right: Option<Word<'_>>) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => {
                let number = |text: Option<Word<'_>>| text?.parse::<f64>().ok();
                let (Some(left), Some(right)) = (number(left), number(right)) else { return false };
                match self {
                    Self::Less => left < right,
                    Self::LessOrEqual => left <= right,
                    Self::Greater => right < left,
                    Self::GreaterOrEqual => right <= left,
                    Self::Equal | Self::NotEqual => unreachable!("answered above"),
                }
            }
        }
    }
}

impl Function {
    fn value<'r>(self, arguments: &'r [Node], record: &'r Json<'r>) -> Option<Value<'r>> {
        let text = |at: usize| arguments.get(at).and_then(|node: &'r Node| node.text(record));
        let told = |is_so: bool| Some(if is_so { "true" } else { "false" }.into());
        // A question about a text that is not there is answered with no.
        let asked = |holds: fn(&str, &str) -> bool| {
            told(matches!((text(0), text(1)), (Some(one), Some(other)) if holds(&one, &other)))
        };
        let made = match self {
            Self::Lower => Some(text(0)?.to_lowercase().into()),
            Self::Upper => Some(text(0)?.to_uppercase().into()),
            Self::Trim => Some(text(0)?.trim().to_owned().into()),
            Self::Prefix | Self::Suffix => joined("", [text(0)?, text(1)?]),
            Self::Join => {
                // An empty separator is one.
                let between = if let Node::Literal(text) = &arguments[0] {
                    Cow::Borrowed(text.as_str())
                } else {
                    arguments[0].text(record)?
                };
                joined(&between, (1..arguments.len()).filter_map(text))
            }
            Self::Split => part(&text(0)?, &text(1)?, text(2)?.parse().ok()?).map(Into::into),
            Self::Time => Some(in_format(text(0)?, &text(1)?)),
            Self::Json => return read(arguments[0].value(record)?),
            Self::If if arguments[0].holds(record) => return arguments[1].value(record),
            Self::If => return arguments.get(2)?.value(record),
            Self::Exists => told(arguments[0].value(record).is_some_and(|value| !value.is_empty())),
            Self::StartsWith => asked(|text, start| text.starts_with(start)),
            Self::EndsWith => asked(|text, end| text.ends_with(end)),
            Self::Contains => asked(|text, part| text.contains(part)),
        };
        made.map(Value::Text)
    }
}

fn walk<'j, 'a>(json: &'j Json<'a>, steps: &[Step]) -> Option<&'j Json<'a>> {
    let found = steps.iter().try_fold(json, |json, step| match step {
        Step::Field(name) => json.field(name),
        Step::Element(at) => match json {
            Json::List(elements) => elements.get(*at),
            Json::Null | Json::Literal(_) | Json::Text(_) | Json::Object(_) => None,
        },
    });
    found.filter(|json| **json != Json::Null)
}

/// Those that are there, with `between` between them; nothing if none is, or if it gets too long.
fn joined<'r>(between: &str, parts: impl IntoIterator<Item = Word<'r>>) -> Option<Word<'r>> {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push_str(between);
        }
        text.push_str(&part);
        if MADE_BYTES_MAX < text.len() {
            return None;
        }
    }
    (!text.is_empty()).then_some(Cow::Owned(text))
}

/// The part of `text` with this number between separators; below zero, from the end.
fn part(text: &str, separator: &str, number: isize) -> Option<String> {
    let at = number.unsigned_abs();
    let found =
        if number < 0 { text.rsplit(separator).nth(at - 1) } else { text.split(separator).nth(at) };
    found.map(str::to_owned)
}

/// A time in this format as RFC 3339. One that is not in it stays, to be told as none.
fn in_format<'r>(text: Word<'r>, format: &str) -> Word<'r> {
    match Timestamp::parse_in(format, &text) {
        Ok(time) => Cow::Owned(time.to_string()),
        Err(_) => text,
    }
}

/// The JSON that a text holds. JSON as it is stays.
fn read(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Of(Json::Text(text)) => Json::parse(text).ok().map(Value::Read),
        Value::Text(Cow::Borrowed(text)) => Json::parse(text).ok().map(Value::Read),
        Value::Read(Json::Text(text)) => Json::parse(&text).ok().map(Json::owned).map(Value::Read),
        Value::Text(Cow::Owned(text)) => Json::parse(&text).ok().map(Json::owned).map(Value::Read),
        json @ (Value::Of(_) | Value::Read(_)) => Some(json),
    }
}
