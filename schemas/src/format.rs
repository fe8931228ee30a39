//! [`Format`]: the format that a record was read from, of those built in or of the deployment's own.
//!
//! Invariant: a format has one spelling, and no mapping has the name of a built-in format. A format is a
//! small plain value, since each event and each reject has one.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The format a record was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    Native,
    CloudTrail,
    Kubernetes,
    Gcp,
    Okta,
    /// Microsoft Entra sign-ins and audit events.
    Entra,
    GitHub,
    /// HashiCorp Vault.
    Vault,
    Teleport,
    Anthropic,
    OpenAi,
    Ocsf,
    /// OpenTelemetry spans of generative AI.
    Otel,
    /// Gateways of the Model Context Protocol.
    Mcp,
    /// CloudEvents around any of these.
    CloudEvents,
    /// What a mapping in the configuration describes.
    Mapped(MappingName),
}

impl Format {
    /// Every built-in format.
    pub const ALL: &'static [Self] = &[
        Self::Native,
        Self::CloudTrail,
        Self::Kubernetes,
        Self::Gcp,
        Self::Okta,
        Self::Entra,
        Self::GitHub,
        Self::Vault,
        Self::Teleport,
        Self::Anthropic,
        Self::OpenAi,
        Self::Ocsf,
        Self::Otel,
        Self::Mcp,
        Self::CloudEvents,
    ];

    /// The one spelling used in the configuration, SQL and text.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::CloudTrail => "cloudtrail",
            Self::Kubernetes => "kubernetes",
            Self::Gcp => "gcp",
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::GitHub => "github",
            Self::Vault => "vault",
            Self::Teleport => "teleport",
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Ocsf => "ocsf",
            Self::Otel => "otel",
            Self::Mcp => "mcp",
            Self::CloudEvents => "cloudevents",
            Self::Mapped(name) => name.as_str(),
        }
    }

    /// The format spelled `text`: a built-in one, else the mapping of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::built_in(text).or_else(|| MappingName::new(text).ok().map(Self::Mapped))
    }

    fn built_in(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.as_str() == text)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(InvalidMappingName::BadCharacter))
    }
}

/// The name of a mapping: a small letter, then small letters, digits, `-` and `_`, up to 31 bytes;
/// no built-in format's.
///
/// It is a number in [`NAMES`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MappingName(u16);

/// The names of mappings that were read, each once: those of the configuration and of the lake, which
/// are a handful, and at most as many as there are numbers.
static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// Why a text is not the name of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMappingName {
    #[error(
        "wanted a name of 1 to {} small letters, digits, - and _ that begins with a letter",
        MappingName::BYTES_MAX
    )]
    BadCharacter,
    #[error("wanted a name that no built-in format has")]
    BuiltIn,
    #[error("wanted at most {} different names, found one more", u16::MAX)]
    TooMany,
}

impl MappingName {
    pub const BYTES_MAX: usize = 31;

    /// # Errors
    ///
    /// [`InvalidMappingName`].
    pub fn new(text: &str) -> Result<Self, InvalidMappingName> {
        let is_part =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if Self::BYTES_MAX < text.len() || !begins_well || !text.bytes().all(is_part) {
            return Err(InvalidMappingName::BadCharacter);
        }
        if Format::built_in(text).is_some() {
            return Err(InvalidMappingName::BuiltIn);
        }
        let number_of = |names: &[&str]| {
            names.iter().position(|name| *name == text).and_then(|at| u16::try_from(at).ok())
        };
        if let Some(number) = number_of(&NAMES.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Self(number));
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been quicker.
        if let Some(number) = number_of(&names) {
            return Ok(Self(number));
        }
        let number = u16::try_from(names.len()).map_err(|_| InvalidMappingName::TooMany)?;
        names.push(Box::leak(text.into()));
        Ok(Self(number))
    }

    pub fn as_str(&self) -> &'static str {
        NAMES.read().unwrap_or_else(PoisonError::into_inner)[usize::from(self.0)]
    }
}

impl PartialOrd for MappingName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MappingName {
    /// By the letters, so that an order does not depend on what was read first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MappingName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_back() {
        let mapped = MappingName::new("acme-gateway_2").unwrap();
        for format in Format::ALL.iter().copied().chain([Format::Mapped(mapped)]) {
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
        assert_eq!(mapped.to_string(), "acme-gateway_2");
    }

    #[test]
    fn a_mapping_has_a_plain_name_of_its_own() {
        assert_eq!(MappingName::new("native"), Err(InvalidMappingName::BuiltIn));
        for text in ["", "Acme", "1acme", "a b", "acme.", "ü", &"a".repeat(32)] {
            assert_eq!(MappingName::new(text), Err(InvalidMappingName::BadCharacter), "{text}");
        }
        assert!(MappingName::new(&"a".repeat(31)).is_ok());
        assert!(size_of::<Format>() <= 4);
    }
}
