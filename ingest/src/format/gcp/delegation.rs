//! [`of`]: who stands behind the account that called, as Google tells it.
//!
//! Invariant: it is only what is claimed; who called is never read from it.
//!
//! Source: Google Cloud, `AuthenticationInfo` of `AuditLog`; *Service agents* (audit logs of what they do for
//! others).

use super::super::draft::Word;
use super::super::json::Json;
use super::{counterparty, is_federated, without_kind};

/// Nearest first: Google writes the first to delegate first.
pub(super) fn of<'a>(record: &'a Json<'_>, payload: &'a Json<'_>) -> Vec<Word<'a>> {
    // Who is known by another provider and acts as an account.
    let subject = payload.text("authenticationInfo.principalSubject");
    let own = payload.text("authenticationInfo.principalEmail").and(subject);
    let own = own.filter(|subject| is_federated(subject));
    let told = payload.list("authenticationInfo.serviceAccountDelegationInfo").iter().rev();
    let told = told.filter_map(|one| {
        one.first(&[
            "firstPartyPrincipal.principalEmail",
            "firstPartyPrincipal.principalSubject",
            "principalSubject",
            "thirdPartyPrincipal.thirdPartyClaims.sub",
            "thirdPartyPrincipal.thirdPartyClaims.email",
        ])
    });
    let listed = payload.list("metadata.identityDelegationChain").iter().rev();
    let listed = listed.filter_map(Json::as_text);
    let listed =
        listed.map(|name| name.rsplit_once("/serviceAccounts/").map_or(name, |(_, own)| own));
    // Behind those who delegate stands the account that is lent, which acts for nobody yet.
    let listed =
        listed.filter(|name| counterparty::lent(record, payload).all(|lent| lent != *name));
    let services = payload.list("authenticationInfo.serviceDelegationHistory.serviceMetadata");
    let services = services.iter().rev().filter_map(|one| one.text("principalSubject"));
    let original = payload.text("authenticationInfo.serviceDelegationHistory.originalPrincipal");
    let history = services.chain(original);
    // Whose token a service showed beside its own.
    let behind = payload.first(&[
        "authenticationInfo.thirdPartyPrincipal.payload.sub",
        "authenticationInfo.thirdPartyPrincipal.payload.email",
        "authenticationInfo.thirdPartyPrincipal.thirdPartyClaims.sub",
    ]);
    own.into_iter()
        .chain(told)
        .chain(listed)
        .chain(behind)
        .chain(history)
        .map(without_kind)
        .map(Into::into)
        .collect()
}
