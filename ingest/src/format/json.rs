//! [`Json`]: a record as a tree that borrows its texts, and the ways to look something up in it.
//!
//! Invariant: no object of a tree has a name twice, since two readers could disagree on which one
//! counts; a look-up never fails, it finds nothing. Names are compared without the case of their
//! letters and without the underscores and hyphens between them (exporters change all), a name as it is first.

use std::borrow::Cow;
use std::fmt;

use schemas::RejectReason;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{DEPTH_MAX, Fault};

/// Some JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    /// A number or a boolean, as it is written.
    Literal(Cow<'static, str>),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads a whole text, which may itself stand in a record and nest deeper than that.
    pub(super) fn parse(text: &'a str) -> Result<Self, Fault> {
        shallow(text)?;
        serde_json::from_str(text).map_err(|error| Fault::of_json(&error))
    }

    /// What `path` leads to: names with dots between. A name that has dots itself is found too, and a
    /// list on the way is its first element. Null is nothing.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        let fields = match self {
            Self::Object(fields) => fields,
            Self::List(elements) => return elements.first()?.at(path),
            Self::Null | Self::Literal(_) | Self::Text(_) => return None,
        };
        if let Some(value) = field(fields, path) {
            return (*value != Self::Null).then_some(value);
        }
        path.match_indices('.')
            .find_map(|(dot, _)| field(fields, &path[..dot])?.at(&path[dot + 1..]))
    }

    /// The field of this one name; of a list, that of its first element.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => field(fields, name),
            Self::List(elements) => elements.first()?.field(name),
            Self::Null | Self::Literal(_) | Self::Text(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(fields) => place(fields, name).map(|at| &mut fields[at].1),
            Self::List(elements) => elements.first_mut()?.field_mut(name),
            Self::Null | Self::Literal(_) | Self::Text(_) => None,
        }
    }

    /// Puts `value` where `path` leads, in objects that are made on the way. What stands there, or in the
    /// way, stays.
    pub(super) fn put(&mut self, path: &str, value: Self) {
        let Self::Object(fields) = self else { return };
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        match (place(fields, name), rest) {
            (Some(at), Some(rest)) => fields[at].1.put(rest, value),
            (Some(_), None) => {}
            (None, Some(rest)) => {
                let mut inner = Self::Object(Vec::new());
                inner.put(rest, value);
                fields.push((name.to_owned().into(), inner));
            }
            (None, None) => fields.push((name.to_owned().into(), value)),
        }
    }

    /// The same tree with its own texts.
    pub(super) fn owned(self) -> Json<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Literal(text) => Json::Literal(text),
            Self::Text(text) => Json::Text(own(text)),
            Self::List(elements) => Json::List(elements.into_iter().map(Self::owned).collect()),
            Self::Object(fields) => {
                let fields = fields.into_iter();
                Json::Object(fields.map(|(name, value)| (own(name), value.owned())).collect())
            }
        }
    }

    /// Shows every text and every name to `change`.
    pub(super) fn each_text(&mut self, change: &mut impl FnMut(&mut Cow<'a, str>)) {
        match self {
            Self::Null | Self::Literal(_) => {}
            Self::Text(text) => change(text),
            Self::List(elements) => elements.iter_mut().for_each(|one| one.each_text(change)),
            Self::Object(fields) => {
                for (name, value) in fields {
                    change(name);
                    value.each_text(change);
                }
            }
        }
    }

    /// The text that `path` leads to: of a list its first, of a number or boolean as it is written.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_text()
    }

    /// The text that the first of `paths` with a text leads to.
    pub(super) fn first(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().find_map(|path| self.text(path))
    }

    /// Whether `path` leads to `true`, also as other languages print it.
    pub(super) fn is_true(&self, path: &str) -> bool {
        self.text(path).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Whether `path` leads to `false`.
    pub(super) fn is_false(&self, path: &str) -> bool {
        self.text(path).is_some_and(|text| text.eq_ignore_ascii_case("false"))
    }

    /// Whether there is a field of this name, be it null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// The elements that `path` leads to; what is no list is a list of one.
    pub(super) fn list(&self, path: &str) -> &[Self] {
        match self.at(path) {
            Some(Self::List(elements)) => elements,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }

    /// The fields of an object; of anything else, none.
    pub(super) fn fields(&self) -> &[(Cow<'a, str>, Self)] {
        match self {
            Self::Object(fields) => fields,
            Self::Null | Self::Literal(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The fields of this object, and those of `other` that it has not.
    pub(super) fn joined(&self, other: &Self) -> Self {
        let own = self.fields();
        let others = other.fields().iter();
        let others = others.filter(|(name, _)| !own.iter().any(|(own, _)| is_same_name(name, own)));
        Self::Object(own.iter().chain(others).cloned().collect())
    }

    /// The first field that is an id and none of `places`: what it is the id of, and the id.
    pub(super) fn first_id(&self, places: &[&str]) -> Option<(&str, &str)> {
        self.ids(places).next()
    }

    /// All fields that are ids and none of `places`.
    pub(super) fn ids(&self, places: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        self.fields().iter().filter_map(move |(name, value)| {
            let kind = ["_id", "_ID", "Id"].iter().find_map(|end| name.strip_suffix(end))?;
            let is_place = places.iter().any(|place| is_same_name(name, place));
            Some((kind, value.as_text()?)).filter(|_| !is_place)
        })
    }

    /// The text of this value; an empty text is no text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Text(text) => Some(text.as_ref()).filter(|text| !text.is_empty()),
            Self::List(elements) => elements.iter().find_map(Self::as_text),
            Self::Null | Self::Object(_) => None,
        }
    }

    /// A text as it is, everything else as its JSON; what is empty is nothing.
    pub(super) fn told(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Literal(text) => Some(Cow::Borrowed(text)),
            Self::Text(text) => Some(Cow::Borrowed(text.as_ref())).filter(|text| !text.is_empty()),
            Self::List(elements) if elements.is_empty() => None,
            Self::Object(fields) if fields.is_empty() => None,
            Self::List(_) | Self::Object(_) => Some(Cow::Owned(self.to_string())),
        }
    }
}

/// Refuses a text that nests too deep for a parser that recurses.
pub(super) fn shallow(json: &str) -> Result<(), Fault> {
    if is_too_deep(json.as_bytes()) {
        let detail = format!("wanted at most {DEPTH_MAX} levels of arrays and objects, found more");
        return Err(Fault::new(RejectReason::TooDeep, detail));
    }
    Ok(())
}

/// Whether arrays and objects are nested deeper than [`DEPTH_MAX`].
///
/// Finding brackets is SIMD and nearly free; only a record with many of them is looked at closely.
fn is_too_deep(json: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', json).nth(DEPTH_MAX).is_none() {
        return false;
    }
    let (mut depth, mut is_in_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_text => is_escaped = true,
            b'"' => is_in_text = !is_in_text,
            b'[' | b'{' if !is_in_text => {
                depth += 1;
                if DEPTH_MAX < depth {
                    return true;
                }
            }
            b']' | b'}' if !is_in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The value of the field `name`.
fn field<'j, 'a>(fields: &'j [(Cow<'a, str>, Json<'a>)], name: &str) -> Option<&'j Json<'a>> {
    place(fields, name).map(|at| &fields[at].1)
}

/// Where the field `name` is: as it is written, else in any case of letters, else as another language
/// would write it.
fn place(fields: &[(Cow<'_, str>, Json<'_>)], name: &str) -> Option<usize> {
    let exact = fields.iter().position(|(found, _)| found == name);
    exact
        .or_else(|| fields.iter().position(|(found, _)| found.eq_ignore_ascii_case(name)))
        .or_else(|| fields.iter().position(|(found, _)| is_same_name(found, name)))
}

/// Whether two names of fields are one, as `eventType`, `event_type` and `event-type` are. An underscore
/// in front is part of a name: `_id` is another field than `id`.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = u8> {
        name.bytes()
            .filter(|byte| !matches!(byte, b'_' | b'-'))
            .map(|byte| byte.to_ascii_lowercase())
    }
    one.starts_with('_') == other.starts_with('_') && letters(one).eq(letters(other))
}

impl fmt::Display for Json<'_> {
    /// JSON without blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => f.write_str("null"),
            Self::Literal(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at == 0 { '[' } else { ',' })?;
                }
                f.write_str(if elements.is_empty() { "[]" } else { "]" })
            }
            Self::Object(fields) => {
                for (at, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{}:{value}", if at == 0 { '{' } else { ',' }, quoted(name))?;
                }
                f.write_str(if fields.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// The name of a field, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Literal(Cow::Borrowed(if value { "true" } else { "false" })))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Literal(Cow::Owned(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Literal(Cow::Owned(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Literal(Cow::Owned(value.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Json::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            // The name may be a person's or worse: only what looks like a field's is repeated.
            Some(pair) if is_plain(pair[0]) => {
                Err(A::Error::custom(format!("duplicate field `{}`", pair[0])))
            }
            Some(_) => Err(A::Error::custom("duplicate field `?`")),
            None => Ok(Json::Object(fields)),
        }
    }
}

