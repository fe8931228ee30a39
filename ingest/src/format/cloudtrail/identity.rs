//! [`Actor`]: which agent, of which class, with which credential, on whose behalf.
//!
//! Invariant: an agent is what the record names: the ARN of the session, user or root, else a service,
//! a principal or an account. A record that names none has no actor.
//!
//! Source: AWS, *CloudTrail userIdentity element*; prefixes of key ids: AWS, *IAM identifiers*.

use std::borrow::Cow;

use schemas::{AgentClass, AgentId, CredentialId, CredentialKind, SessionId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::words::{assumed_role, aws_key};
use super::delegation;
use super::outsider::Outsider;
use super::parts::{Additional, Parts, part};
use super::text::Text;
use super::{Fault, Record, id, no_agent};

/// What stands for a user name that could be a password typed into the wrong field.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

const UNAUTHENTICATED: &str = "aws:unauthenticated";
const IAM_USER: &str = "aws:iam-user";
const FEDERATED_USER: &str = "aws:federated-user";
const SERVICE: &str = "aws:service";
const IDENTITY_CENTER_USER: &str = "aws:identity-center-user";
/// How the id of a role begins; that of its session has the session's name behind a colon.
const ROLE_ID: &str = "AROA";
/// What stands in the subject of a token of Kubernetes.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default, alias = "principalid")]
    principal_id: Text<'a>,
    #[serde(borrow, default)]
    arn: Text<'a>,
    #[serde(borrow, default, alias = "accountid")]
    pub(super) account_id: Text<'a>,
    #[serde(borrow, default, alias = "accesskeyid")]
    access_key_id: Text<'a>,
    #[serde(borrow, default, alias = "credentialid")]
    credential_id: Text<'a>,
    #[serde(borrow, default, alias = "username")]
    user_name: Text<'a>,
    #[serde(borrow, default, alias = "invokedby")]
    pub(super) invoked_by: Text<'a>,
    #[serde(borrow, default, alias = "sessioncontext")]
    session_context: Option<SessionContext<'a>>,
    #[serde(borrow, default, alias = "onbehalfof")]
    on_behalf_of: Option<OnBehalfOf<'a>>,
    #[serde(borrow, default, rename = "identityProvider", alias = "identityprovider")]
    pub(super) provider: Text<'a>,
    #[serde(borrow, default, alias = "inscopeof")]
    in_scope_of: Option<&'a RawValue>,
    /// The provider of a product to whom the account delegated access.
    #[serde(borrow, default, alias = "invokedbydelegate")]
    invoked_by_delegate: Option<&'a RawValue>,
}

/// For what the service issued the credential: a function, an instance, a task.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scope<'a> {
    #[serde(borrow, default, alias = "credentialsissuedto")]
    credentials_issued_to: Text<'a>,
    #[serde(borrow, default, alias = "sourcearn")]
    source_arn: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext<'a> {
    #[serde(borrow, default, alias = "sessionissuer")]
    session_issuer: Option<SessionIssuer<'a>>,
    #[serde(borrow, default)]
    attributes: Option<SessionAttributes<'a>>,
    #[serde(borrow, default, alias = "sourceidentity")]
    source_identity: Text<'a>,
    #[serde(borrow, default, alias = "webidfederationdata")]
    web_id_federation_data: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "ec2roledelivery")]
    ec2_role_delivery: Text<'a>,
    #[serde(borrow, default, alias = "assumedroot")]
    assumed_root: Text<'a>,
    #[serde(borrow, default, alias = "signinsessionarn")]
    sign_in_session_arn: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Delegate<'a> {
    #[serde(borrow, default, rename = "accountId", alias = "accountid")]
    account: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebIdFederation<'a> {
    #[serde(borrow, default, alias = "federatedprovider")]
    federated_provider: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct SessionIssuer<'a> {
    #[serde(borrow, default)]
    arn: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionAttributes<'a> {
    #[serde(borrow, default, alias = "creationdate")]
    creation_date: Text<'a>,
    #[serde(borrow, default, alias = "mfaauthenticated")]
    mfa_authenticated: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnBehalfOf<'a> {
    #[serde(borrow, default, alias = "userid")]
    user_id: Text<'a>,
    #[serde(borrow, default, alias = "identitystorearn")]
    identity_store_arn: Text<'a>,
}

