//! [`credential`]: what a caller showed, as far as a gateway tells it: a token or a key by its id, else how
//! it was shown.
//!
//! Invariant: an id is that of a credential that was shown, and of none that was made.
//!
//! Source: that of the [format](super).

use schemas::CredentialKind;

use super::super::draft::Word;
use super::super::json::Json;
use super::names::DEEDS;

/// A token by its id; without one, the gateway still knows for whom it was made.
pub(in crate::format) fn credential<'a>(
    record: &'a Json<'_>,
) -> Option<(CredentialKind, Word<'a>)> {
    let tokens = [
        "jwt.jti",
        "claims.jti",
        "token.jti",
        "credential.id",
        "actor.credentialID",
        "actor.tokenID",
        "authentication.iam_token_info.iam_token_id",
    ];
    let used = || record.text("token_id").filter(|_| !is_issue(record));
    if let Some(id) = record.first(&tokens).or_else(used).or_else(|| record.text("token_label")) {
        return Some((CredentialKind::AccessToken, id.into()));
    }
    let keys = [
        "api_key.id",
        "apiKey.id",
        "actor.apiKeyID",
        "api_key_id",
        "key_id",
        "virtual_key_id",
        "metadata.user_api_key_hash",
    ];
    // LiteLLM's hash of a key, which another gateway may have as it is.
    let hashes = ["api_key", "changed_by_api_key"];
    let hash = || record.first(&hashes).filter(|hash| is_sha256(hash));
    let actor = || {
        let (kind, _) = shown_by(record.text("actor.type")?)?;
        record.text("actor.id").filter(|_| kind == CredentialKind::StaticKey)
    };
    if let Some(id) = record.first(&keys).or_else(hash).or_else(actor) {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    if let Some(id) = record.text("authenticated_entity.id") {
        // Of whatever kind Kong's plugins know; a header tells of a key.
        let headers = ["apikey", "api-key", "x-api-key"];
        let sent = record.at("request.headers");
        let is_key = sent.is_some_and(|sent| headers.iter().any(|name| sent.has(name)));
        let kind = if is_key { CredentialKind::StaticKey } else { CredentialKind::Unknown };
        return Some((kind, id.into()));
    }
    if let Some(subject) = record.text("jwt.sub") {
        let issuer = record.text("jwt.iss").map_or(String::new(), |issuer| format!("{issuer}:"));
        return Some((CredentialKind::AccessToken, format!("jwt:{issuer}{subject}").into()));
    }
    let identity = record.text("src.identity")?;
    // A workload's identity is a SPIFFE certificate.
    Some((CredentialKind::Certificate, format!("certificate:{identity}").into()))
}

/// Whether a token was made, so that its id is that of no token that was shown.
pub(super) fn is_issue(record: &Json<'_>) -> bool {
    let deed = record.first(DEEDS).unwrap_or_default().to_ascii_lowercase();
    deed.contains("token") && ["issue", "mint"].iter().any(|word| deed.contains(word))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How the client showed who it is, where a gateway tells no more of it.
pub(super) fn by_method<'a>(record: &Json<'_>, agent: &str) -> Option<(CredentialKind, Word<'a>)> {
    let methods = [
        "AuthenticationMethod",
        "auth_method",
        "auth.method",
        "auth_type",
        "identity.credential_type",
        "identity.auth_method",
        "identity.auth_type",
        "authentication.method",
        "method",
    ];
    let (kind, word) = shown_by(record.first(&methods)?)?;
    Some((kind, format!("{word}:{agent}").into()))
}

/// What is shown by a way of saying who one is, and the name of that way in one spelling.
pub(super) fn shown_by(method: &str) -> Option<(CredentialKind, String)> {
    let word = method.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let kind = match word.as_str() {
        "oauth" | "oauth2" | "oidc" | "jwt" | "jwtbearer" | "bearer" | "bearertoken" => {
            CredentialKind::AccessToken
        }
        "apikey" => CredentialKind::StaticKey,
        "cert" | "certificate" | "mtls" => CredentialKind::Certificate,
        "basic" | "password" => CredentialKind::Password,
        "session" | "sessioncookie" => CredentialKind::Session,
        _ => return None,
    };
    Some((kind, word))
}
