//! AWS CloudTrail records.
//!
//! Invariant: every event has an agent, a credential's id and kind, an action and an outcome, or the
//! record is a reject; an identity that the record does not tell is never made up.
//!
//! Source: AWS, *CloudTrail record contents*, *CloudTrail userIdentity element*, *Understanding sign-in
//! events for IAM Identity Center*.

mod identity;
mod mend;
mod outsider;
mod target;
mod text;

use std::net::IpAddr;

use schemas::{
    Attributes, CredentialEvent, EventId, Format, InvalidId, Outcome, RejectReason, Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::identity::{Actor, Identity};
use self::target::Target;
use self::text::Text;
use super::draft::time_of;
use super::{Fault, unfold, verdict};
use crate::{RawRecord, Redactor};

const ACTION_BYTES_MAX: usize = 256;
const ERROR_MESSAGE_BYTES_MAX: usize = 512;

/// Error codes that mean: refused for want of permission or of a valid credential. Each service has
/// words of its own.
const REFUSALS: &[&str] = &[
    "AccessDenied",
    "Unauthorized",
    "Forbidden",
    "NotAuthorized",
    "AuthFailure",
    "AuthorizationError",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidSignature",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClient",
    "AllAccessDisabled",
    "IDPRejectedClaim",
    "IncompleteSignature",
    "InsufficientPrivileges",
    "InvalidSecurity",
    "RequestExpired",
    "TokenRefreshRequired",
];
/// What S3 says of a token that is none; elsewhere a token may be that of a page.
const INVALID_TOKEN: &str = "InvalidToken";
/// What EC2 says where a request would have been granted, had it not asked to do nothing.
const DRY_RUN: &str = "DryRunOperation";

const INSIGHT: &str = "AwsCloudTrailInsight";
/// Events of which the category tells nothing that the action does not.
const USUAL_CATEGORIES: [&str; 2] = ["Management", "Data"];

/// The fields of a record that are read. Some exporters write all names in lower case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow, default, alias = "eventtime")]
    event_time: Text<'a>,
    #[serde(borrow, default, alias = "eventsource")]
    event_source: Text<'a>,
    #[serde(borrow, default, alias = "eventname")]
    event_name: Text<'a>,
    #[serde(borrow, default, rename = "eventID", alias = "eventid")]
    event_id: Text<'a>,
    /// Of what an integration puts into CloudTrail Lake.
    #[serde(borrow, default, rename = "UID", alias = "uid")]
    uid: Text<'a>,
    #[serde(borrow, default, alias = "eventtype")]
    event_type: Text<'a>,
    #[serde(borrow, default, alias = "awsregion")]
    aws_region: Text<'a>,
    #[serde(borrow, default, rename = "sourceIPAddress", alias = "sourceipaddress")]
    source_ip_address: Text<'a>,
    #[serde(borrow, default, alias = "useragent")]
    user_agent: Text<'a>,
    #[serde(borrow, default, alias = "errorcode")]
    error_code: Text<'a>,
    #[serde(borrow, default, alias = "errormessage")]
    error_message: Text<'a>,
    #[serde(borrow, default, alias = "readonly")]
    read_only: Text<'a>,
    #[serde(borrow, default, alias = "recipientaccountid")]
    recipient_account_id: Text<'a>,
    #[serde(borrow, default, rename = "sharedEventID", alias = "sharedeventid")]
    shared_event_id: Text<'a>,
    #[serde(borrow, default, alias = "vpcendpointid")]
    vpc_endpoint_id: Text<'a>,
    #[serde(borrow, default, alias = "sessioncredentialfromconsole")]
    session_credential_from_console: Text<'a>,
    #[serde(borrow, default, alias = "useridentity")]
    user_identity: Option<Identity<'a>>,
    #[serde(borrow, default, alias = "requestparameters")]
    request_parameters: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "responseelements")]
    response_elements: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "serviceeventdetails")]
    service_event_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resources: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "additionaleventdata")]
    additional_event_data: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "eventcategory")]
    event_category: Text<'a>,
}

