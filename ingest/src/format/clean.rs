//! [`Clean`]: that each text of a record was looked at as a whole before its format took it apart.
//!
//! Invariant: a format sees no text with a secret in it, and none of a value under a secret's name where
//! name and value are fields of their own, and no token that it knows by its place. So it may cut, join and
//! respell what it takes, which would hide the looks of a secret and not the secret. A
//! [`Draft`](super::draft::Draft) is finished with a [`Clean`] alone, and one is given only to who reads such
//! a record. [`kept`] is the same for the bytes of a reject.

use std::borrow::Cow;

use memchr::memmem;
use schemas::{CredentialEvent, Format};

use super::json::Json;
use super::{Fault, RECORD_BYTES_MAX, kubernetes, object, vault};
use crate::redact::{SECRET_BYTES_MIN, ends_with, is_secret_name};
use crate::{RawRecord, Redactor};

/// How a record is looked at, and as what its event is finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'r> {
    pub(super) format: Format,
    pub(super) raw: &'r RawRecord<'r>,
    pub(super) redactor: &'r Redactor,
}

/// The proof of it; see the [module](self).
#[derive(Clone, Copy, Debug)]
pub(super) struct Clean<'r>(Look<'r>);

impl<'r> Clean<'r> {
    pub(super) fn format(&self) -> Format {
        self.0.format
    }

    pub(super) fn raw(&self) -> &'r RawRecord<'r> {
        self.0.raw
    }

    pub(super) fn redactor(&self) -> &'r Redactor {
        self.0.redactor
    }
}

impl Look<'_> {
    /// The event that `read` makes of the object `json`, without its secrets.
    pub(super) fn event(
        &self,
        json: &str,
        read: impl Fn(&Json<'_>, &Clean<'_>) -> Result<CredentialEvent, Fault>,
    ) -> Result<CredentialEvent, Fault> {
        let (tree, is_clean) = (object(json)?, self.redactor.is_clean(json));
        let spare = self.redactor.old().map(|_| tree.clone());
        let mut trees = [Some(tree), spare].into_iter().flatten();
        self.under_keys(|redactor| {
            let mut tree = trees.next().expect("there is one for each key");
            let is_named = replace_named(&mut tree, redactor);
            let is_replaced = !is_clean && replace(&mut tree, redactor);
            let is_known = self.replace_known(&mut tree, redactor);
            let event = read(&tree, &Clean(Look { redactor, ..*self }))?;
            Ok((event, is_named || is_replaced || is_known))
        })
    }

    /// The same where `read` reads a text: that of the record as it came, if it holds no secret.
    pub(super) fn event_of_text(
        &self,
        json: &str,
        read: impl Fn(&str, &Clean<'_>) -> Result<CredentialEvent, Fault>,
    ) -> Result<CredentialEvent, Fault> {
        let is_clean = self.redactor.is_clean(json);
        self.under_keys(|redactor| {
            let clean = Clean(Look { redactor, ..*self });
            if is_clean {
                return Ok((read(json, &clean)?, false));
            }
            let Ok(mut tree) = Json::parse(json) else {
                // A name that stands twice in a part which nobody reads: what is read is looked at after.
                let mut event = read(json, &clean)?;
                redactor.whole(&mut event);
                return Ok((event, true));
            };
            let is_replaced = replace(&mut tree, redactor);
            let text = if is_replaced { Cow::Owned(tree.to_string()) } else { Cow::Borrowed(json) };
            Ok((read(&text, &clean)?, is_replaced))
        })
    }

    /// Replaces what the format knows for a token by its place, wherever else it stands in the record; returns
    /// whether there was one.
    fn replace_known(&self, tree: &mut Json<'_>, redactor: &Redactor) -> bool {
        let known = if self.format == Format::Vault {
            vault::token_in_path(tree)
        } else if self.format == Format::Kubernetes {
            kubernetes::token_in_name(tree)
        } else {
            None
        };
        let known = known.map(str::to_owned);
        known.is_some_and(|known| replace_token(tree, &known, redactor))
    }

    /// The event that `read` makes under the key, and under the key before if there was a secret, so that the
    /// fingerprints can be linked.
    fn under_keys(
        &self,
        mut read: impl FnMut(&Redactor) -> Result<(CredentialEvent, bool), Fault>,
    ) -> Result<CredentialEvent, Fault> {
        let mut under = |redactor: &Redactor| -> Result<(CredentialEvent, bool), Fault> {
            let (mut event, has_secret) = read(redactor)?;
            let is_attribute = redactor.drafted(&mut event);
            Ok((event, has_secret || is_attribute))
        };
        let (mut event, has_secret) = under(self.redactor)?;
        if has_secret && let Some(old) = self.redactor.old() {
            let (twin, _) = under(old)?;
            Redactor::link(&mut event, &twin);
        }
        Ok(event)
    }
}

