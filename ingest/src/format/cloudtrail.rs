//! AWS CloudTrail records.
//!
//! Invariant: every event has an agent, a credential's id and kind, an action and an outcome, or the
//! record is a reject; an identity that the record does not tell is never made up.
//!
//! Source: AWS, *CloudTrail record contents*, *CloudTrail userIdentity element*, *Understanding sign-in
//! events for IAM Identity Center*.

mod delegation;
mod everyone;
pub(super) mod identity;
mod mend;
mod named;
mod outsider;
mod parts;
mod passed;
mod quick;
mod status;
mod target;
mod text;

use std::net::IpAddr;

use schemas::{
    Attributes, CredentialEvent, EventId, Format, InvalidId, Outcome, RejectReason, Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::identity::{Actor, Identity};
use self::parts::{Parts, Step};
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
    "CodeMismatch",
    "InvalidAuthenticationCode",
    "InvalidCredentials",
    "RequestTimeTooSkewed",
    "AccountProblem",
    "OptInRequired",
    "RegionDisabled",
    "SubscriptionRequired",
];
/// Those that mean it only where nothing else is said: a token may also be that of a page, and a grant one
/// of a key.
const REFUSALS_ALONE: &[&str] = &["InvalidToken", "InvalidGrant"];
/// What EC2 says where a request would have been granted, had it not asked to do nothing.
const DRY_RUN: &str = "DryRunOperation";

/// With which the identity centre lets a person into an account, as a role.
const FEDERATION: &str = "Federate";
/// The calls of its portal.
const PORTAL_CALLS: [&str; 7] = [
    FEDERATION,
    "GetRoleCredentials",
    "ListAccountRoles",
    "ListAccounts",
    "ListApplications",
    "ListProfilesForApplication",
    "Logout",
];
/// By which it gives out a token of its own.
const TOKEN: &str = "CreateToken";
/// The calls of Bedrock that only a model takes that answers in words.
const CONVERSATIONS: [&str; 2] = ["Converse", "ConverseStream"];
/// The category of the calls of what is there, such as a model.
const DATA: &str = "Data";
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
    #[serde(borrow, default, alias = "mcpeventdetails")]
    mcp_event_details: Option<&'a RawValue>,
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
    let parts = Parts::of(&record);
    let Some(identity) = &record.user_identity else { return Err(record.no_identity()) };
    let actor = Actor::of(identity, &record, &parts)?;
    let target = Target::of(&record, identity, &parts, redactor)?;
    let (outcome, outcome_reason) = record.outcome(&parts, redactor);
    let mut attributes = record.attributes(identity, &parts, redactor);
    // Who takes a role passes none, and does little else: such a request is not taken apart for it.
    let passing = record.request_parameters.filter(|_| record.service() != Some("sts"));
    let passed = passing.and_then(|request| passed::role(request.get()));
    if let Some(role) = passed.filter(|role| target.resource.as_ref() != Some(role)) {
        attributes.insert("passed_role", &redactor.before_cut(&role, Attributes::VALUE_BYTES_MAX));
    }
    let event_id = match record.event_id.get().or_else(|| record.uid.get()) {
        Some(text) => id::<EventId>("eventID", text)?,
        None => raw.position().event_id(),
    };
    Ok(CredentialEvent {
        event_id,
        time: record.time()?,
        source_ip: record.source_ip(&parts),
        user_agent: record.user_agent.owned(),
        action: record.action()?,
        outcome,
        outcome_reason,
        attributes,
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
        model: record.model(&parts, redactor),
        task_id: None,
        grant_id: None,
        amount: None,
        currency: None,
        labels: Vec::new(),
        format: Format::CloudTrail,
    })
}

/// Whether an error code means a refusal.
fn is_refusal(code: &str) -> bool {
    let alone = code.strip_suffix("Exception").unwrap_or(code);
    REFUSALS_ALONE.contains(&alone) || REFUSALS.iter().any(|refusal| code.contains(refusal))
}

