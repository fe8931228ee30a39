//! [`credential`]: what the actor of an event showed, and its id.
//!
//! Invariant: an id that is told comes first; where none is, the kind is what a protocol, a factor or the
//! actor itself tells, and the id says so.

use schemas::CredentialKind;

use super::super::cloudtrail::identity::shown_for;
use super::super::draft::Word;
use super::super::json::Json;
use super::super::words::{aws_key, shown_by};
use super::classes::Class;

/// What `agent` showed, as far as the record tells.
pub(super) fn credential<'a>(
    record: &'a Json<'_>,
    class: &Class,
    agent: Option<&str>,
) -> Option<(CredentialKind, Word<'a>)> {
    at_portal(record, agent).or_else(|| by_id(record)).or_else(|| {
        let agent = agent?;
        by_protocol(record, class, agent)
            .or_else(|| by_console(record, class, agent))
            .or_else(|| by_actor(record, agent))
    })
}

/// What the identity centre of AWS asked for, where that is no token: the id that is told is the portal's
/// session.
fn at_portal<'a>(record: &Json<'_>, agent: Option<&str>) -> Option<(CredentialKind, Word<'a>)> {
    let asked = record.text("unmapped.additionalEventData.CredentialType")?;
    let (prefix, kind) =
        shown_for(asked).filter(|(_, kind)| *kind != CredentialKind::AccessToken)?;
    Some((kind, format!("{prefix}:{}", agent?).into()))
}

/// Whether an id is that of a key of AWS, which says so itself.
pub(super) fn is_aws_key(id: &str) -> bool {
    whole_key(id).is_some()
}

/// What sort of a key of AWS an id is that has nothing in it which none has.
fn whole_key(id: &str) -> Option<CredentialKind> {
    let is_word = id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    aws_key(id).filter(|_| is_word)
}

/// By the token's type: 7 is an API key. An AWS key says itself what it is.
fn by_id<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    if let Some(id) = record.first(&["api.token.uid", "authentication_token.uid", "token.uid"]) {
        let kind = match record.first(&["api.token.type_id", "authentication_token.type_id"]) {
            Some("7") => CredentialKind::StaticKey,
            _ if whole_key(id) == Some(CredentialKind::StaticKey) => CredentialKind::StaticKey,
            _ => CredentialKind::AccessToken,
        };
        return Some((kind, id.into()));
    }
    let uids = [
        "actor.user.credential_uid",
        "actor.session.credential_uid",
        "session.credential_uid",
        "user.credential_uid",
    ];
    if let Some(id) = record.first(&uids) {
        let kind = match whole_key(id) {
            Some(kind) => kind,
            None if record.text("actor.user.type") == Some("IdentityCenterUser") => {
                CredentialKind::AccessToken
            }
            None if record.at("session").or_else(|| record.at("actor.session")).is_some() => {
                CredentialKind::TemporaryKey
            }
            None => CredentialKind::Unknown,
        };
        return Some((kind, id.into()));
    }
    let sessions = ["actor.session.uid", "session.uid"];
    let mut sessions = sessions.iter().filter_map(|path| record.text(path));
    if let Some(key) = sessions.find_map(|id| Some((whole_key(id)?, id.into()))) {
        return Some(key);
    }
    let serial = record.first(&["certificate.serial_number", "certificate.uid"])?;
    Some((CredentialKind::Certificate, serial.into()))
}

/// Where no credential is told, what sort it must be by who acts.
fn by_actor<'a>(record: &'a Json<'_>, agent: &str) -> Option<(CredentialKind, Word<'a>)> {
    if agent.starts_with("system:serviceaccount:") {
        return Some((CredentialKind::ServiceAccountToken, format!("token:{agent}").into()));
    }
    if record.text("actor.invoked_by") == Some(agent) {
        return Some((CredentialKind::Platform, format!("service:{agent}").into()));
    }
    None
}

/// What a sign-in showed, by the protocol it came with.
fn by_protocol<'a>(
    record: &'a Json<'_>,
    class: &Class,
    agent: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    if !class.is_sign_in() {
        return None;
    }
    let number = record.text("auth_protocol_id").filter(|id| !matches!(*id, "0" | "99"));
    let shown = match (number, record.text("auth_protocol")) {
        // NTLM, Digest, PAP, CHAP, Basic Authentication, LDAP.
        (Some("1" | "3" | "7" | "8" | "11" | "12"), _) => shown_by("password"),
        // Kerberos, OpenID, SAML, OAuth 2.0.
        (Some("2" | "4" | "5" | "6"), _) => shown_by("bearer"),
        (_, name) => name.and_then(shown_by),
    };
    let factors = ["auth_factors.factor_type", "auth_factors.factor_type_id", "auth_factors"];
    let is_password = |it: &str| it == "9" || it.eq_ignore_ascii_case("password");
    let factor =
        || shown_by("password").filter(|_| record.first(&factors).is_some_and(is_password));
    let (kind, prefix) = shown.or_else(factor)?;
    Some((kind, format!("{prefix}:{agent}").into()))
}

/// What a sign-in to the console of AWS showed, as CloudTrail has it: users and root have a password there.
fn by_console<'a>(
    record: &'a Json<'_>,
    class: &Class,
    agent: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    let is_console = class.is_sign_in() && record.text("api.operation") == Some("ConsoleLogin");
    let kind = record.first(&["actor.user.type", "user.type"]);
    let has_password = is_console && matches!(kind, Some("IAMUser" | "Root"));
    has_password.then(|| (CredentialKind::Password, format!("password:{agent}").into()))
}