/// What services add to an event that tells of the credential.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Additional<'a> {
    /// What the identity centre asked for.
    #[serde(borrow, default)]
    credential_type: Text<'a>,
    #[serde(borrow, default, rename = "MFAUsed")]
    mfa_used: Text<'a>,
    #[serde(borrow, default)]
    saml_provider_arn: Text<'a>,
    #[serde(borrow, default)]
    authentication_method: Text<'a>,
    #[serde(borrow, default, rename = "callWithBearerToken")]
    call_with_bearer_token: Text<'a>,
    /// Of Cognito: the user, and what was asked of its pages and answered.
    #[serde(borrow, default, rename = "sub")]
    sub: Text<'a>,
    #[serde(borrow, default, rename = "requestParameters")]
    request_parameters: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "responseParameters")]
    response_parameters: Option<&'a RawValue>,
}

/// The parts of an answer that tell of a new credential, of a sign-in or of an error.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow, default, alias = "roleCredentials")]
    credentials: Option<IssuedKey<'a>>,
    #[serde(borrow, default)]
    access_key: Option<IssuedKey<'a>>,
    #[serde(borrow, default)]
    assumed_role_user: Option<AssumedRoleUser<'a>>,
    #[serde(borrow, default, rename = "ConsoleLogin", alias = "SwitchRole", alias = "CheckMfa")]
    console_login: Text<'a>,
    /// Of Roles Anywhere: whose certificate it was, and the keys.
    #[serde(borrow, default)]
    subject_arn: Text<'a>,
    #[serde(borrow, default)]
    credential_set: Option<&'a RawValue>,
    #[serde(borrow, default)]
    identity_id: Text<'a>,
    /// Of a gateway of tools, which answers as the protocol does.
    #[serde(borrow, default)]
    status_code: Text<'a>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// The keys that were issued for one role.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    #[serde(borrow, default)]
    credentials: Option<IssuedKey<'a>>,
    #[serde(borrow, default)]
    assumed_role_user: Option<AssumedRoleUser<'a>>,
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

/// How a step of a sign-in ended, as the identity centre tells it.
#[derive(Debug, Default, Deserialize)]
struct Step<'a> {
    #[serde(
        borrow,
        default,
        rename = "UserAuthentication",
        alias = "CredentialChallenge",
        alias = "CredentialVerification"
    )]
    ended: Text<'a>,
    /// Of a file system: who mounted it.
    #[serde(borrow, default, rename = "sourceIpAddress", alias = "sourceIPAddress")]
    source_ip_address: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssuedKey<'a> {
    #[serde(borrow, default)]
    access_key_id: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct AssumedRoleUser<'a> {
    #[serde(borrow, default)]
    arn: Text<'a>,
}

