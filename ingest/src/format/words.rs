//! What vendors' words are here: their names of kinds in one spelling, of how someone showed who they are,
//! roles in the names of sessions, and programs that are browsers.
//!
//! Invariant: two spellings of one name are one word.

use std::borrow::Cow;

use schemas::CredentialKind;

/// Words in the names of protocols and mechanisms by which a password is shown, a token, a certificate.
const PASSWORDS: &[&str] =
    &["basic", "chap", "cram", "digest", "ldap", "ntlm", "pap", "password", "plain"];
const TOKENS: &[&str] = &["bearer", "gssapi", "jwt", "kerberos", "oidc", "openid", "saml"];
const CERTIFICATES: &[&str] = &["certificate", "mtls", "ssl", "x509"];

/// `PublicClientApp`, `AIAgent` or `public_client app` as `public-client-app` and `ai-agent`.
pub(super) fn kebab(name: &str) -> String {
    // One word, whatever its capitals say.
    let name = if name.contains("OAuth2") {
        Cow::Owned(name.replace("OAuth2", "oauth2_"))
    } else {
        Cow::Borrowed(name)
    };
    let mut text = String::with_capacity(name.len() + 4);
    let (mut before, mut letters) = ('-', name.chars().peekable());
    while let Some(letter) = letters.next() {
        let is_gap = letter == '_' || letter.is_whitespace();
        let is_last_capital =
            before.is_ascii_uppercase() && letters.peek().is_some_and(char::is_ascii_lowercase);
        let is_word =
            letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || is_last_capital);
        if is_gap || is_word {
            text.push('-');
        }
        if !is_gap {
            text.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    text
}

/// The same as `publicclientapp`.
pub(super) fn letters(name: &str) -> String {
    kebab(name).replace('-', "")
}

/// The same as `public_client_app`.
pub(super) fn snake(name: &str) -> String {
    kebab(name).replace('-', "_")
}

/// The role of a session of AWS, by the session's ARN (`arn:aws:sts::…:assumed-role/role/session`).
pub(super) fn assumed_role(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, _, _, account, session] = parts[..] else { return None };
    let role = session.strip_prefix("assumed-role/")?.split('/').next()?;
    Some(format!("arn:{partition}:iam::{account}:role/{role}"))
}

/// What sort of a key of AWS this is the id of, as its first letters tell.
///
/// Source: AWS, *IAM identifiers* (unique id prefixes).
pub(super) fn aws_key(id: &str) -> Option<CredentialKind> {
    match id.get(..4)? {
        "AKIA" => Some(CredentialKind::StaticKey),
        "ASIA" => Some(CredentialKind::TemporaryKey),
        _ => None,
    }
}

/// Whether a program that calls itself so has a person before it, who is signed in.
pub(super) fn is_browser(program: &str) -> bool {
    program.starts_with("Mozilla/")
}

/// What is shown by a protocol or a mechanism of this name: those of SASL, TLS and HTTP, with what they run
/// over (`SASL_SSL/PLAIN`), and protocols of sign-ins. With the word for it in an id that tells no more.
pub(super) fn shown_by(mechanism: &str) -> Option<(CredentialKind, &'static str)> {
    let lower = mechanism.to_ascii_lowercase();
    let words = || lower.split(|letter: char| !letter.is_ascii_alphanumeric());
    let has = |names: &[&str]| words().any(|word| names.contains(&word));
    // SASL runs over TLS, which then shows nobody.
    let is_over_tls = has(&["sasl"]);
    if has(PASSWORDS) || words().any(|word| word.starts_with("scram")) {
        return Some((CredentialKind::Password, "password"));
    }
    if has(TOKENS) || words().any(|word| word.starts_with("oauth")) {
        return Some((CredentialKind::AccessToken, "token"));
    }
    let is_certificate = has(CERTIFICATES) && !is_over_tls;
    is_certificate.then_some((CredentialKind::Certificate, "certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_tells_what_was_shown() {
        for (name, wanted) in [
            ("SASL-SCRAM", Some(CredentialKind::Password)),
            ("SCRAM-SHA-256", Some(CredentialKind::Password)),
            ("SASL_SSL/PLAIN", Some(CredentialKind::Password)),
            ("Basic Authentication", Some(CredentialKind::Password)),
            ("SASL-OAUTHBEARER", Some(CredentialKind::AccessToken)),
            ("OAuth 2.0", Some(CredentialKind::AccessToken)),
            ("SASL_PLAINTEXT/GSSAPI", Some(CredentialKind::AccessToken)),
            ("mTLS", Some(CredentialKind::Certificate)),
            ("MONGODB-X509", Some(CredentialKind::Certificate)),
            ("SASL_SSL", None),
            ("MONGODB-AWS", None),
            ("", None),
        ] {
            assert_eq!(shown_by(name).map(|(kind, _)| kind), wanted, "{name}");
        }
    }
}
