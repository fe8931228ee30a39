//! [`structured`]: a message in binary mode that was written down with its headers, as the event that it is;
//! [`of_pubsub`]: a message of Pub/Sub as one.
//!
//! Invariant: what has no `specversion` among its headers is no event; of the attributes nothing is made up.
//!
//! Source: CNCF, *Kafka Protocol Binding* and *HTTP Protocol Binding* for `CloudEvents`; the tools that write
//! messages down with their headers; Argo Events, its events (`context` and `data`); Google Cloud, *Push
//! subscriptions* and *Pull subscriptions* of Pub/Sub.

use std::borrow::Cow;

use crate::format::envelope::{decoded, text_of_base64};
use crate::format::json::Json;

/// How the attributes of an event are marked where they stand beside the data, in headers of Kafka or HTTP.
const PREFIXES: [&str; 2] = ["ce_", "ce-"];
/// The attributes that the specification names.
const ATTRIBUTES: &[&str] =
    &["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"];
/// Where who writes down a message with its headers has these, and the data.
const HEADERS: &[&str] = &["headers", "attributes", "metadata"];
const BODIES: &[&str] = &["data", "body", "value", "payload"];
/// The type of the event that a message of Pub/Sub is.
const PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";

/// The event of a message in binary mode that was written down with its headers, as if in structured mode.
pub(super) fn structured(message: &Json<'_>) -> Option<Json<'static>> {
    // Pub/Sub has the message in one of its own.
    let inner = message.field("message").filter(|inner| inner.has("attributes"));
    let message = inner.unwrap_or(message);
    let headers =
        HEADERS.iter().find_map(|name| message.field(name)).map_or_else(Vec::new, headers);
    let beside = message.fields().iter().map(|(name, value)| (&**name, value));
    let told = headers.into_iter().chain(beside).filter_map(|(name, value)| {
        Some((attribute_of(name)?.to_owned().into(), Json::Text(word(value)?.into())))
    });
    // Argo Events has the attributes in `context`, under their own names.
    let context = message.field("context").filter(|context| context.has("specversion"));
    let own = context.map_or(&[][..], Json::fields).iter().filter_map(|(name, value)| {
        Some((spelled(name).to_owned().into(), Json::Text(word(value)?.into())))
    });
    let mut fields: Vec<(Cow<'static, str>, Json<'static>)> = told.chain(own).collect();
    let version = fields
        .iter()
        .find_map(|(name, value)| if name == "specversion" { value.as_text() } else { None })?;
    // A number and a dot are no Base64: then all headers are.
    if !version.contains('.') {
        for (_, value) in &mut fields {
            *value = Json::Text(text_of_base64(value.as_text()?)?.into());
        }
    }
    fields.retain(|(name, _)| name != "data");
    let data = BODIES.iter().find_map(|name| message.field(name))?;
    let data = match data {
        Json::Text(text) => match Json::parse(text) {
            Ok(data) => Some(data.owned()),
            Err(_) => decoded(text).and_then(|text| Json::parse(&text).ok().map(Json::owned)),
        },
        Json::Null | Json::Literal(_) | Json::List(_) | Json::Object(_) => None,
    }
    .unwrap_or_else(|| data.clone().owned());
    fields.push(("data".into(), data));
    Some(Json::Object(fields))
}

/// The message of a subscription of Pub/Sub, pushed or pulled, as the event that Eventarc makes of one. The name
/// of the subscription does not say what is inside, and stays out.
pub(super) fn of_pubsub(delivery: &Json<'_>) -> Option<Json<'static>> {
    let message = delivery.field("message").filter(|message| message.has("data"))?;
    let id = message.first(&["messageId", "message_id"])?;
    let time = message.first(&["publishTime", "publish_time"])?;
    let told = [("type", PUBLISHED), ("id", id), ("time", time)];
    let told = told.map(|(name, text)| (name.into(), Json::Text(text.to_owned().into())));
    let data = Json::Object(vec![("message".into(), message.clone().owned())]);
    Some(Json::Object(told.into_iter().chain([("data".into(), data)]).collect()))
}

/// The attribute that a header of this name tells.
pub(super) fn attribute_of(header: &str) -> Option<&str> {
    let (start, name) = header.split_at_checked(3)?;
    let is_marked = PREFIXES.iter().any(|prefix| start.eq_ignore_ascii_case(prefix));
    is_marked.then(|| spelled(name))
}

/// The attribute of this name as the specification spells it. Others stay as they are: secrets are looked for
/// in what comes out.
fn spelled(name: &str) -> &str {
    ATTRIBUTES.iter().find(|known| name.eq_ignore_ascii_case(known)).copied().unwrap_or(name)
}

/// The headers of a message by their names: an object, a list of such, of pairs of a name and a value (an
/// object or a list), or a list of names and values in turn.
fn headers<'j, 'a>(headers: &'j Json<'a>) -> Vec<(&'j str, &'j Json<'a>)> {
    let Json::List(elements) = headers else {
        let fields = headers.fields().iter();
        return fields.map(|(name, value)| (&**name, value)).collect();
    };
    if let [Json::Text(_), ..] = &elements[..] {
        let pairs = elements.chunks_exact(2);
        return pairs.filter_map(|pair| Some((pair[0].as_text()?, &pair[1]))).collect();
    }
    let mut found = Vec::new();
    for element in elements {
        let named = element.field("key").or_else(|| element.field("name"));
        match (element, named.and_then(Json::as_text), element.field("value")) {
            (Json::List(pair), ..) => {
                if let [name, value] = &pair[..] {
                    found.extend(name.as_text().map(|name| (name, value)));
                }
            }
            (_, Some(name), Some(value)) => found.push((name, value)),
            _ => found.extend(element.fields().iter().map(|(name, value)| (&**name, value))),
        }
    }
    found
}

/// The text of a header, which may be a list of its bytes.
fn word(value: &Json<'_>) -> Option<String> {
    match value {
        Json::List(bytes) => {
            let bytes = bytes.iter().map(|byte| byte.as_text()?.parse().ok());
            String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
        }
        Json::Null | Json::Literal(_) | Json::Text(_) | Json::Object(_) => {
            value.as_text().map(str::to_owned)
        }
    }
}
