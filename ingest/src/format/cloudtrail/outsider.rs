//! [`Outsider`]: who acts without an identity of IAM: a user or client of Cognito, a workload that shows a
//! certificate, who shows a gateway of agents a token, or the directory that keeps the identity centre's users.
//!
//! Invariant: an outsider is who the service says that it knows, and none is made of an identity of IAM, nor of
//! a token that was refused.
//!
//! Source: AWS, *Logging Amazon Cognito API calls*, *Example Amazon Cognito events*, *Logging IAM Roles
//! Anywhere API calls*, *Understanding Amazon Bedrock `AgentCore` Gateway CloudTrail events*, *Logging IAM
//! Identity Center SCIM API calls*.

use schemas::CredentialKind;

use super::Record;
use super::identity::Identity;
use super::parts::{Additional, Asked, Parts, part};

/// Who acted, of which class, and with what.
#[derive(Debug)]
pub(super) struct Outsider {
    pub(super) agent: String,
    pub(super) class: &'static str,
    pub(super) kind: CredentialKind,
    pub(super) credential: String,
}

impl Outsider {
    pub(super) fn of(
        identity: &Identity<'_>,
        record: &Record<'_>,
        parts: &Parts<'_>,
    ) -> Option<Self> {
        let Parts { asked, answer, additional, .. } = parts;
        match record.event_source.get()? {
            "cognito-idp.amazonaws.com" => Self::of_user_pool(asked, additional),
            "cognito-identity.amazonaws.com" => {
                let identity = asked.identity_id.get().or_else(|| answer.identity_id.get())?;
                let from = record.source_ip_address.get().unwrap_or("unknown");
                // Without a provider's token the identity is that of a guest.
                let (kind, credential) = match asked.logins {
                    Some(_) => (CredentialKind::AccessToken, format!("token:{identity}")),
                    None => (CredentialKind::Anonymous, format!("anonymous:{from}")),
                };
                let (agent, class) = (identity.to_owned(), "aws:cognito-identity");
                Some(Self { agent, class, kind, credential })
            }
            "rolesanywhere.amazonaws.com" => {
                let agent = answer.subject_arn.owned()?;
                let (kind, credential) =
                    (CredentialKind::Certificate, format!("certificate:{agent}"));
                Some(Self { agent, class: "aws:roles-anywhere-subject", kind, credential })
            }
            "bedrock-agentcore.amazonaws.com" if !answer.is_unauthorized() => {
                let claims = &additional.jwt.claims;
                let agent = claims.sub.owned().or_else(|| claims.client_id.owned())?;
                let credential = claims.jti.owned().unwrap_or_else(|| format!("token:{agent}"));
                let (class, kind) = ("aws:gateway-caller", CredentialKind::AccessToken);
                Some(Self { agent, class, kind, credential })
            }
            // Of a call by SCIM the account is told, and which of its tokens was shown.
            "identitystore-scim.amazonaws.com" | "sso-directory.amazonaws.com" => {
                let agent = format!("aws:account/{}", identity.account_id.get()?);
                let credential = identity.key()?.to_owned();
                let (class, kind) = ("aws:scim-client", CredentialKind::AccessToken);
                Some(Self { agent, class, kind, credential })
            }
            _ => None,
        }
    }

    /// The user, else the application whose page it was.
    fn of_user_pool(asked: &Asked<'_>, additional: &Additional<'_>) -> Option<Self> {
        if let Some(agent) = additional.sub.owned() {
            let (kind, credential) = match asked.access_token.get() {
                Some(_) => (CredentialKind::AccessToken, format!("token:{agent}")),
                None => (CredentialKind::Unknown, format!("unknown:{agent}")),
            };
            return Some(Self { agent, class: "aws:cognito-user", kind, credential });
        }
        let page: Asked<'_> = part(additional.request_parameters);
        let agent = page.client.owned()?;
        // This grant alone needs the client's secret.
        let (kind, credential) = match page.grant.get() {
            Some("client_credentials") => (CredentialKind::StaticKey, format!("secret:{agent}")),
            Some(_) | None => (CredentialKind::Unknown, format!("unknown:{agent}")),
        };
        Some(Self { agent, class: "aws:cognito-client", kind, credential })
    }
}