impl Identity<'_> {
    /// The role whose session it is.
    fn role(&self) -> Option<&str> {
        self.session_context.as_ref()?.session_issuer.as_ref()?.arn.get()
    }

    /// The same, else the role that the ARN of its session names.
    pub(super) fn role_of_session(&self) -> Option<Cow<'_, str>> {
        let of_arn = || self.arn.get().and_then(assumed_role).map(Cow::Owned);
        self.role().map(Cow::Borrowed).or_else(of_arn)
    }

    /// Whether it is the session of a role, whatever its ARN.
    fn is_of_role(&self) -> bool {
        self.kind.is("AssumedRole") && self.role().is_some_and(|role| role.contains(":role/"))
    }

    fn session_attributes(&self) -> Option<&SessionAttributes<'_>> {
        self.session_context.as_ref()?.attributes.as_ref()
    }

    /// Whether the session was opened with a second factor.
    pub(super) fn mfa(&self) -> Option<&str> {
        self.session_attributes()?.mfa_authenticated.get()
    }

    /// Who the session says is behind it. An administrator may demand it; nobody checks it.
    pub(super) fn source_identity(&self) -> Option<&str> {
        self.session_context.as_ref()?.source_identity.get()
    }

    /// Whose token the session was opened with.
    pub(super) fn federated_provider(&self) -> Option<String> {
        let json = self.session_context.as_ref()?.web_id_federation_data?.get();
        serde_json::from_str::<WebIdFederation<'_>>(json).ok()?.federated_provider.owned()
    }

    /// By which version of the metadata service a machine got its role's key.
    pub(super) fn ec2_role_delivery(&self) -> Option<&str> {
        self.session_context.as_ref()?.ec2_role_delivery.get()
    }

    /// Whether the session is that of the root user of a member account.
    pub(super) fn assumed_root(&self) -> Option<&str> {
        self.session_context.as_ref()?.assumed_root.get()
    }

    /// The sign-in from which the session came.
    pub(super) fn sign_in_session(&self) -> Option<&str> {
        self.session_context.as_ref()?.sign_in_session_arn.get()
    }

    /// The account of the provider that acted with delegated access.
    pub(super) fn delegate(&self) -> Option<String> {
        part::<Delegate<'_>>(self.invoked_by_delegate).account.owned()
    }

    /// The principal; nothing where AWS writes the account in its place, as it does at a sign-in.
    fn principal(&self) -> Option<&str> {
        let is_named = self.user_name.get().is_some() || self.kind.is("Unknown");
        let is_account = |principal: &&str| Some(*principal) == self.account_id.get();
        let is_other = self.arn.get().is_none() && is_named;
        self.principal_id.get().filter(|principal| !(is_other && is_account(principal)))
    }

    /// The key that signed the request. Of another account it may stand in the principal's place.
    pub(super) fn key(&self) -> Option<&str> {
        let principal = self.principal_id.get().filter(|principal| is_key(principal));
        self.access_key_id.get().or(principal)
    }

    /// The person signed in to the identity centre on whose behalf it was done.
    pub(super) fn on_behalf_of(&self) -> Option<&str> {
        self.on_behalf_of.as_ref()?.user_id.get()
    }

    /// Where that person is known.
    pub(super) fn identity_store(&self) -> Option<&str> {
        self.on_behalf_of.as_ref()?.identity_store_arn.get()
    }

    /// What runs as the role: several functions or machines may share one.
    pub(super) fn issued_to(&self) -> Option<String> {
        let scope: Scope<'_> = part(self.in_scope_of);
        scope.credentials_issued_to.owned().or_else(|| scope.source_arn.owned())
    }

    /// Whether it is a person whom the identity centre knows, as it wrote before it told of them by
    /// `onBehalfOf`.
    ///
    /// Source: AWS, *Important changes to CloudTrail events for AWS IAM Identity Center*.
    fn is_of_center(&self, record: &Record<'_>) -> bool {
        let is_told = self.principal().is_some() && self.user_name.get().is_some();
        self.kind.is("Unknown") && is_told && record.service() == Some("sso")
    }

    /// Whose name nobody knows, since it could be a password: a sign-in that failed.
    fn is_hidden(&self) -> bool {
        let principal = self.principal_id.get();
        self.user_name.get() == Some(HIDDEN)
            && principal.is_none_or(|principal| Some(principal) == self.account_id.get())
    }

    fn is_anonymous(&self) -> bool {
        let marks = [self.principal_id.get(), self.account_id.get()];
        marks
            .into_iter()
            .flatten()
            .any(|text| matches!(text, "Anonymous" | "ANONYMOUS_PRINCIPAL" | "anonymous"))
    }
}

