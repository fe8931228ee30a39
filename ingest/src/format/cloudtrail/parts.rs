//! [`Parts`]: what is read of the parts of a record that each service fills in its own way.
//!
//! Invariant: a part never fails a record. What is another thing than AWS documents is nothing, and so are
//! the parameters and answers of a service that nothing is known of.
//!
//! Sources: AWS, *CloudTrail record contents* and the pages on logging of AWS STS, Sign-In, IAM Identity
//! Center, Cognito, IAM Roles Anywhere, Lake Formation, Bedrock (`bedrock-mantle`), Bedrock `AgentCore` and the
//! AWS MCP Server.

use schemas::Outcome;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::verdict;
use super::quick::Invoked;
use super::status::Status;
use super::text::Text;
use super::{Record, in_short};
use crate::Redactor;

/// Services whose answers tell of a new credential, of a sign-in or of an error.
const ANSWERING: &[&str] = &[
    "sts.amazonaws.com",
    "iam.amazonaws.com",
    "signin.amazonaws.com",
    "sso.amazonaws.com",
    "eks-auth.amazonaws.com",
    "cognito-identity.amazonaws.com",
    "rolesanywhere.amazonaws.com",
    "bedrock-agentcore.amazonaws.com",
];
/// Services whose requests tell for whom, or through what.
const ASKED: &[&str] = &[
    "iam.amazonaws.com",
    "ssm.amazonaws.com",
    "sts.amazonaws.com",
    "kms.amazonaws.com",
    "signin.amazonaws.com",
    "cognito-idp.amazonaws.com",
    "cognito-identity.amazonaws.com",
    "lakeformation.amazonaws.com",
    "bedrock.amazonaws.com",
    "bedrock-agentcore.amazonaws.com",
    "bedrock-mantle.amazonaws.com",
];
/// The calls of tools, by whatever name their server goes.
pub(super) const MCP_EVENT: &str = "AwsMcpEvent";
/// The method of the protocol by which one is called.
const TOOL_CALL: &str = "tools/call";

/// The parts of one record.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) asked: Asked<'a>,
    called: Called<'a>,
    pub(super) answer: Answer<'a>,
    pub(super) additional: Additional<'a>,
    pub(super) step: Step<'a>,
    pub(super) mcp: Mcp<'a>,
    pub(super) status: Option<Status>,
    pub(super) invoked: Option<Invoked<'a>>,
}

/// The parameters of a request that tell who asks, for whom and through what.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked<'a> {
    #[serde(borrow, default)]
    pub(super) identity_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) access_token: Text<'a>,
    /// Tokens of the providers that a user is known by.
    #[serde(borrow, default)]
    pub(super) logins: Option<&'a RawValue>,
    // As OAuth spells them.
    #[serde(borrow, default, rename = "client_id")]
    pub(super) client: Text<'a>,
    #[serde(borrow, default, rename = "grant_type")]
    pub(super) grant: Text<'a>,
    /// Of a role that is taken: who is behind its session.
    #[serde(borrow, default)]
    pub(super) source_identity: Text<'a>,
    /// What is said of that session, which tells a pod or a build from others of the role.
    #[serde(borrow, default, alias = "principalTags")]
    tags: Option<&'a RawValue>,
    /// Of KMS: what is encrypted, as its owner names it.
    #[serde(borrow, default)]
    encryption_context: Option<&'a RawValue>,
    /// Of `AgentCore`: for which user an agent runs, or is given a token.
    #[serde(borrow, default, alias = "runtimeUserId")]
    pub(super) user_id: Text<'a>,
    /// Of an agent that is called, or of a browser or an interpreter that one uses.
    #[serde(borrow, default, alias = "runtimeSessionId")]
    pub(super) session_id: Text<'a>,
    /// Of IAM: what somebody is given, and where they are put.
    #[serde(borrow, default)]
    pub(super) policy_arn: Text<'a>,
    #[serde(borrow, default)]
    pub(super) policy_name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) group_name: Text<'a>,
    /// Of Systems Manager: what is run on the machines.
    #[serde(borrow, default)]
    pub(super) document_name: Text<'a>,
    /// Of Lake Formation.
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub(super) audit_context: AuditContext<'a>,
    /// Of Bedrock, where models are called as OpenAI's are.
    #[serde(borrow, default)]
    pub(super) call_with_bearer_token: Text<'a>,
    #[serde(borrow, default)]
    pub(super) bearer_token_type: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model_id: Text<'a>,
    /// Of a gateway: what it was asked, as the protocol has it.
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct AuditContext<'a> {
    #[serde(borrow, default, rename = "additionalAuditContext")]
    pub(super) additional: Text<'a>,
}

/// The call of a tool: what AWS calls it, and the parameters as they came.
#[derive(Debug, Default, Deserialize)]
struct Called<'a> {
    #[serde(borrow, default)]
    method: Text<'a>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    params: CalledWith<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct CalledWith<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

