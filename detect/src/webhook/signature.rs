//! [`Secret`] and [`Signing`]: the header by which a receiver knows that a webhook is ours.
//!
//! Invariant: a secret is 24 to 64 bytes, is wiped when dropped, and is never printed.
//!
//! Source: Standard Webhooks 1.0.0, "Webhook Headers" and "Signature scheme": HMAC-SHA256 over
//! `{id}.{timestamp}.{body}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// The key shared with one receiver, written `whsec_` and base64.
#[derive(Clone, Debug)]
pub struct Secret(SecretSlice<u8>);

/// Why a text is not a [`Secret`]. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error("wanted a webhook secret that starts with whsec_")]
    Prefix,
    #[error("wanted standard base64 with padding after whsec_")]
    Base64,
    #[error("wanted a webhook secret of 24 to 64 bytes, found {bytes}")]
    Length { bytes: usize },
}

impl Secret {
    /// Reads `whsec_...`.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text is not 24 to 64 bytes in base64 after `whsec_`.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix("whsec_").ok_or(InvalidSecret::Prefix)?;
        let key = SecretSlice::from(STANDARD.decode(encoded).map_err(|_| InvalidSecret::Base64)?);
        match key.expose_secret().len() {
            24..=64 => Ok(Self(key)),
            bytes => Err(InvalidSecret::Length { bytes }),
        }
    }

    /// `v1,<base64>` over the id, the time of the attempt and the exact bytes of the body.
    fn sign(&self, webhook_id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .expect("an HMAC takes a key of any length");
        mac.update(format!("{webhook_id}.{unix_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// How an endpoint's webhooks are signed.
#[derive(Clone, Debug)]
pub enum Signing {
    By(Secret),
    /// While a secret is replaced: two signatures, so that a receiver may hold either secret.
    Rotating {
        new: Secret,
        old: Secret,
    },
}

impl Signing {
    /// The value of `webhook-signature`.
    pub(super) fn header(&self, webhook_id: &str, unix_seconds: i64, body: &[u8]) -> String {
        match self {
            Self::By(secret) => secret.sign(webhook_id, unix_seconds, body),
            Self::Rotating { new, old } => {
                let new = new.sign(webhook_id, unix_seconds, body);
                let old = old.sign(webhook_id, unix_seconds, body);
                format!("{new} {old}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    /// Checks by an implementation that is not ours. It wants a time close to the real one.
    fn verifies(secret: &str, id: &str, unix_seconds: i64, body: &[u8], header: &str) -> bool {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        headers.insert("webhook-timestamp", unix_seconds.to_string().parse().unwrap());
        headers.insert("webhook-signature", header.parse().unwrap());
        standardwebhooks::Webhook::new(secret).unwrap().verify(body, &headers).is_ok()
    }

    #[expect(clippy::disallowed_methods, reason = "the verifier compares with the real clock")]
    fn unix_now() -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(since.as_secs()).unwrap()
    }

    #[test]
    fn the_known_answer_of_the_specification_is_ours() {
        let secret = Secret::parse(NEW).unwrap();

        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);

        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_independent_verifier_accepts_the_signature_and_no_other() {
        let now = unix_now();
        let body = "{\"note\":\"<script>\\u0000\\n\",\"who\":\"Zoë\"}".as_bytes();

        let header = Signing::By(Secret::parse(NEW).unwrap()).header("f-1", now, body);

        assert!(verifies(NEW, "f-1", now, body, &header));
        assert!(!verifies(OLD, "f-1", now, body, &header));
        assert!(!verifies(NEW, "f-2", now, body, &header));
        assert!(!verifies(NEW, "f-1", now + 1, body, &header));
        assert!(!verifies(NEW, "f-1", now, b"{}", &header));
    }

    #[test]
    fn during_a_rotation_either_secret_verifies_and_after_it_only_the_new_one() {
        let now = unix_now();
        let (new, old) = (Secret::parse(NEW).unwrap(), Secret::parse(OLD).unwrap());

        let during = Signing::Rotating { new: new.clone(), old }.header("f-1", now, b"{}");
        let after = Signing::By(new).header("f-1", now, b"{}");

        assert!(verifies(NEW, "f-1", now, b"{}", &during));
        assert!(verifies(OLD, "f-1", now, b"{}", &during));
        assert!(verifies(NEW, "f-1", now, b"{}", &after));
        assert!(!verifies(OLD, "f-1", now, b"{}", &after));
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_of_base64_after_its_prefix() {
        let of_length = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));

        assert!(Secret::parse(&of_length(24)).is_ok());
        assert!(Secret::parse(&of_length(64)).is_ok());
        for bytes in [0, 23, 65] {
            let refused = Secret::parse(&of_length(bytes)).unwrap_err();
            assert_eq!(refused, InvalidSecret::Length { bytes });
        }
        assert_eq!(Secret::parse("C2FVsBQI").unwrap_err(), InvalidSecret::Prefix);
        assert_eq!(Secret::parse("whsec_not base64").unwrap_err(), InvalidSecret::Base64);
    }

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::parse(NEW).unwrap();
        let bytes = format!("{:?}", secret.0.expose_secret());

        let printed = format!("{secret:?} {:?}", Signing::By(secret.clone()));

        assert!(!printed.contains("MfKQ9r8G"));
        assert!(!printed.contains(&bytes));
    }
}
