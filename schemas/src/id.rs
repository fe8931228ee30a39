//! Names of things. Each kind of name is a type of its own, so that none is taken for another.
//!
//! Invariant: an id is 1 to [`BYTES_MAX`] bytes of UTF-8 without control, bidirectional or
//! zero-width characters and without white space at its ends. Holding an id is the proof.
//!
//! Source for the forbidden characters: Unicode Technical Report 36, section 2 (visual spoofing).

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest id in bytes. An AWS ARN may have 2,048 but names of sessions and roles stay below 256.
pub(crate) const BYTES_MAX: usize = 512;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("wanted 1 to {BYTES_MAX} bytes, found an empty text")]
    Empty,
    #[error("wanted 1 to {BYTES_MAX} bytes, found {bytes}")]
    TooLong { bytes: usize },
    #[error("wanted visible characters, found U+{code:04X} at byte {at}")]
    BadCharacter { at: usize, code: u32 },
}

/// Whether `character` could make two different names look the same on a screen.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if BYTES_MAX < text.len() {
        return Err(InvalidId::TooLong { bytes: text.len() });
    }
    let bytes = text.as_bytes();
    if bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    for (at, character) in text.char_indices() {
        let is_end = at == 0 || at + character.len_utf8() == text.len();
        if is_invisible(character) || (is_end && character.is_whitespace()) {
            return Err(InvalidId::BadCharacter { at, code: u32::from(character) });
        }
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                check(&text)?;
                Ok(Self(text.into_boxed_str()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;

            fn try_from(text: &str) -> Result<Self, InvalidId> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<Cow<'_, str>> for $name {
            type Error = InvalidId;

            fn try_from(text: Cow<'_, str>) -> Result<Self, InvalidId> {
                check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "minLength": 1, "maxLength": BYTES_MAX})
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )+};
}

ids! {
    /// The non-human identity that acts: an AI agent, a sub-agent, a service account.
    AgentId,
    /// What an agent is for: its blueprint, charter or role. Short-lived agents share a class.
    AgentClass,
    /// A change of the registry.
    ChangeId,
    /// The other side of an action: a vendor, an account, a recipient, a host, a tenant.
    CounterpartyId,
    /// A credential's identifier or keyed fingerprint; never the secret itself.
    CredentialId,
    /// One event: the source's own id, or one made of topic, partition and offset.
    EventId,
    /// One finding, and the `webhook-id` under which it is delivered.
    FindingId,
    /// A just-in-time permission.
    GrantId,
    /// The session (login, role session, conversation) in which the agent acted.
    SessionId,
    /// The human who answers for an agent.
    SponsorId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_what_real_systems_write() {
        for text in ["arn:aws:iam::1:role/x", "Müller GmbH & Co", "spiffe://corp/agent/7"] {
            assert_eq!(AgentId::try_from(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn an_id_refuses_what_a_screen_would_hide() {
        assert_eq!(AgentId::try_from(""), Err(InvalidId::Empty));
        assert_eq!(AgentId::try_from("x".repeat(513)), Err(InvalidId::TooLong { bytes: 513 }));
        for text in ["a\u{202E}b", "a\u{200B}b", "a\nb", " a", "a\0"] {
            assert!(
                matches!(AgentId::try_from(text), Err(InvalidId::BadCharacter { .. })),
                "{text:?}"
            );
        }
    }
}