/// What a reject may keep of a record of any format: nothing that its place alone tells to be a secret. Of what
/// is no JSON no place is known, so it ends where one may be.
pub(super) fn kept<'p>(payload: &'p [u8], redactor: &Redactor) -> Cow<'p, [u8]> {
    let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= RECORD_BYTES_MAX);
    let Some(mut tree) = text.and_then(|text| Json::parse(text).ok()) else {
        let places = TOKEN_PLACES.iter().filter_map(|place| {
            let at = memmem::find(payload, place.as_bytes())?;
            Some(at + place.len())
        });
        return Cow::Borrowed(&payload[..places.min().unwrap_or(payload.len())]);
    };
    let mut is_replaced = replace_named(&mut tree, redactor);
    let mut tokens = Vec::new();
    tokens_within(&tree, &mut tokens);
    for token in tokens {
        is_replaced |= replace_token(&mut tree, &token, redactor);
    }
    if is_replaced { Cow::Owned(tree.to_string().into_bytes()) } else { Cow::Borrowed(payload) }
}

/// What stands before a token that its place alone tells to be one, in Vault's paths and `OpenShift`'s.
const TOKEN_PLACES: [&str; 3] = ["auth/token/", "oauthaccesstokens", "oauthauthorizetokens"];

/// The tokens that the records in `tree` tell by their places.
fn tokens_within(tree: &Json<'_>, tokens: &mut Vec<String>) {
    match tree {
        Json::Null | Json::Literal(_) | Json::Text(_) => return,
        Json::List(elements) => elements.iter().for_each(|one| tokens_within(one, tokens)),
        Json::Object(fields) => fields.iter().for_each(|(_, one)| tokens_within(one, tokens)),
    }
    let known = [vault::token_in_path(tree), kubernetes::token_in_name(tree)];
    tokens.extend(known.into_iter().flatten().map(str::to_owned));
}

/// Replaces a token that was known by its place wherever it stands; returns whether it tells anything.
fn replace_token(tree: &mut Json<'_>, token: &str, redactor: &Redactor) -> bool {
    let Some(fingerprint) = redactor.of_named(token) else { return false };
    tree.each_text(&mut |text| {
        let path = text.trim_end_matches('/');
        let before = path.strip_suffix(token).filter(|before| before.ends_with('/'));
        if let Some(before) = before {
            *text = Cow::Owned(format!("{before}{fingerprint}"));
        } else if SECRET_BYTES_MIN <= token.len() && text.contains(token) {
            *text = Cow::Owned(text.replace(token, &fingerprint));
        }
    });
    true
}

/// Replaces the secrets in the texts and names of `tree`; returns whether there were any.
fn replace(tree: &mut Json<'_>, redactor: &Redactor) -> bool {
    let mut has_replaced = false;
    tree.each_text(&mut |text| {
        if let Cow::Owned(clean) = redactor.text(text) {
            *text = Cow::Owned(clean);
            has_replaced = true;
        }
    });
    has_replaced
}

/// Replaces what stands as the value beside the name of a secret, as in `{"displayName": "Password",
/// "oldValue": …, "newValue": …}`; returns whether there was any. Elsewhere a name is that of a field, and
/// the format knows its fields.
fn replace_named(tree: &mut Json<'_>, redactor: &Redactor) -> bool {
    let mut has_replaced = false;
    match tree {
        Json::Null | Json::Literal(_) | Json::Text(_) => {}
        Json::List(elements) => {
            for element in elements {
                has_replaced |= replace_named(element, redactor);
            }
        }
        Json::Object(fields) => {
            let is_secret = fields.iter().any(|(name, _)| is_value(name))
                && fields.iter().any(|(name, told)| is_name(name) && tells_of_secret(told));
            for (name, value) in fields {
                has_replaced |= if is_secret && is_value(name) {
                    replace_all(value, redactor)
                } else {
                    replace_named(value, redactor)
                };
            }
        }
    }
    has_replaced
}