/// Reads a CloudTrail record, also one that an exporter wrote in another way.
pub(super) fn read(
    json: &str,
    raw: &RawRecord<'_>,
    redactor: &Redactor,
) -> Result<CredentialEvent, Fault> {
    // Who changed the name of this field changed others, and below it.
    let is_changed = !json.contains(r#""userIdentity""#) || unfold::has_json_in_text(json);
    let read = if is_changed { None } else { Some(read_as_aws_writes(json, raw, redactor)) };
    match read {
        Some(Ok(event)) => Ok(event),
        read => match (mend::mended(json), read) {
            (Some(mended), _) => read_as_aws_writes(&mended, raw, redactor),
            (None, Some(read)) => read,
            (None, None) => read_as_aws_writes(json, raw, redactor),
        },
    }
}

fn read_as_aws_writes(
    json: &str,
    raw: &RawRecord<'_>,
    redactor: &Redactor,
) -> Result<CredentialEvent, Fault> {
    let record: Record<'_> = serde_json::from_str(json).map_err(|error| Fault::of_json(&error))?;
    let (answer, additional) = (record.answer(), record.additional());
    let Some(identity) = &record.user_identity else { return Err(record.no_identity()) };
    let actor = Actor::of(identity, &record, &additional, &answer)?;
    let target = Target::of(&record, identity, redactor)?;
    let (outcome, outcome_reason) = record.outcome(&answer, &additional);
    let event_id = match record.event_id.get().or_else(|| record.uid.get()) {
        Some(text) => id::<EventId>("eventID", text)?,
        None => raw.position().event_id(),
    };
    Ok(CredentialEvent {
        event_id,
        time: record.time()?,
        source_ip: record.source_ip(),
        user_agent: record.user_agent.owned(),
        action: record.action()?,
        outcome,
        outcome_reason,
        attributes: record.attributes(identity, &answer, &additional, redactor),
        agent_id: actor.agent,
        agent_class: actor.class,
        session_id: actor.session,
        credential_id: actor.credential_id,
        credential_kind: actor.credential_kind,
        delegation: actor.delegation,
        resource: target.resource,
        resource_kind: target.resource_kind,
        counterparty_id: target.counterparty_id,
        counterparty_kind: target.counterparty_kind,
        agent_instance: identity.issued_to(),
        model: None,
        task_id: None,
        grant_id: None,
        amount: None,
        currency: None,
        labels: Vec::new(),
        format: Format::CloudTrail,
    })
}

fn no_agent() -> Fault {
    Fault::new(RejectReason::NoAgent, "wanted an identity in `userIdentity`, found none")
}

/// `text` as an id of the field `name`.
fn id<'a, T: TryFrom<&'a str, Error = InvalidId>>(name: &str, text: &'a str) -> Result<T, Fault> {
    T::try_from(text).map_err(|error| Fault::bad_field(format!("`{name}`: {error}")))
}

/// How a call ended by the status of its answer, or by the error in it.
fn answered(answer: &Answer<'_>, additional: &Additional<'_>) -> (Outcome, Option<String>) {
    let page: Answered<'_> = part(additional.response_parameters);
    let status = answer.status_code.get().or_else(|| page.status.get());
    // Some are written as `200.0`.
    let status = status.and_then(|status| status.split('.').next());
    if let Some(outcome @ (Outcome::Denied | Outcome::Error)) = status.and_then(verdict::of_http) {
        return (outcome, status.map(str::to_owned));
    }
    match part::<Answered<'_>>(answer.body).error {
        Some(error) => {
            let error: Answered<'_> = part(Some(error));
            let message = error.message.get();
            let outcome = verdict::of_error(message.unwrap_or_default());
            let end = |text: &str| text.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX);
            (outcome, message.map(|text| text[..end(text)].to_owned()))
        }
        None => (Outcome::Success, None),
    }
}

