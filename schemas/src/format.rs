//! [`Format`]: the format that a record was read from, of those built in or of the deployment's own.
//!
//! Invariant: a format has one spelling, and no mapping has the name of a built-in format.

use std::fmt;

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
    pub fn as_str(&self) -> &str {
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
/// It is as small as that so that a format stays a plain value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingName {
    /// Zeros after the name.
    bytes: [u8; Self::BYTES_MAX],
}

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
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes })
    }

    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(Self::BYTES_MAX);
        std::str::from_utf8(&self.bytes[..length]).expect("a name is made of ASCII")
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
    }
}