/// Who acted.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) agent: AgentId,
    pub(super) class: Option<AgentClass>,
    pub(super) credential_id: CredentialId,
    pub(super) credential_kind: CredentialKind,
    pub(super) session: Option<SessionId>,
    pub(super) delegation: Vec<AgentId>,
}

impl Actor {
    pub(super) fn of(
        identity: &Identity<'_>,
        record: &Record<'_>,
        parts: &Parts<'_>,
    ) -> Result<Self, Fault> {
        let Parts { asked, additional, .. } = parts;
        let is_nobody = identity.arn.get().is_none()
            && (identity.principal_id.get().is_none() || identity.is_anonymous());
        let outsider = is_nobody.then(|| Outsider::of(identity, record, parts)).flatten();
        if let Some(Outsider { agent, class, kind, credential }) = outsider {
            return Ok(Self {
                agent: id("userIdentity", &agent)?,
                class: Some(id("userIdentity", class)?),
                credential_id: id("userIdentity", &credential)?,
                credential_kind: kind,
                session: None,
                delegation: Vec::new(),
            });
        }
        let (agent, class) = match identity.arn.get() {
            Some(arn) => (arn.to_owned(), class_of_arn(arn, identity)),
            None => agent_without_arn(identity, record).ok_or_else(no_agent)?,
        };
        let is_person = additional.credential_type.get().is_some()
            || record.is_of_portal()
            || identity.is_of_center(record);
        let class = class.or_else(|| is_person.then(|| IDENTITY_CENTER_USER.to_owned()));
        let agent: AgentId = id("userIdentity", &agent)?;
        let (credential, credential_kind) = shown_at_sign_in(identity, additional, &agent)
            .unwrap_or_else(|| credential(identity, record, &agent, class.as_deref()));
        let is_bearer = additional.call_with_bearer_token.is("true")
            || asked.call_with_bearer_token.is("true")
            || record.is_of_portal();
        let (credential, credential_kind) =
            if is_bearer && credential_kind == CredentialKind::Unknown {
                (format!("token:{agent}"), CredentialKind::AccessToken)
            } else {
                (credential, credential_kind)
            };
        Ok(Self {
            credential_id: id("userIdentity.accessKeyId", &credential)?,
            credential_kind,
            class: class
                .as_deref()
                .map(|class| id("userIdentity.sessionContext", class))
                .transpose()?,
            session: session(identity, record, parts),
            delegation: delegation::of(identity, parts, &agent),
            agent,
        })
    }
}