/// What services add to an event that tells of the credential, or of who is behind it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Additional<'a> {
    /// What the identity centre asked for.
    #[serde(borrow, default)]
    pub(super) credential_type: Text<'a>,
    #[serde(borrow, default, rename = "MFAUsed")]
    pub(super) mfa_used: Text<'a>,
    #[serde(borrow, default)]
    pub(super) saml_provider_arn: Text<'a>,
    #[serde(borrow, default)]
    pub(super) authentication_method: Text<'a>,
    /// Who took another role in the console.
    #[serde(borrow, default)]
    pub(super) switch_from: Text<'a>,
    #[serde(borrow, default, rename = "callWithBearerToken")]
    pub(super) call_with_bearer_token: Text<'a>,
    /// Of Cognito: the user, and what was asked of its pages and answered.
    #[serde(borrow, default, rename = "sub")]
    pub(super) sub: Text<'a>,
    #[serde(borrow, default, rename = "requestParameters")]
    pub(super) request_parameters: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "responseParameters")]
    response_parameters: Option<&'a RawValue>,
    /// Of OAuth: for what a token was given, out of which sign-in, and whether.
    #[serde(borrow, default, rename = "grant_type")]
    pub(super) grant_type: Text<'a>,
    #[serde(borrow, default, rename = "signInSessionArn")]
    pub(super) sign_in_session_arn: Text<'a>,
    #[serde(borrow, default, rename = "success")]
    success: Text<'a>,
    /// Of the identity centre: for whom a token was given, and which.
    #[serde(borrow, default, rename = "identitystore:UserId")]
    pub(super) user_id: Text<'a>,
    #[serde(borrow, default, rename = "identitystore:IdentityStoreArn")]
    pub(super) identity_store: Text<'a>,
    #[serde(borrow, default, rename = "identitycenter:CredentialId")]
    pub(super) credential_id: Text<'a>,
    /// What a gateway of `AgentCore` was shown.
    #[serde(borrow, default, rename = "jwt", deserialize_with = "lenient")]
    pub(super) jwt: Jwt<'a>,
    /// Of Lake Formation: for whom a service asked.
    #[serde(borrow, default, rename = "lakeFormationPrincipal")]
    pub(super) lake_formation_principal: Text<'a>,
    /// Of Secrets Manager: what it rotates, or deletes, on its own.
    #[serde(borrow, default)]
    pub(super) secret_id: Text<'a>,
}

/// A token: what its issuer says of who shows it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Jwt<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub(super) claims: Claims<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims<'a> {
    #[serde(borrow, default)]
    pub(super) sub: Text<'a>,
    #[serde(borrow, default)]
    pub(super) client_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) iss: Text<'a>,
    #[serde(borrow, default)]
    pub(super) jti: Text<'a>,
}

/// The parts of an answer that tell of a new credential, of a sign-in or of an error.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow, default, alias = "roleCredentials")]
    pub(super) credentials: Option<IssuedKey<'a>>,
    #[serde(borrow, default)]
    pub(super) access_key: Option<IssuedKey<'a>>,
    #[serde(borrow, default, alias = "federatedUser")]
    pub(super) assumed_role_user: Option<IssuedTo<'a>>,
    #[serde(borrow, default, rename = "ConsoleLogin", alias = "SwitchRole", alias = "CheckMfa")]
    console_login: Text<'a>,
    /// Of Roles Anywhere: whose certificate it was, and the keys.
    #[serde(borrow, default)]
    pub(super) subject_arn: Text<'a>,
    #[serde(borrow, default)]
    credential_set: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) identity_id: Text<'a>,
    /// Of a gateway or a server of tools, which answers as the protocol does.
    #[serde(borrow, default)]
    status_code: Text<'a>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    is_error: Text<'a>,
}

/// The keys that were issued for one role.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    #[serde(borrow, default)]
    credentials: Option<IssuedKey<'a>>,
    #[serde(borrow, default)]
    assumed_role_user: Option<IssuedTo<'a>>,
}

/// What stands in an answer of JSON-RPC, and of HTTP.
#[derive(Debug, Default, Deserialize)]
struct Answered<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
}

/// A step of a sign-in as the identity centre tells it: how it ended, or into what.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Step<'a> {
    #[serde(
        borrow,
        default,
        rename = "UserAuthentication",
        alias = "CredentialChallenge",
        alias = "CredentialVerification"
    )]
    ended: Text<'a>,
    #[serde(borrow, default, rename = "account_id", alias = "accountId")]
    pub(super) account_id: Text<'a>,
    #[serde(borrow, default, rename = "role_name", alias = "roleName")]
    pub(super) role_name: Text<'a>,
    /// Of a file system: who mounted it.
    #[serde(borrow, default, rename = "sourceIpAddress", alias = "sourceIPAddress")]
    pub(super) source_ip_address: Text<'a>,
}

