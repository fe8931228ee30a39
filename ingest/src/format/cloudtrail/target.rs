//! [`Target`]: what was acted on, and who is on the other side.
//!
//! Invariant: best effort and never a reason to reject, but for a parameter that stands twice. The
//! counterparty is the server of a tool or the client that a user lets in, else everyone who is let in, else
//! an account other than the agent's own, else the S3 bucket, else nothing.

use std::borrow::Cow;
use std::fmt;

use schemas::CounterpartyId;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::everyone::is_given_to_everyone;
use super::identity::Identity;
use super::parts::{MCP_EVENT, Parts};
use super::text::Text;
use super::{Fault, Record, named};
use crate::Redactor;

/// Longest resource that is kept, as long as an ARN may be.
const RESOURCE_BYTES_MAX: usize = 2_048;
/// An AWS account id has so many digits.
const ACCOUNT_DIGITS: usize = 12;

/// Parameters that name a resource, the most telling first: in the requests of which service, with the kind of
/// the resource.
const PARAMETERS: &[(&str, &str, &str)] = &[
    (ANY, "bucketName", "s3_bucket"),
    ("sts", "roleArn", "iam_role"),
    ("rolesanywhere", "roleArn", "iam_role"),
    (ANY, "secretId", "secret"),
    (ANY, "functionName", "lambda_function"),
    ("iam", "userName", "iam_user"),
    ("iam", "roleName", "iam_role"),
    ("iam", "groupName", "iam_group"),
    ("cognito-idp", "groupName", "group"),
    ("sso-directory", "groupId", "group"),
    ("identitystore", "groupId", "group"),
    ("ec2", "groupName", "security_group"),
    (ANY, "instanceProfileName", "instance_profile"),
    (ANY, "instanceId", "ec2_instance"),
    (ANY, "snapshotId", "ebs_snapshot"),
    (ANY, "volumeId", "ebs_volume"),
    (ANY, "imageId", "machine_image"),
    (ANY, "dBSnapshotIdentifier", "db_snapshot"),
    (ANY, "dBInstanceIdentifier", "db_instance"),
    (ANY, "dBClusterIdentifier", "db_cluster"),
    (ANY, "keyId", "kms_key"),
    (ANY, "tableName", "table"),
    (ANY, "tableArn", "table"),
    (ANY, "repositoryName", "repository"),
    (ANY, "queueUrl", "queue"),
    (ANY, "topicArn", "topic"),
    (ANY, "streamName", "stream"),
    (ANY, GROUP, "log_group"),
    (ANY, "trailName", "trail"),
    (ANY, "clusterName", "cluster"),
    (ANY, "stackName", "stack"),
    (ANY, "certificateArn", "certificate"),
    ("ssm", "instanceIds", "ec2_instance"),
    (ANY, "documentName", "document"),
    (ANY, "modelId", "model"),
    ("bedrock-mantle", "model", "model"),
    (ANY, "agentRuntimeArn", "agent_runtime"),
    (ANY, "workloadName", "workload_identity"),
    (ANY, "resourceCredentialProviderName", "credential_provider"),
    (ANY, "resourceArn", "resource"),
    ("iam", "policyArn", "iam_policy"),
    ("ec2", "groupId", "security_group"),
    ("ec2", "networkAclId", "network_acl"),
    ("ec2", "routeTableId", "route_table"),
    ("ec2", "internetGatewayId", "internet_gateway"),
    ("ec2", "subnetId", "subnet"),
    ("ec2", "vpcId", "vpc"),
    ("ecs", "task", "ecs_task"),
    ("ecs", "serviceName", "ecs_service"),
    ("ecs", "service", "ecs_service"),
    ("ecs", "taskDefinition", "task_definition"),
    ("ecs", "family", "task_definition"),
    ("ecs", "cluster", "cluster"),
    ("ssm", "target", "session_target"),
    ("s3", "target", "s3_location"),
    ("athena", "workGroup", "work_group"),
    ("events", "rule", "rule"),
    ("ec2", "keyName", "key_pair"),
    ("iam", "aWSServiceName", "aws_service"),
    ("sso", "permissionSetArn", "permission_set"),
    (ANY, "resourceId", "resource"),
    (ANY, "resource", "resource"),
    ("eks", "name", "cluster"),
    (ANY, "name", NAMED),
];
/// What a bare `name` names: an ARN tells more.
const NAMED: &str = "named";
/// One bit for each and one more.
const _: () = assert!(PARAMETERS.len() < u128::BITS as usize, "each parameter has a bit");
/// Whatever the service.
const ANY: &str = "";
/// The event whose parameters name where it happens, and not what is made.
const RUN: &str = "RunInstances";