/// What a part of the record says; nothing where it is another thing than AWS documents.
fn part<'a, T: Default + Deserialize<'a>>(json: Option<&'a RawValue>) -> T {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

impl<'a> Record<'a> {
    /// CloudTrail writes RFC 3339 in UTC, its exporters what they like.
    fn time(&self) -> Result<Timestamp, Fault> {
        let Some(text) = self.event_time.get() else {
            return Err(Fault::bad_field("wanted field `eventTime`, found none"));
        };
        time_of(text).map_err(|error| Fault::bad_field(format!("`eventTime`: {error}")))
    }

    fn no_identity(&self) -> Fault {
        if self.event_type.get() == Some(INSIGHT) {
            let detail = "wanted a call, found an insight of CloudTrail into many";
            return Fault::new(RejectReason::NoAgent, detail);
        }
        no_agent()
    }

    /// `service:Operation`.
    fn action(&self) -> Result<String, Fault> {
        let Some(name) = self.event_name.get() else {
            return Err(Fault::bad_field("wanted field `eventName`, found none"));
        };
        let action = match self.event_source.get() {
            Some(source) => format!("{source}:{name}"),
            None => name.to_owned(),
        };
        match action.len() {
            0..=ACTION_BYTES_MAX => Ok(action),
            bytes => Err(Fault::bad_field(format!(
                "wanted `eventSource` and `eventName` of up to {ACTION_BYTES_MAX} bytes, found {bytes}"
            ))),
        }
    }

    /// Only these services answer with what is looked for; for the others nothing is parsed.
    fn answer(&self) -> Answer<'a> {
        const SOURCES: [&str; 8] = [
            "sts.amazonaws.com",
            "iam.amazonaws.com",
            "signin.amazonaws.com",
            "sso.amazonaws.com",
            "eks-auth.amazonaws.com",
            "cognito-identity.amazonaws.com",
            "rolesanywhere.amazonaws.com",
            "bedrock-agentcore.amazonaws.com",
        ];
        if !self.event_source.get().is_some_and(|source| SOURCES.contains(&source)) {
            return Answer::default();
        }
        let mut answer: Answer<'a> = part(self.response_elements);
        if let Some(Issued { credentials, assumed_role_user }) =
            part::<Vec<Issued<'a>>>(answer.credential_set).into_iter().next()
        {
            answer.credentials = answer.credentials.or(credentials);
            answer.assumed_role_user = answer.assumed_role_user.or(assumed_role_user);
        }
        answer
    }

    fn additional(&self) -> Additional<'a> {
        part(self.additional_event_data)
    }

    fn step(&self) -> Step<'a> {
        part(self.service_event_details)
    }

    /// Whence it came; of a service's own event its details may tell.
    fn source_ip(&self) -> Option<IpAddr> {
        let told = self.source_ip_address.get().and_then(|text| text.parse().ok());
        told.or_else(|| self.step().source_ip_address.get()?.parse().ok())
    }

    fn outcome(
        &self,
        answer: &Answer<'_>,
        additional: &Additional<'_>,
    ) -> (Outcome, Option<String>) {
        let outcome = match self.error_code.get() {
            Some(code) if REFUSALS.iter().any(|refusal| code.contains(refusal)) => Outcome::Denied,
            Some(INVALID_TOKEN) => Outcome::Denied,
            Some(code) if code.ends_with(DRY_RUN) => Outcome::Success,
            Some(_) => Outcome::Error,
            None if answer.console_login.get() == Some("Failure") => Outcome::Denied,
            None if self.step().ended.get() == Some("Failure") => Outcome::Denied,
            None => return answered(answer, additional),
        };
        (outcome, self.error_code.owned())
    }

    fn attributes(
        &self,
        identity: &Identity<'_>,
        answer: &Answer<'_>,
        additional: &Additional<'_>,
        redactor: &Redactor,
    ) -> Attributes {
        let issued = answer.credentials.as_ref().or(answer.access_key.as_ref());
        let source = self.source_ip_address.get();
        let recipient = self.recipient_account_id.get();
        let (provider, delegate) = (identity.federated_provider(), identity.delegate());
        let category = self.event_category.get().filter(|text| !USUAL_CATEGORIES.contains(text));
        let method = additional.authentication_method.get();
        let message = self.error_message.get();
        let message = message.map(|text| redactor.before_cut(text, ERROR_MESSAGE_BYTES_MAX));
        let mut attributes = Attributes::default();
        for (name, value) in [
            // Of a signed URL, which others may use too.
            ("authentication_method", method.filter(|method| *method == "QueryString")),
            ("aws_region", self.aws_region.get()),
            ("credential_type", additional.credential_type.get()),
            (
                "error_message",
                message
                    .as_deref()
                    .map(|text| &text[..text.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX)]),
            ),
            ("ec2_role_delivery", identity.ec2_role_delivery()),
            ("event_category", category),
            ("event_type", self.event_type.get()),
            ("federated_provider", provider.as_deref()),
            ("assumed_root", identity.assumed_root()),
            ("identity_provider", identity.provider.get()),
            ("identity_store", identity.identity_store()),
            ("identity_type", identity.kind.get()),
            ("invoked_by", identity.invoked_by.get()),
            ("invoked_by_delegate", delegate.as_deref()),
            ("issued_access_key_id", issued.and_then(|key| key.access_key_id.get())),
            ("issued_to", answer.assumed_role_user.as_ref().and_then(|user| user.arn.get())),
            ("mfa", identity.mfa()),
            ("mfa_used", additional.mfa_used.get()),
            ("on_behalf_of", identity.on_behalf_of()),
            ("read_only", self.read_only.get()),
            ("recipient_account_id", recipient.filter(|id| Some(*id) != identity.account_id.get())),
            ("saml_provider", additional.saml_provider_arn.get()),
            ("session_credential_from_console", self.session_credential_from_console.get()),
            ("shared_event_id", self.shared_event_id.get()),
            ("sign_in_session", identity.sign_in_session()),
            ("source_identity", identity.source_identity()),
            ("source", source.filter(|text| text.parse::<IpAddr>().is_err())),
            ("vpc_endpoint_id", self.vpc_endpoint_id.get()),
        ] {
            if let Some(value) = value {
                attributes.insert(name, &redactor.before_cut(value, Attributes::VALUE_BYTES_MAX));
            }
        }
        attributes
    }
}
