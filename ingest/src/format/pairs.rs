//! [`json`]: a line of `name=value` as the JSON object that it stands for. So gateways log where nobody
//! asked them for JSON.
//!
//! Invariant: nothing of a line is left out but a few words in front (a level, what it is about), of which
//! the time is kept; a line with anything else in it is none.

use std::borrow::Cow;

use super::draft::time_of;
use super::json::Json;

/// Most words in front of the first pair.
const HEAD_WORDS_MAX: usize = 4;
/// Fewer pairs are a sentence.
const PAIRS_MIN: usize = 3;

/// The object of a line; `None` if it is none.
pub(super) fn json(line: &str) -> Option<String> {
    let mut rest = line.trim();
    let mut fields: Vec<(Cow<'_, str>, Json<'_>)> = Vec::new();
    let (mut time, mut head_words, mut pairs) = (None, 0, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace())?;
        let (word, behind) = rest.split_at(end);
        let Some(behind) = behind.strip_prefix('=') else {
            // A time may have a blank between its day and its hour; that is no pair either.
            head_words += 1;
            if 0 < pairs || HEAD_WORDS_MAX < head_words {
                return None;
            }
            time = time.or_else(|| time_of(word).is_ok().then_some(word));
            rest = behind.trim_start();
            continue;
        };
        if word.is_empty() || word.contains(['"', '{']) {
            return None;
        }
        let (value, more) = value(behind)?;
        fields.push((word.into(), Json::Text(value)));
        pairs += 1;
        rest = more.trim_start();
    }
    if let Some(time) = time
        && !fields.iter().any(|(name, _)| name == "time")
    {
        fields.push(("time".into(), Json::Text(time.into())));
    }
    (PAIRS_MIN <= pairs).then(|| Json::Object(fields).to_string())
}

/// The value that a text begins with, and what is behind it: up to a blank, or between quotes.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if !text.starts_with('"') {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Some((text[..end].into(), &text[end..]));
    }
    let mut is_escaped = false;
    let end = text[1..].find(|c: char| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    let (quoted, behind) = text.split_at(1 + end + 1);
    // What is no text of JSON has escapes of another language: it stays as it is.
    let plain = serde_json::from_str::<String>(quoted).map(Cow::Owned);
    Some((plain.unwrap_or_else(|_| quoted[1..=end].into()), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pairs_is_an_object_and_a_sentence_is_none() {
        let line = "2026-03-02T10:00:00.5Z\tinfo\trequest gateway=default/default http.status=200 \
            mcp.method.name=tools/call error=\"no \\\"right\\\" to\" gen_ai.tool.name= duration=4ms";
        let wanted = r#"{"gateway":"default/default","http.status":"200","mcp.method.name":"tools/call","error":"no \"right\" to","gen_ai.tool.name":"","duration":"4ms","time":"2026-03-02T10:00:00.5Z"}"#;
        assert_eq!(json(line).as_deref(), Some(wanted));
        for line in [
            "",
            "a sentence about a=b",
            "a=b c=d",
            "a=b c=d e=f and more",
            "a=b c=d e=\"f",
            "{\"a\":\"b=c d=e f=g\"}",
            "one two three four five a=b c=d e=f",
            "=a =b =c",
        ] {
            assert_eq!(json(line), None, "{line}");
        }
    }
}