fn no_agent() -> Fault {
    Fault::new(RejectReason::NoAgent, "wanted an identity in `userIdentity`, found none")
}

/// `text` as an id of the field `name`.
fn id<'a, T: TryFrom<&'a str, Error = InvalidId>>(name: &str, text: &'a str) -> Result<T, Fault> {
    T::try_from(text).map_err(|error| Fault::bad_field(format!("`{name}`: {error}")))
}

/// The beginning of a text, in words that may hold a secret: none is cut in two.
fn in_short(message: &str, redactor: &Redactor) -> String {
    let text = redactor.before_cut(message, ERROR_MESSAGE_BYTES_MAX);
    text[..text.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX)].to_owned()
}

impl Record<'_> {
    /// CloudTrail writes RFC 3339 in UTC, its exporters what they like.
    fn time(&self) -> Result<Timestamp, Fault> {
        let Some(text) = self.event_time.get() else {
            return Err(Fault::bad_field("wanted field `eventTime`, found none"));
        };
        time_of(text).map_err(|error| Fault::bad_field(format!("`eventTime`: {error}")))
    }

    fn no_identity(&self) -> Fault {
        let detail = match self.event_type.get() {
            Some("AwsCloudTrailInsight") => {
                "wanted a call, found an insight of CloudTrail into many"
            }
            Some("AwsAggregatedEvent") => "wanted a call, found a count of many by CloudTrail",
            Some(_) | None => return no_agent(),
        };
        Fault::new(RejectReason::NoAgent, detail)
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

    /// The service that was asked: `ec2` of `ec2.amazonaws.com`.
    fn service(&self) -> Option<&str> {
        self.event_source.get()?.split('.').next()
    }

    /// Whether somebody signs in to the console. Old records do not tell their type.
    fn is_console_sign_in(&self) -> bool {
        self.event_name.get() == Some("ConsoleLogin") || self.event_type.is("AwsConsoleSignIn")
    }

    /// Whether it is an event of the identity centre.
    fn is_of_identity_center(&self) -> bool {
        self.event_source
            .get()
            .is_some_and(|source| source == "signin.amazonaws.com" || source.starts_with("sso"))
    }

    /// Whether it is a call of the identity centre's portal, each of which takes the token of a sign-in.
    ///
    /// Source: AWS, *IAM Identity Center Portal API Reference*.
    fn is_of_portal(&self) -> bool {
        self.service() == Some("sso")
            && self.event_name.get().is_some_and(|name| PORTAL_CALLS.contains(&name))
    }

    /// The account and the role in it that the identity centre lets a person into, or shows them.
    fn let_into<'p, 'a>(&self, parts: &'p Parts<'a>) -> Option<&'p Step<'a>> {
        let is_let = self.event_name.is(FEDERATION) || self.is_of_portal();
        is_let.then_some(&parts.step)
    }

    /// The model that was called; in what is done to models none is. `InvokeModel` does not tell whether the
    /// model speaks for an agent or makes numbers of texts.
    fn model(&self, parts: &Parts<'_>, redactor: &Redactor) -> Option<String> {
        let talks = self.event_name.get().is_some_and(|name| CONVERSATIONS.contains(&name));
        let talked_to = parts.asked.model_id.get().filter(|_| talks);
        let model = parts.asked.model.get().filter(|_| self.event_category.is(DATA));
        model.or(talked_to).map(|model| in_short(model, redactor))
    }

    /// Whence it came; of a service's own event its details may tell.
    fn source_ip(&self, parts: &Parts<'_>) -> Option<IpAddr> {
        let told = self.source_ip_address.get().and_then(|text| text.parse().ok());
        told.or_else(|| parts.step.source_ip_address.get()?.parse().ok())
    }

    fn outcome(&self, parts: &Parts<'_>, redactor: &Redactor) -> (Outcome, Option<String>) {
        let outcome = match self.error_code.get() {
            Some(code) if is_refusal(code) => Outcome::Denied,
            Some(code) if code.ends_with(DRY_RUN) => Outcome::Success,
            _ if parts.is_refused() => Outcome::Denied,
            Some(_) => Outcome::Error,
            None => {
                // AWS describes an error only where there was one, and a service's own has no code.
                return match (parts.answered(redactor), self.error_message.get()) {
                    ((Outcome::Success, _), Some(message)) => {
                        (verdict::of_error(message), self.message(redactor))
                    }
                    (answered, _) => answered,
                };
            }
        };
        (outcome, self.error_code.owned().or_else(|| self.message(redactor)))
    }

    fn message(&self, redactor: &Redactor) -> Option<String> {
        self.error_message.get().map(|text| in_short(text, redactor))
    }

    fn attributes(
        &self,
        identity: &Identity<'_>,
        parts: &Parts<'_>,
        redactor: &Redactor,
    ) -> Attributes {
        let Parts { asked, answer, additional, invoked, .. } = parts;
        let into = self.let_into(parts);
        let issued = answer.credentials.as_ref().or(answer.access_key.as_ref());
        let source = self.source_ip_address.get();
        let recipient = self.recipient_account_id.get();
        let (provider, delegate) = (identity.federated_provider(), identity.delegate());
        let category = self.event_category.get().filter(|text| !USUAL_CATEGORIES.contains(text));
        let method = additional.authentication_method.get();
        let is_token = self.event_name.get().is_some_and(|name| name.starts_with(TOKEN));
        let message = self.message(redactor);
        let mut attributes = Attributes::default();
        for (name, value) in [
            // Of a signed URL, which others may use too.
            ("authentication_method", method.filter(|method| *method == "QueryString")),
            ("audit_context", asked.audit_context.additional.get()),
            ("aws_region", self.aws_region.get()),
            ("bearer_token_type", asked.bearer_token_type.get()),
            ("credential_type", additional.credential_type.get()),
            ("error_message", message.as_deref()),
            ("document", asked.document_name.get()),
            ("ec2_role_delivery", identity.ec2_role_delivery()),
            ("encryption_context", asked.encryption_context()),
            ("end_user", invoked.as_ref().and_then(|one| one.asked.end_user_arn.get())),
            ("event_category", category),
            ("event_type", self.event_type.get()),
            ("federated_account", into.and_then(|into| into.account_id.get())),
            ("federated_provider", provider.as_deref()),
            ("federated_role", into.and_then(|into| into.role_name.get())),
            ("grant_type", additional.grant_type.get()),
            ("group", asked.group_name.get()),
            ("assumed_root", identity.assumed_root()),
            ("identity_provider", identity.provider.get()),
            ("identity_store", identity.identity_store().or(additional.identity_store.get())),
            ("identity_type", identity.kind.get()),
            ("invoked_by", identity.invoked_by.get()),
            ("invoked_by_delegate", delegate.as_deref()),
            ("issued_access_key_id", issued.and_then(|key| key.access_key_id.get())),
            ("issued_credential_id", additional.credential_id.get().filter(|_| is_token)),
            ("issued_to", answer.assumed_role_user.as_ref().and_then(|user| user.arn.get())),
            ("issuer", additional.jwt.claims.iss.get().filter(|_| !answer.is_unauthorized())),
            ("mcp_tool", parts.tool()),
            ("mfa", identity.mfa()),
            ("mfa_used", additional.mfa_used.get()),
            ("on_behalf_of", identity.on_behalf_of()),
            ("policy", asked.policy_arn.get().or(asked.policy_name.get())),
            ("read_only", self.read_only.get()),
            ("recipient_account_id", recipient.filter(|id| Some(*id) != identity.account_id.get())),
            ("saml_provider", additional.saml_provider_arn.get()),
            ("session_credential_from_console", self.session_credential_from_console.get()),
            ("session_tags", asked.session_tags(self.service())),
            ("shared_event_id", self.shared_event_id.get()),
            (
                "sign_in_session",
                identity.sign_in_session().or(additional.sign_in_session_arn.get()),
            ),
            ("source_identity", identity.source_identity().or(asked.source_identity.get())),
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