/// Of the call of a tool: in which session, of which server.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mcp<'a> {
    #[serde(borrow, default)]
    pub(super) session_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) mcp_server_name: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IssuedKey<'a> {
    #[serde(borrow, default)]
    pub(super) access_key_id: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct IssuedTo<'a> {
    #[serde(borrow, default)]
    pub(super) arn: Text<'a>,
}

impl Asked<'_> {
    pub(super) fn encryption_context(&self) -> Option<&str> {
        told(self.encryption_context)
    }

    /// Of a session; those that another service puts on its things are none.
    pub(super) fn session_tags(&self, service: Option<&str>) -> Option<&str> {
        told(self.tags).filter(|_| service == Some("sts"))
    }
}

/// What an object or a list says, as it was written.
fn told(json: Option<&RawValue>) -> Option<&str> {
    json.map(RawValue::get).filter(|json| json.starts_with(['{', '[']) && 2 < json.len())
}

impl Answer<'_> {
    /// Whether whoever asked was not let in.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.status_code.get().and_then(|code| code.split('.').next()) == Some("401")
    }
}

/// What a part of the record says; nothing where it is another thing than AWS documents.
pub(super) fn part<'a, T: Default + Deserialize<'a>>(json: Option<&'a RawValue>) -> T {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

/// The same of a part of a part.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(part(Option::<&RawValue>::deserialize(deserializer)?))
}

impl<'a> Parts<'a> {
    pub(super) fn of(record: &Record<'a>) -> Self {
        let is_of = |sources: &[&str]| {
            record.event_source.get().is_some_and(|source| sources.contains(&source))
        };
        let is_tool = record.event_type.get() == Some(MCP_EVENT);
        let asked: Asked<'a> = part(record.request_parameters.filter(|_| is_of(ASKED)));
        // Through a gateway goes more than the calls of tools.
        let is_call = |body: &&RawValue| part::<Called<'_>>(Some(*body)).method.is(TOOL_CALL);
        let through = asked.body.filter(is_call);
        let called = record.request_parameters.filter(|_| is_tool).or(through);
        let answer = record.response_elements.filter(|_| is_tool || is_of(ANSWERING));
        let mut answer: Answer<'a> = part(answer);
        if let Some(Issued { credentials, assumed_role_user }) =
            part::<Vec<Issued<'a>>>(answer.credential_set).into_iter().next()
        {
            answer.credentials = answer.credentials.or(credentials);
            answer.assumed_role_user = answer.assumed_role_user.or(assumed_role_user);
        }
        Self {
            asked,
            called: part(called),
            answer,
            additional: part(record.additional_event_data),
            step: part(record.service_event_details),
            mcp: part(record.mcp_event_details),
            status: Status::of(record),
            invoked: Invoked::of(record),
        }
    }

    /// The tool that was called, by the name that the client used; a method of the protocol (`tools/list`)
    /// is none.
    pub(super) fn tool(&self) -> Option<&str> {
        let method = || self.called.method.get().filter(|method| !method.contains('/'));
        self.called.params.name.get().or_else(method)
    }

    /// Whether a sign-in or a step of one was refused.
    pub(super) fn is_refused(&self) -> bool {
        [&self.answer.console_login, &self.step.ended]
            .iter()
            .any(|end| end.get() == Some("Failure"))
    }

    /// How a call without an error code ended: by the status of its answer, by the error in it, or by the word
    /// of the service.
    pub(super) fn answered(&self, redactor: &Redactor) -> (Outcome, Option<String>) {
        if let Some(Status { has_failed: true, reason, .. }) = &self.status {
            return (Outcome::Error, reason.as_deref().map(|text| in_short(text, redactor)));
        }
        if let Some(failed) = self.invoked.as_ref().and_then(Invoked::failed) {
            return failed;
        }
        let page: Answered<'_> = part(self.additional.response_parameters);
        let status = self.answer.status_code.get().or_else(|| page.status.get());
        // Some are written as `200.0`.
        let status = status.and_then(|status| status.split('.').next());
        if let Some(outcome @ (Outcome::Denied | Outcome::Error)) =
            status.and_then(verdict::of_http)
        {
            return (outcome, status.map(str::to_owned));
        }
        if let Some(error) = part::<Answered<'_>>(self.answer.body).error {
            let error: Answered<'_> = part(Some(error));
            let message = error.message.get();
            let outcome = verdict::of_error(message.unwrap_or_default());
            return (outcome, message.map(|text| in_short(text, redactor)));
        }
        let has_failed = self.answer.is_error.is("true") || self.additional.success.is("false");
        (if has_failed { Outcome::Error } else { Outcome::Success }, None)
    }
}