/// The key of an object of S3.
const OBJECT: &str = "key";
/// A group of logs, and a stream of one.
const GROUP: &str = "logGroupName";
const STREAM: &str = "logStreamName";
/// The event that gives access to a part of a bucket, by a grant of which `resources` names the list alone.
const GRANT: &str = "GetDataAccess";

/// What was acted on, and with whom.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) resource: Option<String>,
    pub(super) resource_kind: Option<String>,
    pub(super) counterparty_id: Option<CounterpartyId>,
    pub(super) counterparty_kind: Option<String>,
}

impl Target {
    pub(super) fn of(
        record: &Record<'_>,
        identity: &Identity<'_>,
        parts: &Parts<'_>,
        redactor: &Redactor,
    ) -> Result<Self, Fault> {
        let parameters = match record.request_parameters.map(RawValue::get) {
            Some(json) if json.starts_with('{') => {
                let names = Names { service: record.service() };
                let read = names.deserialize(&mut serde_json::Deserializer::from_str(json));
                read.map_err(|error| Fault::of_json(&error))?
            }
            Some(_) | None => Parameters::default(),
        };
        let mut target = Self::default();
        if let Some((resource, kind)) = resource(record, &parameters, parts) {
            let resource = redactor.before_cut(&resource, RESOURCE_BYTES_MAX);
            target.resource =
                Some(resource[..resource.floor_char_boundary(RESOURCE_BYTES_MAX)].to_owned());
            target.resource_kind = Some(kind.into_owned());
        }
        let server = parts.mcp.mcp_server_name.get().map(|name| (name, "mcp_server"));
        let connector = || {
            let asked = &parts.invoked.as_ref()?.asked;
            Some((asked.action_connector_id.get()?, "action_connector"))
        };
        let client = || Some((parts.asked.client.get()?, "oauth_client"));
        let request = record.request_parameters.map_or("", RawValue::get);
        let everyone = || is_given_to_everyone(request).then_some(("*", "everyone"));
        let into = record.let_into(parts);
        let account = || {
            let told = other_account(record, identity);
            let is_other = |account: &&str| Some(*account) != identity.account_id.get();
            let told = told.or_else(|| into?.account_id.get().filter(is_other));
            Some((told?, "aws_account"))
        };
        if let Some((id, kind)) =
            server.or_else(connector).or_else(client).or_else(everyone).or_else(account)
        {
            target.counterparty_id = CounterpartyId::try_from(id).ok();
            target.counterparty_kind = Some(kind.to_owned());
        } else if let Some(bucket) = parameters.bucket() {
            target.counterparty_id =
                CounterpartyId::try_from(format!("arn:aws:s3:::{bucket}")).ok();
            target.counterparty_kind = Some("s3_bucket".to_owned());
        }
        if target.counterparty_id.is_none() {
            target.counterparty_kind = None;
        }
        Ok(target)
    }
}

/// The names of these parameters, and of what is a part of what they name.
pub(super) fn parameters() -> impl Iterator<Item = &'static str> {
    PARAMETERS.iter().map(|(_, name, _)| *name).chain([OBJECT, STREAM])
}

/// How telling the parameter `name` is in the requests of `service`, and the kind of what it names; `None` of
/// one that is not usual.
pub(super) fn usual(service: Option<&str>, name: &str) -> Option<(usize, &'static str)> {
    let is_of = |of: &str| of == ANY || service.is_none_or(|service| service == of);
    let at = PARAMETERS.iter().position(|(of, known, _)| *known == name && is_of(of))?;
    Some((at, PARAMETERS[at].2))
}

/// The parameters of a request that name something.
#[derive(Debug, Default)]
struct Parameters<'a> {
    /// Index in [`PARAMETERS`] and value of the most telling one.
    best: Option<(usize, Text<'a>)>,
    /// The key of an S3 object, or a stream of a group of logs.
    part: Text<'a>,
}

impl Parameters<'_> {
    fn bucket(&self) -> Option<&str> {
        match &self.best {
            Some((0, bucket)) => bucket.get(),
            Some(_) | None => None,
        }
    }
}