/// Whether the field of this name holds what a thing is called.
fn is_name(name: &str) -> bool {
    ends_with(name.as_bytes(), "name")
        || ["key", "field", "property"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the field of this name holds a value, or what it was or will be.
fn is_value(name: &str) -> bool {
    ["value", "values"].iter().any(|end| ends_with(name.as_bytes(), end))
}

fn tells_of_secret(told: &Json<'_>) -> bool {
    matches!(told, Json::Text(text) if is_secret_name(text))
}

/// Replaces each text of `value`; returns whether there was any.
fn replace_all(value: &mut Json<'_>, redactor: &Redactor) -> bool {
    let mut has_replaced = false;
    match value {
        Json::Null | Json::Literal(_) => {}
        Json::Text(text) => {
            if let Some(fingerprint) = redactor.of_named(text) {
                *text = Cow::Owned(fingerprint);
                has_replaced = true;
            }
        }
        Json::List(elements) => {
            for element in elements {
                has_replaced |= replace_all(element, redactor);
            }
        }
        Json::Object(fields) => {
            for (_, value) in fields {
                has_replaced |= replace_all(value, redactor);
            }
        }
    }
    has_replaced
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use schemas::{Timestamp, Topic};

    use super::super::tests::record;
    use super::*;
    use crate::Normaliser;

    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(b"a key of the test"));

    /// Put together here so that no scanner takes this file for a leak.
    fn token() -> String {
        ["gh", "p_", "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d"].concat()
    }

    fn read(format: Format, json: &str, redactor: &Redactor) -> CredentialEvent {
        let topic = Topic::new("uses");
        let normaliser = Normaliser::new(format, redactor.clone());
        normaliser.normalise_one(&record(&topic, Some(json.as_bytes())), Timestamp::EPOCH).unwrap()
    }

    #[test]
    fn a_secret_is_known_before_a_text_is_joined_cut_or_put_in_other_letters() {
        let token = token();
        for (format, json, found) in [
            (
                Format::Kubernetes,
                r#"{"verb":"get","user":{"username":"a"},"stageTimestamp":"2026-03-02T10:00:00Z",
                    "objectRef":{"resource":"x@@","subresource":"y","namespace":"n"}}"#,
                "xfp:@@/y.get",
            ),
            (
                Format::Vault,
                r#"{"time":"2026-03-02T10:00:00Z","auth":{"display_name":"a","token_type":"@@"},
                    "request":{"operation":"read","path":"see @@, in/x"}}"#,
                "see fp:@@, in.read",
            ),
            (
                Format::GitHub,
                r#"{"@timestamp":1772445660000,"actor":"a","action":"git.push",
                    "programmatic_access_type":"Of @@"}"#,
                "of-fp:@@:a",
            ),
            (
                Format::Okta,
                r#"{"published":"2026-03-02T10:00:00Z","eventType":"a.b","actor":{"id":"a","type":"My@@"},
                    "outcome":{"result":"SUCCESS"}}"#,
                "okta:myfp:@@",
            ),
            (
                Format::CloudTrail,
                r#"{"eventTime":"2026-03-02T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"A",
                    "userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/r@@"}}"#,
                "arn:aws:iam::1:role/rfp:@@",
            ),
        ] {
            let fingerprint = REDACTOR.fingerprint(token.as_bytes());
            let found = found.replace("fp:@@", &fingerprint);

            let told = format!("{:?}", read(format, &json.replace("@@", &token), &REDACTOR));

            assert!(told.contains(&found), "{format}: wanted {found}, found {told}");
            assert!(
                !told.to_lowercase().contains(&token[4..12].to_lowercase()),
                "{format}: {told}"
            );
        }
    }

    #[test]
    fn no_text_loses_the_looks_of_a_secret_before_it_is_looked_at() {
        // With a hyphen, which Elastic has where the vendor has a dot.
        let token = format!("glcbt-64_{}", "CFSzR6n8eXNlMGTSlTtt");
        let json = r#"{"@timestamp":"2026-03-02T10:00:00Z","ecs":{"version":"9"},"event":{"action":"@@","id":"1"},
            "openai":{"audit":{"actor":{"type":"session"}}},"user":{"email":"a@b.example"}}"#;

        let event = read(Format::OpenAi, &json.replace("@@", &token), &REDACTOR);

        assert_eq!(event.action.as_str(), REDACTOR.fingerprint(token.as_bytes()));
    }

    #[test]
    fn a_value_beside_the_name_of_a_secret_is_one() {
        let json = r#"{"time":"2026-03-02T10:00:00Z","category":"AuditLogs","properties":{"id":"1",
            "activityDisplayName":"Update application","result":"success",
            "initiatedBy":{"user":{"userPrincipalName":"a@b.example"}},"targetResources":[{"displayName":"app",
            "modifiedProperties":[{"newValue":"[\"hunter3\"]","displayName":"ClientSecret","oldValue":"hunter2"},
            {"displayName":"AppName","oldValue":"before","newValue":"after"},
            {"displayName":"Password","oldValue":"[]","newValue":null}]}]}}"#;

        let event = read(Format::Entra, json, &REDACTOR);

        let told = event.attributes.get("modified_properties").unwrap();
        assert!(!told.contains("hunter"), "{told}");
        assert!(told.contains(&REDACTOR.fingerprint(b"hunter2")), "{told}");
        assert!(told.contains(r#""oldValue":"before","newValue":"after""#), "{told}");
        assert!(told.contains(r#""oldValue":"[]","newValue":null"#), "{told}");
    }

    #[test]
    fn a_token_that_is_known_by_its_place_alone_is_in_no_event() {
        let (old, new) =
            (Redactor::new(b"the old key"), Redactor::rotated(b"the new key", b"the old key"));
        let vault = |path: &str| {
            format!(
                r#"{{"time":"2026-03-02T10:00:00Z","auth":{{"display_name":"root","accessor":"a"}},
                    "request":{{"operation":"update","path":"{path}"}}}}"#
            )
        };
        let kubernetes = |name: &str| {
            format!(
                r#"{{"verb":"delete","user":{{"username":"jo"}},"stageTimestamp":"2026-03-02T10:00:00Z",
                    "objectRef":{{"resource":"oauthaccesstokens","name":"{name}"}},
                    "requestURI":"/apis/oauth.openshift.io/v1/oauthaccesstokens/{name}?dryRun=All",
                    "responseStatus":{{"code":404,"message":"oauthaccesstokens \"{name}\" not found"}}}}"#
            )
        };
        // Where the reference names no object, its path or the object itself does.
        let unnamed = |name: &str| kubernetes(name).replace(&format!(r#","name":"{name}""#), "");
        let made = |name: &str| {
            format!(
                r#"{{"verb":"create","user":{{"username":"jo"}},"stageTimestamp":"2026-03-02T10:00:00Z",
                    "objectRef":{{"resource":"oauthaccesstokens"}},
                    "requestURI":"/apis/oauth.openshift.io/v1/oauthaccesstokens",
                    "responseObject":{{"metadata":{{"name":"{name}"}}}}}}"#
            )
        };
        let (uuid, name) = ("0150e834-20cf-4eab-4196-b6f1f4d70ce8", "BbGsBd0kPn7mvUf9h2cLCqJZ4t1s");
        for (format, json, token) in [
            (Format::Vault, vault(&format!("auth/token/lookup/{uuid}")), uuid),
            (Format::Vault, vault(&format!("team/auth/token/revoke-orphan/{uuid}/")), uuid),
            (Format::Vault, vault("auth/token/renew/root"), "root"),
            (Format::Kubernetes, kubernetes(name), name),
            (Format::Kubernetes, unnamed(name), name),
            (Format::Kubernetes, made(name), name),
        ] {
            let event = read(format, &json, &new);

            let fingerprint = new.fingerprint(token.as_bytes());
            let told = format!("{event:?}");
            assert!(event.resource.as_ref().unwrap().contains(&fingerprint), "{told}");
            assert!(!told.replace("vault:root", "").contains(&format!("/{token}")), "{told}");
            assert!(token == "root" || !told.contains(token), "{told}");
            let linked = event.attributes.get(&fingerprint);
            assert_eq!(linked, Some(old.fingerprint(token.as_bytes()).as_str()), "{told}");
        }
        for (format, json, kept) in [
            (Format::Vault, vault("auth/token/lookup-self"), "auth/token/lookup-self"),
            (Format::Vault, vault("auth/token/lookup/"), "auth/token/lookup/"),
            (
                Format::Kubernetes,
                kubernetes("sha256~PvFC0a1Y"),
                "oauthaccesstokens/sha256~PvFC0a1Y",
            ),
        ] {
            assert_eq!(read(format, &json, &new).resource.as_deref(), Some(kept));
        }
    }

    #[test]
    fn a_token_that_is_known_by_its_place_alone_is_in_no_reject() {
        let topic = Topic::new("uses");
        let uuid = "0150e834-20cf-4eab-4196-b6f1f4d70ce8";
        let vault = format!(r#"{{"request":{{"path":"auth/token/lookup/{uuid}"}}}}"#);
        let kubernetes = format!(
            r#"{{"objectRef":{{"resource":"oauthaccesstokens","name":"{uuid}"}},"verb":"delete",
                "requestURI":"/apis/oauth.openshift.io/v1/oauthaccesstokens/{uuid}"}}"#
        );
        let named = format!(r#"{{"properties":[{{"name":"Password","newValue":"{uuid}"}}]}}"#);
        let fingerprint = REDACTOR.fingerprint(uuid.as_bytes());
        for (format, json, told) in [
            (Format::Vault, vault.clone(), Some(&fingerprint)),
            (Format::CloudEvents, format!(r#"{{"data":[1,{vault}]}}"#), Some(&fingerprint)),
            (Format::Kubernetes, kubernetes.clone(), Some(&fingerprint)),
            (Format::Entra, named, Some(&fingerprint)),
            // Cut off, or with a name that stands twice.
            (Format::Vault, vault[..vault.len() - 3].to_owned(), None),
            (Format::Kubernetes, kubernetes.replace('{', r#"{"a":1,"a":2,"#), None),
        ] {
            let normaliser = Normaliser::new(format, REDACTOR.clone());
            let record = record(&topic, Some(json.as_bytes()));

            let reject = normaliser.normalise_one(&record, Timestamp::EPOCH).unwrap_err();

            let raw = String::from_utf8(reject.raw).unwrap();
            assert!(!raw.contains(uuid), "{format}: {raw}");
            assert!(!raw.is_empty() && raw.len() < json.len() + 64, "{format}: {raw}");
            assert!(told.is_none_or(|told| raw.contains(told)), "{format}: {raw}");
            assert_eq!(reject.raw_bytes, json.len() as u64);
        }
        let harmless = br#"{"objectRef":{"resource":"pods"}, "verb":"get"}"#;
        assert!(matches!(kept(harmless, &REDACTOR), Cow::Borrowed(same) if same == harmless));
    }

    #[test]
    fn fingerprints_that_were_made_before_the_event_are_linked_after_a_change_of_keys() {
        let (old, token) = (Redactor::new(b"the old key"), token());
        let new = Redactor::rotated(b"the new key", b"the old key");
        let link = |event: &CredentialEvent, secret: &str| {
            let name = new.fingerprint(secret.as_bytes());
            event.attributes.get(&name).map(str::to_owned)
        };
        let json = r#"{"@timestamp":1772445660000,"actor":"a","action":"git.push","user_agent":"x @@",
            "old_secret":"hunter2"}"#;
        let json = json.replace("@@", &token);

        let event = read(Format::GitHub, &json, &new);

        assert_eq!(link(&event, &token), Some(old.fingerprint(token.as_bytes())), "{event:?}");
        assert_eq!(link(&event, "hunter2"), Some(old.fingerprint(b"hunter2")), "{event:?}");
        let envelope = serde_json::json!({"specversion": "1.0", "id": token, "source": "/github",
            "type": "github.audit", "data": serde_json::from_str::<serde_json::Value>(&json).unwrap()});
        let event = read(Format::CloudEvents, &envelope.to_string(), &new);
        assert_eq!(link(&event, &token), Some(old.fingerprint(token.as_bytes())), "{event:?}");
        let links: Vec<_> =
            event.attributes.iter().filter(|(name, _)| name.starts_with("fp:")).collect();
        assert!(links.len() == 2 && links.iter().all(|(name, value)| name != value), "{event:?}");
    }
}
