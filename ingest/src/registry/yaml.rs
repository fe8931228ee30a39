//! YAML to JSON values with their lines: the entries of a list, or of every document of a stream.
//!
//! Invariant: an entry is built and handed on by itself, so memory is that of one entry and of what has
//! an anchor; nesting and the unfolding of aliases are bounded, so no file is larger than it looks.
//!
//! Source: YAML 1.2.2, section 10.3 (the core schema), for what a scalar without quotes means.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};

/// Deepest nesting inside one entry. A change has lists in it, and nothing deeper.
const DEPTH_MAX: usize = 32;

/// Most values that the aliases of one file unfold to.
const UNFOLDED_MAX: usize = 1_000_000;

/// Calls `take` with each entry: its line, from 1, and its value or what is wrong with it.
///
/// After a text that is no YAML nothing more is read: that error is the last.
pub(super) fn entries(text: &str, mut take: impl FnMut(u64, Result<Value, String>)) {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, line) = match event {
            Ok((event, span)) => (event, span.start.line() as u64),
            Err(error) => return take(error.marker().line() as u64, Err(told(&error))),
        };
        if let Some(entry) = builder.fold(event, line) {
            take(entry.line, entry.value);
        }
    }
}

/// What the scanner says, which names no value of the file but perhaps an anchor or a tag of it.
fn told(error: &ScanError) -> String {
    let what = error.info().split(['\'', '"', '`', ':']).next().unwrap_or_default().trim();
    format!("wanted YAML, found another text ({what})")
}

struct Entry {
    line: u64,
    value: Result<Value, String>,
}