/// Reads the parameters of a request to a service.
struct Names<'s> {
    service: Option<&'s str>,
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = Parameters<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = Parameters<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters<'de>, A::Error> {
        let mut found = Parameters::default();
        let part = if self.service == Some("logs") { STREAM } else { OBJECT };
        // One bit for each parameter that was seen, and one for the part.
        let mut seen = 0_u128;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let name = name.get().unwrap_or_default();
            let known = usual(self.service, name).map(|(at, _)| at);
            let Some(at) = known.or((name == part).then_some(PARAMETERS.len())) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << at) != 0 {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            seen |= 1 << at;
            let value: Text<'de> = map.next_value()?;
            if at == PARAMETERS.len() {
                found.part = value;
            } else if value.get().is_some_and(named::is_told)
                && found.best.as_ref().is_none_or(|(best, _)| at < *best)
            {
                found.best = Some((at, value));
            }
        }
        Ok(found)
    }
}

/// One entry of `resources`.
#[derive(Debug, Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default, rename = "ARN", alias = "arn")]
    arn: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
}

fn resource<'a>(
    record: &Record<'_>,
    parameters: &'a Parameters<'_>,
    parts: &'a Parts<'_>,
) -> Option<(Cow<'a, str>, Cow<'static, str>)> {
    if let Some(bucket) = parameters.bucket() {
        return Some(match parameters.part.get() {
            Some(key) => (format!("arn:aws:s3:::{bucket}/{key}").into(), "s3_object".into()),
            None => (format!("arn:aws:s3:::{bucket}").into(), "s3_bucket".into()),
        });
    }
    if let Some(action) = parts.invoked.as_ref().and_then(|one| one.asked.action_id.get()) {
        return Some((action.into(), "action".into()));
    }
    if let Some(account) = parts.status.as_ref().and_then(|status| status.account.as_deref()) {
        return Some((account.into(), "aws_account".into()));
    }
    if let Some(role) = record.let_into(parts).and_then(|into| into.role_name.get()) {
        return Some((role.into(), "iam_role".into()));
    }
    if let (Some(GRANT), Some((at, target))) = (record.event_name.get(), &parameters.best) {
        return Some((target.get()?.into(), PARAMETERS[*at].2.into()));
    }
    let resources = record.resources.map_or("[]", RawValue::get);
    let resources: Vec<Resource<'_>> = serde_json::from_str(resources).unwrap_or_default();
    if let Some(first) = resources.iter().find(|resource| resource.arn.get().is_some()) {
        let kind = first.kind.owned().map_or("resource".into(), Cow::Owned);
        return Some((first.arn.owned()?.into(), kind));
    }
    if let Some(tool) = parts.tool() {
        return Some((tool.into(), "mcp_tool".into()));
    }
    let best = parameters.best.as_ref().filter(|_| record.event_name.get() != Some(RUN));
    if let Some((at, value)) = best {
        if PARAMETERS[*at].2 == NAMED
            && let Some((arn, kind)) = named::by_arn(record)
        {
            return Some((arn.into(), kind.into()));
        }
        if let ((_, GROUP, _), Some(stream)) = (PARAMETERS[*at], parameters.part.get()) {
            // As the ARN of a stream ends.
            let group = value.get()?;
            return Some((format!("{group}:log-stream:{stream}").into(), "log_stream".into()));
        }
        return Some((value.get()?.into(), PARAMETERS[*at].2.into()));
    }
    // The request and answer of a tool are not AWS's own.
    if record.event_type.get() == Some(MCP_EVENT) {
        return None;
    }
    let secret = || Some((parts.additional.secret_id.get()?.into(), "secret".into()));
    let named = named::resource(record);
    named.map(|(resource, kind)| (resource.into(), kind.into())).or_else(secret)
}

/// The first account in the record that is not the agent's.
fn other_account<'a>(record: &'a Record<'_>, identity: &'a Identity<'_>) -> Option<&'a str> {
    let recipient = record.recipient_account_id.get();
    let own = identity.account_id.get().or(recipient)?;
    if let Some(recipient) =
        recipient.filter(|recipient| is_account(recipient) && *recipient != own)
    {
        return Some(recipient);
    }
    let places = [record.request_parameters, record.resources];
    places.into_iter().flatten().find_map(|json| other_account_in(json.get(), own))
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first account id other than `own` that is a whole text or a part of an ARN.
fn other_account_in<'a>(json: &'a str, own: &str) -> Option<&'a str> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = at + digits;
        if digits == ACCOUNT_DIGITS
            && at.checked_sub(1).is_some_and(|before| matches!(bytes[before], b'"' | b':'))
            && matches!(bytes.get(end), Some(b'"' | b':' | b'\\'))
            && json[at..end] != *own
        {
            return Some(&json[at..end]);
        }
        at = end + 1;
    }
    None
}