/// Whether `name` is short and of letters only.
fn is_plain(name: &str) -> bool {
    name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_nested_and_dotted_names_in_any_case() {
        let json = Json::parse(
            r#"{"a":{"b.c":{"d":1}},"gen_ai.tool.name":"pay","Actor":{"ID":"x"},"actor":{"id":"y"},
                "ips":["","10.0.0.1"],"list":[{"of":true}],"none":null,"user_agent":{"rawName":"z"},
                "_id":"hidden","mcp-tool":"pay"}"#,
        )
        .unwrap();

        for (path, wanted) in [
            ("a.b.c.d", Some("1")),
            ("gen_ai.tool.name", Some("pay")),
            ("actor.id", Some("y")),
            ("ACTOR.id", Some("x")),
            ("ips", Some("10.0.0.1")),
            ("list.of", Some("true")),
            ("none", None),
            ("userAgent.raw_name", Some("z")),
            ("user-agent.rawName", Some("z")),
            ("mcp_tool", Some("pay")),
            ("id", None),
            ("a.b", None),
            ("a.b.c.d.e", None),
            ("", None),
        ] {
            assert_eq!(json.text(path), wanted, "{path}");
        }
        assert_eq!(json.list("ips").len(), 2);
        assert_eq!(json.list("actor").len(), 1);
        assert!(json.list("none").is_empty());
    }

    #[test]
    fn what_is_put_at_a_path_takes_the_place_of_nothing() {
        let mut json = Json::parse(r#"{"a":{"b":1},"text":"x"}"#).unwrap();
        for path in ["a.b", "a.c", "d.e.f", "text", "text.g", "h"] {
            json.put(path, Json::Literal("2".into()));
        }
        assert_eq!(json.to_string(), r#"{"a":{"b":1,"c":2},"text":"x","d":{"e":{"f":2}},"h":2}"#);
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth() {
        for json in [r#"{"a":1,"a":2}"#, r#"{"x":[{"y":{"a":1,"b":2,"\u0061":3}}]}"#] {
            let fault = Json::parse(json).unwrap_err();
            assert_eq!(fault.reason, RejectReason::DuplicateField, "{fault:?}");
        }
        let fault = Json::parse(r#"{"pass 1":1,"pass 1":2}"#).unwrap_err();
        assert!(!fault.detail.contains("pass"), "{fault:?}");
    }

    #[test]
    fn a_tree_is_printed_as_it_was_read() {
        for json in [
            r#"{"a":[1,-2.5,true,null,"x\"\n\\"],"b":{},"c":[],"ü":"\u0001"}"#,
            "[]",
            "18446744073709551615",
        ] {
            let printed = Json::parse(json).unwrap().to_string();
            assert_eq!(printed, json);
        }
    }
}