/// A list or a mapping that has not ended.
enum Open {
    List(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Builder {
    /// Whether the document is a list, so that entries are its elements.
    is_list: bool,
    open: Vec<(Open, usize)>,
    /// Lists and mappings below the deepest that is kept.
    too_deep: usize,
    /// Where the entry that is being built begins, and what is wrong with it first.
    line: u64,
    fault: Option<String>,
    anchors: HashMap<usize, Value>,
    unfolded: usize,
}

impl Builder {
    fn fold(&mut self, event: Event<'_>, line: u64) -> Option<Entry> {
        let is_between = self.open.is_empty() && self.too_deep == 0;
        match event {
            Event::DocumentStart(_) => {
                self.is_list = false;
                self.anchors.clear();
                None
            }
            Event::SequenceStart(..) if is_between && !self.is_list => {
                self.is_list = true;
                None
            }
            Event::SequenceEnd if is_between => None,
            Event::SequenceStart(anchor, tag) => {
                self.begin(Open::List(Vec::new()), anchor, tag.as_deref(), line);
                None
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Open::Mapping(Map::new(), None), anchor, tag.as_deref(), line);
                None
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Scalar(text, style, anchor, tag) => {
                if is_between {
                    self.line = line;
                    // A document without anything in it.
                    if !self.is_list && text.is_empty() && style == ScalarStyle::Plain {
                        return None;
                    }
                }
                let is_foreign = tag.as_ref().is_some_and(|tag| !tag.is_yaml_core_schema());
                if is_foreign {
                    self.blame("wanted no tags of one's own, found one");
                }
                let is_text = style != ScalarStyle::Plain
                    || tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                self.add(if is_text { text.into() } else { scalar(&text) }, anchor)
            }
            Event::Alias(anchor) => {
                if is_between {
                    self.line = line;
                }
                let value = self.unfold(anchor);
                self.add(value, 0)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
        }
    }

    fn begin(&mut self, open: Open, anchor: usize, tag: Option<&Tag>, line: u64) {
        if self.open.is_empty() && self.too_deep == 0 {
            self.line = line;
        }
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            self.blame("wanted no tags of one's own, found one");
        }
        if 0 < self.too_deep || self.open.len() == DEPTH_MAX {
            self.too_deep += 1;
            self.blame("wanted less nesting");
            return;
        }
        self.open.push((open, anchor));
    }

    fn end(&mut self) -> Option<Entry> {
        if 0 < self.too_deep {
            self.too_deep -= 1;
            return if self.too_deep == 0 { self.add(Value::Null, 0) } else { None };
        }
        let (open, anchor) = self.open.pop().expect("the parser ends what it began");
        let value = match open {
            Open::List(values) => Value::Array(values),
            Open::Mapping(fields, _) => Value::Object(fields),
        };
        self.add(value, anchor)
    }

    /// Puts a whole value where it belongs; an entry that is whole by it is returned.
    fn add(&mut self, value: Value, anchor: usize) -> Option<Entry> {
        if 0 < self.too_deep {
            return None;
        }
        if 0 < anchor {
            self.anchors.insert(anchor, value.clone());
        }
        let Some((open, _)) = self.open.last_mut() else {
            let value = self.fault.take().map_or(Ok(value), Err);
            return Some(Entry { line: self.line, value });
        };
        let fault = match open {
            Open::List(values) => {
                values.push(value);
                None
            }
            Open::Mapping(fields, key) => match (key.take(), value) {
                (Some(key), value) => {
                    let before = fields.insert(key, value);
                    before.map(|_| "wanted each field once, found one again")
                }
                (None, Value::String(text)) => {
                    *key = Some(text);
                    None
                }
                (None, Value::Null | Value::Bool(_) | Value::Number(_)) => {
                    *key = Some(String::new());
                    Some("wanted names of fields, found another value")
                }
                (None, Value::Array(_) | Value::Object(_)) => {
                    *key = Some(String::new());
                    Some("wanted names of fields, found a list or a mapping")
                }
            },
        };
        if let Some(fault) = fault {
            self.blame(fault);
        }
        None
    }

    fn unfold(&mut self, anchor: usize) -> Value {
        let Some(value) = self.anchors.get(&anchor) else {
            self.blame("wanted an alias of what is whole, found one inside of it");
            return Value::Null;
        };
        self.unfolded = self.unfolded.saturating_add(values_in(value));
        if UNFOLDED_MAX < self.unfolded {
            self.blame("wanted aliases that unfold to less");
            return Value::Null;
        }
        value.clone()
    }

    /// The first thing that is wrong with an entry is told.
    fn blame(&mut self, fault: &str) {
        self.fault.get_or_insert_with(|| fault.to_owned());
    }
}

fn values_in(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(values_in).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(values_in).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// What a scalar without quotes means.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // A time, an address and a version begin with a digit too, and are texts.
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return text.into();
    }
    let whole = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) => i64::from_str_radix(octal, 8).ok(),
        (None, None) => text.parse().ok(),
    };
    if let Some(whole) = whole {
        return whole.into();
    }
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<(u64, Result<Value, String>)> {
        let mut entries = Vec::new();
        super::entries(text, |line, entry| entries.push((line, entry)));
        entries
    }

    fn values(text: &str) -> Vec<(u64, Value)> {
        read(text).into_iter().map(|(line, value)| (line, value.unwrap())).collect()
    }

    #[test]
    fn the_entries_of_a_list_and_of_a_stream_have_their_lines() {
        let text =
            "# people\n- a: 1\n  b: [x, y]\n-\n  a: two\n---\na: 3\n---\n---\n- {a: 4}\n...\n";

        let wanted = [
            (2, json!({"a": 1, "b": ["x", "y"]})),
            (5, json!({"a": "two"})),
            (7, json!({"a": 3})),
            (10, json!({"a": 4})),
        ];
        assert_eq!(values(text), wanted);
    }

    #[test]
    fn scalars_mean_what_the_core_schema_says() {
        let text = "- {a: true, b: False, c: yes, d: ~, e: , f: 17, g: -0.5, h: 0x1F, i: 'true', j: !!str 17}\n\
            - {a: 2026-01-01T00:00:00Z, b: 10.0.0.1, c: +4, d: 4e2, e: \"\", f: .inf, g: 99999999999999999999}";

        let wanted = json!({"a": true, "b": false, "c": "yes", "d": null, "e": null, "f": 17, "g": -0.5,
            "h": 31, "i": "true", "j": "17"});
        let found = values(text);
        assert_eq!(found[0].1, wanted);
        let wanted = json!({"a": "2026-01-01T00:00:00Z", "b": "10.0.0.1", "c": 4, "d": 400.0, "e": "",
            "f": ".inf", "g": 1e20});
        assert_eq!(found[1].1, wanted);
    }

    #[test]
    fn anchors_and_aliases_stand_for_what_they_name() {
        let text = "- {a: &x [1, 2], b: *x}\n- {c: *x}\n";

        assert_eq!(values(text)[0].1, json!({"a": [1, 2], "b": [1, 2]}));
        assert_eq!(values(text)[1].1, json!({"c": [1, 2]}));
    }

    #[test]
    fn a_wrong_entry_is_named_and_the_next_is_read() {
        let text = "- {a: 1, a: 2}\n- {b: !mine 2}\n- {[x]: 2}\n- &y {c: *y}\n- {d: 1}\n";

        let found = read(text);

        let fine: Vec<bool> = found.iter().map(|(_, value)| value.is_ok()).collect();
        assert_eq!(fine, [false, false, false, false, true]);
        assert!(found.iter().map(|(line, _)| *line).eq(1..=5), "{found:?}");
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line_and_without_what_it_says() {
        let found = read("- {a: 1}\n- {b: hunter2, \"x}\n- {c: *hunter2}");

        assert_eq!(found.len(), 2);
        let (line, error) = &found[1];
        assert!(2 <= *line, "{found:?}");
        assert!(!error.as_ref().unwrap_err().contains("hunter2"), "{error:?}");
        let unknown = read("- *hunter2");
        assert!(!unknown[0].1.as_ref().unwrap_err().contains("hunter2"), "{unknown:?}");
    }

    #[test]
    fn nesting_and_aliases_cannot_make_a_small_file_large() {
        let deep = format!("- {}1{}\n- {{a: 1}}\n", "[".repeat(100), "]".repeat(100));
        let found = read(&deep);
        assert_eq!(found[0].1, Err("wanted less nesting".to_owned()));
        assert_eq!(found[1], (2, Ok(json!({"a": 1}))));
        assert!(read(&"[".repeat(100_000)).iter().all(|(_, value)| value.is_err()));
        assert!(read(&"- ".repeat(100_000)).iter().all(|(_, value)| value.is_err()));

        let level = |level: u32| {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("- &a{level} [{before}]\n")
        };
        let levels: String = (1..12).map(level).collect();
        let bomb = format!("- &a0 [x, x, x, x, x, x, x, x, x, x]\n{levels}");
        let found = read(&bomb);
        assert!(found.iter().any(|(_, value)| value.is_err()));
        let kept: usize = found.iter().flat_map(|(_, value)| value).map(values_in).sum();
        assert!(kept < 2 * UNFOLDED_MAX, "{kept}");
    }
}
