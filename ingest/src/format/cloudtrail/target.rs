//! [`Target`]: what was acted on, and who is on the other side.
//!
//! Invariant: best effort and never a reason to reject, but for a parameter that stands twice. The
//! counterparty is the server of a tool or the client that a user lets in, else an account other than the
//! agent's own, else the S3 bucket, else nothing.

use std::borrow::Cow;
use std::fmt;

use schemas::CounterpartyId;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::identity::Identity;
use super::parts::Parts;
use super::text::Text;
use super::{Fault, Record};
use crate::Redactor;

/// Longest resource that is kept, as long as an ARN may be.
const RESOURCE_BYTES_MAX: usize = 2_048;
/// An AWS account id has so many digits.
const ACCOUNT_DIGITS: usize = 12;

/// Parameters that name a resource, the most telling first, with the kind of the resource.
const PARAMETERS: &[(&str, &str)] = &[
    ("bucketName", "s3_bucket"),
    ("roleArn", "iam_role"),
    ("secretId", "secret"),
    ("functionName", "lambda_function"),
    ("userName", "iam_user"),
    ("roleName", "iam_role"),
    ("groupName", "iam_group"),
    ("instanceProfileName", "instance_profile"),
    ("instanceId", "ec2_instance"),
    ("snapshotId", "ebs_snapshot"),
    ("volumeId", "ebs_volume"),
    ("imageId", "machine_image"),
    ("dBSnapshotIdentifier", "db_snapshot"),
    ("dBInstanceIdentifier", "db_instance"),
    ("dBClusterIdentifier", "db_cluster"),
    ("keyId", "kms_key"),
    ("tableName", "table"),
    ("tableArn", "table"),
    ("repositoryName", "repository"),
    ("queueUrl", "queue"),
    ("topicArn", "topic"),
    ("streamName", "stream"),
    ("logGroupName", "log_group"),
    ("trailName", "trail"),
    ("clusterName", "cluster"),
    ("stackName", "stack"),
    ("certificateArn", "certificate"),
    ("documentName", "document"),
    ("modelId", "model"),
    ("agentRuntimeArn", "agent_runtime"),
    ("workloadName", "workload_identity"),
    ("resourceCredentialProviderName", "credential_provider"),
    ("resourceArn", "resource"),
    ("policyArn", "iam_policy"),
    ("groupId", "security_group"),
    ("networkAclId", "network_acl"),
    ("routeTableId", "route_table"),
    ("internetGatewayId", "internet_gateway"),
    ("subnetId", "subnet"),
    ("vpcId", "vpc"),
    ("resourceId", "resource"),
    ("resource", "resource"),
    ("name", "named"),
];

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
                serde_json::from_str(json).map_err(|error| Fault::of_json(&error))?
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
        let client = || Some((parts.asked.client.get()?, "oauth_client"));
        let account = || Some((other_account(record, identity)?, "aws_account"));
        if let Some((id, kind)) = server.or_else(client).or_else(account) {
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

/// The names of these parameters, and of the key of an S3 object.
pub(super) fn parameters() -> impl Iterator<Item = &'static str> {
    PARAMETERS.iter().map(|(name, _)| *name).chain(["key"])
}

/// The parameters of a request that name something.
#[derive(Debug, Default)]
struct Parameters<'a> {
    /// Index in [`PARAMETERS`] and value of the most telling one.
    best: Option<(usize, Text<'a>)>,
    /// The key of an S3 object.
    key: Text<'a>,
}

impl Parameters<'_> {
    fn bucket(&self) -> Option<&str> {
        match &self.best {
            Some((0, bucket)) => bucket.get(),
            Some(_) | None => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Parameters<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters<'de>, A::Error> {
        let mut found = Parameters::default();
        // One bit for each parameter that was seen, and one for the key.
        let mut seen = 0_u64;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let name = name.get().unwrap_or_default();
            let known = PARAMETERS.iter().position(|(known, _)| *known == name);
            let Some(at) = known.or((name == "key").then_some(PARAMETERS.len())) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << at) != 0 {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            seen |= 1 << at;
            let value: Text<'de> = map.next_value()?;
            if at == PARAMETERS.len() {
                found.key = value;
            } else if value.get().is_some()
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
        return Some(match parameters.key.get() {
            Some(key) => (format!("arn:aws:s3:::{bucket}/{key}").into(), "s3_object".into()),
            None => (format!("arn:aws:s3:::{bucket}").into(), "s3_bucket".into()),
        });
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
    if let Some((at, value)) = &parameters.best {
        return Some((value.get()?.into(), PARAMETERS[*at].1.into()));
    }
    // Start, stop and terminate name their instances one level deeper.
    let json = record.request_parameters?.get();
    let (_, rest) = json.split_once("\"instancesSet\"")?.1.split_once("\"instanceId\"")?;
    Some((rest.split('"').nth(1)?.to_owned().into(), "ec2_instance".into()))
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

fn is_account(text: &str) -> bool {
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