/// The class of an agent with an ARN: its role, else the kind of its identity.
fn class_of_arn(arn: &str, identity: &Identity<'_>) -> Option<String> {
    let Some(resource) = arn.splitn(6, ':').nth(5) else { return role_or_kind(identity) };
    match resource.split('/').collect::<Vec<_>>()[..] {
        ["assumed-role", ..] => identity.role_of_session().map(Cow::into_owned),
        ["user", ..] if !identity.is_of_role() => Some(IAM_USER.to_owned()),
        ["federated-user", ..] => Some(FEDERATED_USER.to_owned()),
        ["root"] => Some("aws:root".to_owned()),
        ["role", ..] => Some(arn.to_owned()),
        _ => role_or_kind(identity),
    }
}

/// The role, or else the type of identity, e.g. `aws:web-identity-user`.
fn role_or_kind(identity: &Identity<'_>) -> Option<String> {
    if let Some(role) = identity.role() {
        return Some(role.to_owned());
    }
    match identity.kind.get()? {
        "IAMUser" => Some(IAM_USER.to_owned()),
        "FederatedUser" => Some(FEDERATED_USER.to_owned()),
        "WebIdentityUser" => Some("aws:web-identity-user".to_owned()),
        "SAMLUser" => Some("aws:saml-user".to_owned()),
        "IdentityCenterUser" => Some(IDENTITY_CENTER_USER.to_owned()),
        "Directory" => Some("aws:directory".to_owned()),
        "AWSAccount" => Some("aws:external-account".to_owned()),
        "AWSService" => Some(SERVICE.to_owned()),
        "Root" => Some("aws:root".to_owned()),
        _ => None,
    }
}

/// Agent and class of an identity that has no ARN.
fn agent_without_arn(
    identity: &Identity<'_>,
    record: &Record<'_>,
) -> Option<(String, Option<String>)> {
    let unauthenticated = || Some((UNAUTHENTICATED.to_owned(), Some(UNAUTHENTICATED.to_owned())));
    if identity.is_anonymous() || identity.is_hidden() {
        return unauthenticated();
    }
    let kind = identity.kind.get();
    let (user, account) = (identity.user_name.get(), identity.account_id.get());
    if let (Some("IAMUser"), Some(user), Some(account)) = (kind, user, account)
        && user != HIDDEN
    {
        // A failed sign-in has no ARN; without the user's path this is what IAM would write.
        return Some((format!("arn:aws:iam::{account}:user/{user}"), Some(IAM_USER.to_owned())));
    }
    let service = || Some((identity.invoked_by.get()?.to_owned(), Some(SERVICE.to_owned())));
    if kind == Some("AWSService") {
        let own = || Some((record.event_source.get()?.to_owned(), Some(SERVICE.to_owned())));
        return service().or_else(own);
    }
    let class = role_or_kind(identity);
    let named = |text: &str| Some((text.to_owned(), class.clone()));
    // Of another account it may be the key.
    let is_key = |principal: &&str| kind == Some("AWSAccount") && is_key(principal);
    identity
        .principal()
        .filter(|principal| !is_key(principal))
        .and_then(named)
        .or_else(|| identity.role().and_then(named))
        .or_else(service)
        .or_else(|| identity.on_behalf_of.as_ref()?.user_id.get().and_then(named))
        .or_else(|| user.filter(|user| *user != HIDDEN).and_then(named))
        .or_else(|| match kind {
            Some("AWSAccount") => Some((format!("aws:account/{}", account?), class.clone())),
            // A sign-in of which the account alone is told, as with a smart card.
            Some("Unknown") if identity.principal_id.get().is_some() => unauthenticated(),
            // Of the console of billing, which tells whose key it was no nearer.
            None => Some((format!("aws:account/{}", identity.key().and(account)?), None)),
            _ => None,
        })
}

/// Whether an id is that of an access key.
fn is_key(id: &str) -> bool {
    16 <= id.len() && aws_key(id).is_some()
}

