//! [`structured`]: a message of Kafka in binary mode, whose headers are the attributes of an event, as that
//! event in structured mode.
//!
//! Invariant: what comes out is JSON, one object, in which what was sent stands as data and nowhere else. A
//! message without the attribute `specversion` is none in binary mode. Nothing is spelled otherwise but the
//! names that the specification gives.
//!
//! Source: CNCF, *Kafka Protocol Binding for `CloudEvents` 1.0.2*, section 3.2, and *JSON Event Format*, section 3.1.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::RawValue;

use super::message::attribute_of;

/// The media type of the data, which is no attribute of its own name.
const CONTENT_TYPE: &str = "content-type";

/// The event of a message with these headers, or `None` if they are not those of an event.
///
/// Data that are JSON stand as they are, others as a text, or in Base64 if they are none. A header that is
/// empty or no text is left out, and one that stands twice stays so: such an event is refused by who reads it.
pub(crate) fn structured<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    payload: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let mut event = Vec::with_capacity(payload.map_or(0, <[u8]>::len) + 512);
    let mut is_event = false;
    for (name, value) in headers {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        if value.is_empty() {
            continue;
        }
        let name = if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            "datacontenttype"
        } else if let Some(name) = attribute_of(name) {
            name
        } else {
            continue;
        };
        // No attribute may be called so, and the data have these names.
        if name == "data" || name == "data_base64" {
            continue;
        }
        is_event |= name == "specversion";
        add(&mut event, name, &serde_json::Value::from(value).to_string());
    }
    if !is_event {
        return None;
    }
    if let Some(payload) = payload {
        if let Ok(json) = serde_json::from_slice::<&RawValue>(payload) {
            add(&mut event, "data", json.get());
        } else if let Ok(text) = std::str::from_utf8(payload) {
            add(&mut event, "data", &serde_json::Value::from(text).to_string());
        } else {
            let text = BASE64_STANDARD.encode(payload);
            add(&mut event, "data_base64", &format!("\"{text}\""));
        }
    }
    event.push(b'}');
    Some(event)
}

/// Adds a field whose value is JSON.
fn add(event: &mut Vec<u8>, name: &str, json: &str) {
    event.push(if event.is_empty() { b'{' } else { b',' });
    event.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    event.push(b':');
    event.extend_from_slice(json.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HEADERS: [(&str, &[u8]); 4] = [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"com.example.\"use\""),
        ("content-type", b"application/json"),
        ("traceparent", b"00-1"),
    ];

    fn value(headers: &[(&str, &[u8])], payload: Option<&[u8]>) -> Option<serde_json::Value> {
        let event = structured(headers.iter().copied(), payload)?;
        Some(serde_json::from_slice(&event).unwrap())
    }

    #[test]
    fn headers_become_attributes_and_the_payload_data() {
        let wanted = json!({"specversion": "1.0", "type": "com.example.\"use\"",
            "datacontenttype": "application/json", "data": {"a": [1]}});
        assert_eq!(value(&HEADERS, Some(b" {\"a\": [1]}\n")), Some(wanted));
        assert_eq!(value(&HEADERS, Some(b"\xff")).unwrap()["data_base64"], "/w==");
        assert_eq!(value(&HEADERS, None).unwrap().get("data"), None);
        assert_eq!(value(&HEADERS[1..], Some(b"{}")), None);
    }

    #[test]
    fn a_payload_that_is_no_json_and_a_header_of_bytes_break_out_of_nothing() {
        let mut headers = HEADERS.to_vec();
        headers.extend([("ce_data", &b"x"[..]), ("ce_subject", b"\xff"), ("CE-Id", b"7")]);
        let event = value(&headers, Some(b"1,\"type\":\"other\"")).unwrap();
        assert_eq!(event["type"], "com.example.\"use\"");
        assert_eq!(event["id"], "7");
        assert_eq!(event["data"], "1,\"type\":\"other\"");
        assert!(event.get("subject").is_none(), "{event}");
    }
}
