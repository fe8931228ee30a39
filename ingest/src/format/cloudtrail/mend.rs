//! [`mended`]: a record that an exporter wrote in another way, as AWS writes it: names in another case or
//! with underscores, and objects as JSON in a text or as a text that is none.
//!
//! Invariant: of a record that AWS wrote no value is changed; none is made up, and an object that is none is
//! nothing. Only records that show that they were changed, or that could not be read, come here.

use super::super::json::{Json, is_same_name};
use super::target;

/// The fields of a record that are read, as AWS spells them, at any depth.
const NAMES: &[&str] = &[
    "AuthenticationMethod",
    "CheckMfa",
    "ConsoleLogin",
    "CredentialChallenge",
    "CredentialType",
    "CredentialVerification",
    "MFAUsed",
    "SamlProviderArn",
    "SwitchFrom",
    "SwitchRole",
    "UID",
    "UserAuthentication",
    "accessKey",
    "accessKeyId",
    "accessToken",
    "accountId",
    "actionConnectorId",
    "actionId",
    "additionalAuditContext",
    "additionalEventData",
    "assumedRoleUser",
    "assumedRoot",
    "attributes",
    "auditContext",
    "awsRegion",
    "bearerTokenType",
    "body",
    "callWithBearerToken",
    "claims",
    "client_id",
    "creationDate",
    "credentialId",
    "credentialSet",
    "credentials",
    "credentialsIssuedTo",
    "ec2RoleDelivery",
    "endUserArn",
    "error",
    "errorCode",
    "errorMessage",
    "eventCategory",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "federatedProvider",
    "federatedUser",
    "grant_type",
    "httpInvokeActionOutput",
    "httpStatusCode",
    "identityId",
    "identityProvider",
    "identityStoreArn",
    "identitycenter:CredentialId",
    "identitystore:IdentityStoreArn",
    "identitystore:UserId",
    "inScopeOf",
    "invokeActionOutput",
    "invokeActionStatus",
    "invokedBy",
    "invokedByDelegate",
    "isError",
    "iss",
    "jti",
    "jwt",
    "lakeFormationPrincipal",
    "logins",
    "mcpEventDetails",
    "mcpServerName",
    "message",
    "method",
    "mfaAuthenticated",
    "model",
    "onBehalfOf",
    "params",
    "principalId",
    "readOnly",
    "recipientAccountId",
    "requestParameters",
    "resources",
    "responseElements",
    "responseParameters",
    "roleCredentials",
    "runtimeSessionId",
    "runtimeUserId",
    "serviceEventDetails",
    "sessionContext",
    "sessionCredentialFromConsole",
    "sessionId",
    "sessionIssuer",
    "sharedEventID",
    "signInSessionArn",
    "sourceArn",
    "sourceIPAddress",
    "sourceIdentity",
    "sourceIpAddress",
    "status",
    "statusCode",
    "sub",
    "subjectArn",
    "success",
    "type",
    "userAgent",
    "userId",
    "userIdentity",
    "userName",
    "vpcEndpointId",
    "webIdFederationData",
];

/// Those of them that are objects or lists.
const PARTS: &[&str] = &[
    "accessKey",
    "additionalEventData",
    "assumedRoleUser",
    "attributes",
    "auditContext",
    "body",
    "claims",
    "credentialSet",
    "credentials",
    "federatedUser",
    "httpInvokeActionOutput",
    "inScopeOf",
    "invokeActionOutput",
    "invokedByDelegate",
    "jwt",
    "mcpEventDetails",
    "onBehalfOf",
    "params",
    "requestParameters",
    "resources",
    "responseElements",
    "responseParameters",
    "roleCredentials",
    "serviceEventDetails",
    "sessionContext",
    "sessionIssuer",
    "userIdentity",
    "webIdFederationData",
];

/// The record as AWS would write it; `None` if it is so already or is no JSON object.
pub(super) fn mended(json: &str) -> Option<String> {
    let mut tree = Json::parse(json).ok()?;
    mend(&mut tree).then(|| tree.to_string())
}

/// Mends what is below `tree`; returns whether anything was.
fn mend(tree: &mut Json<'_>) -> bool {
    let fields = match tree {
        Json::Object(fields) => fields,
        Json::List(elements) => {
            return elements.iter_mut().fold(false, |has_changed, one| has_changed | mend(one));
        }
        Json::Null | Json::Literal(_) | Json::Text(_) => return false,
    };
    let mut has_changed = false;
    for (name, value) in fields {
        let known = NAMES.iter().copied().chain(target::parameters()).chain(["arn"]);
        let known: Vec<&str> = known.filter(|known| is_same_name(known, name)).collect();
        if let [spelled, ..] = known[..]
            && !known.contains(&name.as_ref())
        {
            *name = spelled.to_owned().into();
            has_changed = true;
        }
        if PARTS.contains(&name.as_ref()) {
            has_changed |= unfold(value);
        }
        has_changed |= mend(value);
    }
    has_changed
}

/// Makes a text the object or list whose JSON it is, and what is neither nothing.
fn unfold(value: &mut Json<'_>) -> bool {
    let inside = match value {
        Json::Text(text) if text.trim_start().starts_with(['{', '[']) => {
            Json::parse(text).map_or(Json::Null, Json::owned)
        }
        Json::Text(_) | Json::Literal(_) => Json::Null,
        Json::Null | Json::List(_) | Json::Object(_) => return false,
    };
    *value = inside;
    true
}