/// What the identity centre asked for and got, or what a provider said of who signed in to the console;
/// `None` of what is no kind that is told apart.
fn shown_at_sign_in(
    identity: &Identity<'_>,
    additional: &Additional<'_>,
    agent: &AgentId,
) -> Option<(String, CredentialKind)> {
    let (name, kind) = match additional.credential_type.get() {
        Some(asked) => shown_for(asked)?,
        None => {
            additional.saml_provider_arn.get().map(|_| ("token", CredentialKind::AccessToken))?
        }
    };
    // What it is called is the portal's session; a password and a card are the same at the next one.
    let told = identity.credential_id.owned().filter(|_| kind == CredentialKind::AccessToken);
    Some((told.unwrap_or_else(|| format!("{name}:{agent}")), kind))
}

/// What is shown where the identity centre asks for this, with the word for it in an id that tells no more.
pub(in crate::format) fn shown_for(asked: &str) -> Option<(&'static str, CredentialKind)> {
    match asked {
        "PASSWORD" | "TOTP" | "RESYNC_TOTP" | "EMAIL_OTP" => {
            Some(("password", CredentialKind::Password))
        }
        "SMARTCARD" => Some(("certificate", CredentialKind::Certificate)),
        "EXTERNAL_IDP" => Some(("token", CredentialKind::AccessToken)),
        _ => None,
    }
}

/// Id and kind of the credential; where no key is told, an id made of what is.
fn credential(
    identity: &Identity<'_>,
    record: &Record<'_>,
    agent: &AgentId,
    class: Option<&str>,
) -> (String, CredentialKind) {
    if let Some(key) = identity.key() {
        let kind = aws_key(key).unwrap_or(match identity.session_context {
            Some(_) => CredentialKind::TemporaryKey,
            None => CredentialKind::Unknown,
        });
        return (key.to_owned(), kind);
    }
    if let Some(token) = identity.credential_id.get() {
        return (token.to_owned(), CredentialKind::AccessToken);
    }
    let kind = identity.kind.get();
    if record.is_console_sign_in() && matches!(kind, Some("IAMUser" | "Root")) {
        return (format!("password:{agent}"), CredentialKind::Password);
    }
    if agent.as_str() == UNAUTHENTICATED {
        let from = record.source_ip_address.get().unwrap_or("unknown");
        return (format!("anonymous:{from}"), CredentialKind::Anonymous);
    }
    if class == Some(SERVICE) {
        return (format!("service:{agent}"), CredentialKind::Platform);
    }
    let principal = identity.principal();
    if identity.session_context.is_none() && matches!(kind, Some("WebIdentityUser" | "SAMLUser")) {
        // Who asks for a role shows the token of an identity provider.
        let kind = match principal.or(identity.user_name.get()) {
            Some(subject) if subject.contains(SERVICE_ACCOUNT) => {
                CredentialKind::ServiceAccountToken
            }
            Some(_) | None => CredentialKind::AccessToken,
        };
        return (format!("token:{agent}"), kind);
    }
    let is_of_role = |id: &str| id.starts_with(ROLE_ID) && id.contains(':');
    let is_session = identity.session_context.is_some()
        || record.session_credential_from_console.is("true")
        || principal.is_some_and(is_of_role)
        || matches!(kind, Some("AssumedRole" | "FederatedUser"));
    match (is_session, principal) {
        (true, Some(principal)) => (format!("session:{principal}"), CredentialKind::Session),
        (true, None) => (format!("session:{agent}"), CredentialKind::Session),
        (false, _) => (format!("unknown:{agent}"), CredentialKind::Unknown),
    }
}

/// The session: that of a tool's server or of an agent that was called, else whose, and since when. The identity
/// centre has sessions of its portal.
fn session(identity: &Identity<'_>, record: &Record<'_>, parts: &Parts<'_>) -> Option<SessionId> {
    let inner = parts.mcp.session_id.get().or_else(|| parts.asked.session_id.get());
    let since = || {
        let since = identity.session_attributes()?.creation_date.get()?;
        Some(format!("{}@{since}", identity.principal_id.get()?))
    };
    let of_portal = || identity.credential_id.owned().filter(|_| record.is_of_identity_center());
    let session = inner.map(str::to_owned).or_else(since).or_else(of_portal)?;
    SessionId::try_from(session).ok()
}
