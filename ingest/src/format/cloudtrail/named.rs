//! [`resource`]: what a record names where none of the usual parameters does: what the event's own name is
//! about, as `agentRuntimeId` is of `CreateAgentRuntime`, else the first id, name or ARN of the request, else
//! what the answer tells with an ARN.
//!
//! Invariant: who asks, for whom, with which token and out of which page is no resource, unless the event's
//! name is about nothing else; and a role or a key that is passed is one only where nothing else is named.
//!
//! Sources: AWS, *CloudTrail record contents*; *Troubleshoot access denied error messages* (IAM); *Amazon
//! Resource Names (ARNs)*.

use std::ops::Range;

use serde_json::value::RawValue;

use super::super::json::Json;
use super::super::words::{kebab, letters, snake};
use super::Record;
use super::target::{is_account, usual};

/// How the name of a parameter ends that names something, what is most telling first.
const ENDS: [&str; 8] = ["arn", "arns", "identifier", "id", "identifiers", "ids", "name", "names"];
/// How those begin what they end with under which stands who asks or for whom, or how one call is told from
/// another.
const NO_RESOURCES: &[&str] = &[
    "account",
    "actor",
    "attribute",
    "caller",
    "catalog",
    "challenge",
    "client",
    "column",
    "correlation",
    "display",
    "event",
    "external",
    "field",
    "first",
    "full",
    "grant",
    "holder",
    "host",
    "idempotency",
    "identity",
    "last",
    "locale",
    "member",
    "message",
    "metric",
    "owner",
    "parent",
    "principal",
    "region",
    "registry",
    "request",
    "requester",
    "sender",
    "service",
    "session",
    "tag",
    "token",
    "trace",
    "transaction",
    "user",
    "version",
];
/// The same of what is given to what is made or called.
const PASSED: [&str; 2] = ["key", "role"];
/// Objects of EC2, of gateways and of Organizations that have the parameters in them.
const AROUND: [&str; 5] = ["set", "request", "input", "response", "summary"];
/// Verbs of events that make something.
const MAKING: [&str; 8] =
    ["allocate", "clone", "copy", "create", "import", "register", "restore", "run"];
/// Those of events that start or call something that is there.
const CALLING: [&str; 3] = ["Invoke", "Run", "Start"];
/// What stands before a verb, and what behind these is no more what the event is about.
const BEFORE_VERB: [&str; 2] = ["admin", "batch"];
const BEHIND: [&str; 8] = ["as", "by", "for", "from", "in", "on", "to", "with"];
/// What stands in a denial before the resource.
const DENIED_ON: &str = "on resource: ";
/// Most words of an event's name that are looked at.
const WORDS_MAX: usize = 8;
/// An object without fields.
const NOTHING: &str = "{}";
/// Objects in objects that are looked into.
const LEVELS_MAX: usize = 3;

/// A resource and its kind.
type Resource = (String, String);

/// The resource that the denial tells, else what the event is about, else the first that the request names.
pub(super) fn resource(record: &Record<'_>) -> Option<Resource> {
    if let Some(denied) = denied_on(record) {
        return Some(denied);
    }
    let told = |json: &&RawValue| NOTHING.len() < json.get().len();
    let parts = [record.request_parameters, record.service_event_details, record.response_elements];
    let parts = parts.map(|part| part.filter(told));
    if parts.iter().all(Option::is_none) {
        return None;
    }
    let (about, service) = (About::of(record.event_name.get()?), record.service());
    let trees = parts.map(|part| part.map_or(Json::Null, tree));
    let [asked, details, answer] = trees.each_ref().map(|tree| AllNamed::of(tree, &about));
    let of_event = |all: &AllNamed<'_>| all.of_event(&about, service);
    let made = if about.is_made { of_event(&answer) } else { None };
    let nearest = [of_event(&asked), of_event(&details), made].into_iter().flatten();
    nearest
        .min_by_key(|(far, _)| *far)
        .or_else(|| Some((usize::MAX, asked.first(service)?)))
        .or_else(|| of_event(&answer))
        .map(|(_, found)| found)
        .or_else(|| of_answer(&trees[2]))
}

/// What the answer tells with an ARN of its own, as it does a handshake of Organizations.
fn of_answer(answer: &Json<'_>) -> Option<Resource> {
    answer.fields().iter().find_map(|(name, one)| {
        let letters = letters(name);
        let is_other = NO_RESOURCES.iter().chain(&PASSED).any(|end| letters.ends_with(end));
        let arn = one.fields().iter().find(|(name, _)| name == "arn" && !is_other)?.1.as_text()?;
        Some((arn.to_owned(), snake(name)))
    })
}

/// The ARN of what is made, which the answer tells, or of what is started or called; where a request names it
/// by no more than a `name`.
pub(super) fn by_arn(record: &Record<'_>) -> Option<Resource> {
    let event = record.event_name.get()?;
    if CALLING.iter().any(|verb| event.starts_with(verb)) {
        let tree = record.request_parameters.map(tree)?;
        return AllNamed::of(&tree, &About::of(event)).arn();
    }
    let tree = record.response_elements.map(tree)?;
    let about = About::of(event);
    let (far, made) = AllNamed::of(&tree, &about).of_event(&about, record.service())?;
    // `recordArn` is that of what `CreateRegistryRecord` makes.
    (about.is_made && far < 2 && kind_of_arn(&made.0).is_some()).then_some(made)
}

fn tree(json: &RawValue) -> Json<'_> {
    Json::parse(json.get()).unwrap_or(Json::Null)
}

/// The ARN in a denial of IAM: `… is not authorized to perform: X on resource: arn:…`.
fn denied_on(record: &Record<'_>) -> Option<Resource> {
    let (_, behind) = record.error_message.get()?.split_once(DENIED_ON)?;
    let arn = behind.split_whitespace().next()?.trim_matches(['"', '\'', ',', '.']);
    Some((arn.to_owned(), kind_of_arn(arn)?))
}

/// What the resource of an ARN is: `lambda_function`, `iam_role`.
fn kind_of_arn(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, service, _, _, resource] = parts[..] else { return None };
    Some(match (service, resource.split_once(['/', ':'])) {
        ("s3", None) => "s3_bucket".to_owned(),
        ("s3", Some(_)) => "s3_object".to_owned(),
        (_, Some((kind, _))) => format!("{service}_{}", snake(kind)),
        (_, None) => "resource".to_owned(),
    })
}

/// One of several.
fn singular(word: &str) -> String {
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        // As `address`, `status`, `analysis` and `alias`.
        (None, Some(stem)) if !stem.ends_with(['i', 's', 'u']) && word != "alias" => {
            stem.to_owned()
        }
        _ => word.to_owned(),
    }
}

/// What an event is about: `agent-runtime` of `CreateAgentRuntime`.
#[derive(Debug)]
struct About {
    words: Vec<String>,
    /// The letters of some of the words that stand together, where they are, and how far they are from all:
    /// 0 where they are all, then the last ones, the first, others.
    spans: Vec<(String, Range<usize>, usize)>,
    /// Whether something is made, of which the answer tells.
    is_made: bool,
}

impl About {
    fn of(event: &str) -> Self {
        let words = kebab(event);
        let mut words = words.split('-').skip_while(|word| BEFORE_VERB.contains(word));
        let is_made = words.next().is_some_and(|verb| MAKING.contains(&verb));
        let words = words.take_while(|word| !BEHIND.contains(word)).take(WORDS_MAX);
        let words: Vec<String> = words.map(str::to_owned).collect();
        let count = words.len();
        let spans = (0..count).flat_map(|start| (start + 1..=count).map(move |end| start..end));
        let spans = spans.map(|at| {
            let far = usize::from(at.end != count) * 2 + usize::from(at.start != 0);
            (singular(&words[at.clone()].concat()), at, far)
        });
        let mut spans: Vec<_> = spans.collect();
        spans.sort_by_key(|(.., far)| *far);
        Self { words, spans, is_made }
    }

    /// The words that `letters` are, and how far they are from all.
    fn nearest(&self, letters: &str) -> Option<(usize, Range<usize>)> {
        let letters = singular(letters);
        let (_, at, far) = self.spans.iter().find(|(span, ..)| *span == letters)?;
        Some((*far, at.clone()))
    }

    fn kind(&self, at: Range<usize>) -> String {
        self.words[at].iter().map(|word| singular(word)).collect::<Vec<_>>().join("_")
    }
}

/// A field that names something.
#[derive(Debug)]
struct Named<'j> {
    name: &'j str,
    /// The letters of the name without its end: whose name it is. Empty where the thing itself is meant.
    stem: String,
    /// Its end, as a place in [`ENDS`].
    end: usize,
    /// Whether the end is a word of its own.
    is_word: bool,
    value: &'j str,
}

#[derive(Debug, Default)]
struct AllNamed<'j>(Vec<Named<'j>>);

impl<'j> AllNamed<'j> {
    /// The fields of `tree` that name something, with those in the objects around them.
    fn of(tree: &'j Json<'_>, about: &About) -> Self {
        let mut all = Self::default();
        all.gather(tree, about, true, LEVELS_MAX);
        all
    }

    /// Whether a name without a stem is that of what the event is about.
    fn gather(&mut self, tree: &'j Json<'_>, about: &About, is_own: bool, levels: usize) {
        for (name, value) in tree.fields() {
            let words = kebab(name);
            let letters = words.replace('-', "");
            // So EC2 writes a text beside what it says of it.
            let is_plain = value.fields().iter().all(|(_, one)| one.as_text().is_some());
            let whole = value.at("content").filter(|_| is_plain).unwrap_or(value);
            if let Some(value) = whole.as_text() {
                // `secretIdList`, of which the first is told.
                let letters = letters.strip_suffix("list").unwrap_or(&letters);
                let end = ENDS.iter().position(|end| letters.ends_with(end));
                let Some((end, stem)) =
                    end.and_then(|end| Some((end, letters.strip_suffix(ENDS[end])?)))
                else {
                    continue;
                };
                let words = words.strip_suffix("-list").unwrap_or(&words);
                let is_word = words.rsplit('-').next() == Some(ENDS[end]);
                if is_told(value) && (is_own || !stem.is_empty()) {
                    let stem = stem.to_owned();
                    self.0.push(Named { name, stem, end, is_word, value });
                }
            } else if levels != 0 {
                let is_around = AROUND.iter().any(|end| letters.ends_with(end));
                // The last of its words: what stands before them may be what is passed.
                let is_about = about.nearest(&letters).is_some_and(|(far, _)| far < 2);
                if is_around || is_about {
                    let items = value.at("items").unwrap_or(value);
                    let one = if let Json::List(all) = items { all.first() } else { Some(items) };
                    let is_own = is_about || (is_own && !letters.ends_with("set"));
                    if let Some(one) = one {
                        self.gather(one, about, is_own, levels - 1);
                    }
                }
            }
        }
    }

    /// What the event is about, and how far its name is from all of that.
    fn of_event(&self, about: &About, service: Option<&str>) -> Option<(usize, Resource)> {
        let all = self.0.iter().filter_map(|one| {
            let is_bare = one.stem.is_empty();
            let (far, at) = if is_bare { (0, 0..0) } else { about.nearest(&one.stem)? };
            let is_one = far == 0 || !one.is_of(NO_RESOURCES) && !one.is_of(&PASSED);
            is_one.then_some(((far, is_bare, one.end), at, one))
        });
        let ((far, ..), at, one) = all.min_by_key(|(place, ..)| *place)?;
        // What stands before the last words says more of the same.
        let at = if far < 2 { 0..about.words.len() } else { at };
        let usual = one.usual(service).filter(|_| !one.stem.is_empty());
        let kind = usual.map(|(_, kind)| kind.to_owned());
        Some((far, (one.value.to_owned(), kind.unwrap_or_else(|| about.kind(at)))))
    }

    /// The first ARN of what a request is for.
    fn arn(&self) -> Option<Resource> {
        let mut arns = self.0.iter().filter(|one| one.is_word && ENDS[one.end] == "arn");
        let is_told = |one: &&Named<'_>| {
            !one.stem.is_empty() && !one.is_of(NO_RESOURCES) && !one.is_of(&PASSED)
        };
        arns.find(is_told).map(|one| (one.value.to_owned(), one.kind()))
    }

    /// The first that a request names, one of a usual name before the others and what is passed last.
    fn first(&self, service: Option<&str>) -> Option<Resource> {
        let all = self.0.iter().filter(|one| {
            one.is_word
                && !one.is_of(NO_RESOURCES)
                && !one.stem.is_empty()
                && !one.value.contains(char::is_whitespace)
                && !is_account(one.value)
        });
        let place = |one: &Named<'_>| one.usual(service).map_or(usize::MAX, |(place, _)| place);
        let one = all.min_by_key(|one| (one.is_of(&PASSED), place(one)))?;
        let kind = match (one.usual(service), kind_of_arn(one.value)) {
            (Some((_, kind)), _) => kind.to_owned(),
            (None, Some(kind)) if one.is_of(&PASSED) => kind,
            (None, _) => one.kind(),
        };
        Some((one.value.to_owned(), kind))
    }
}

impl Named<'_> {
    fn is_of(&self, ends: &[&str]) -> bool {
        ends.iter().any(|end| self.stem.ends_with(end))
    }

    /// How telling it is among the usual parameters, and its kind. A part of EC2's writes their first letter
    /// large.
    fn usual(&self, service: Option<&str>) -> Option<(usize, &'static str)> {
        let is_large = service == Some("ec2");
        let name = if is_large {
            with_first(self.name, |first| first.to_ascii_lowercase())
        } else {
            self.name.to_owned()
        };
        usual(service, &name)
    }

    /// `state_machine` of `stateMachineArn`, `db_cluster` of `dBClusterArn`.
    fn kind(&self) -> String {
        let words = snake(&with_first(self.name, |first| first.to_ascii_uppercase()));
        let words = words.strip_suffix("_list").unwrap_or(&words);
        words.strip_suffix(ENDS[self.end]).unwrap_or(words).trim_end_matches('_').to_owned()
    }
}

/// A name with its first letter changed.
fn with_first(name: &str, change: fn(char) -> char) -> String {
    let mut letters = name.chars();
    letters.next().map(change).into_iter().chain(letters).collect()
}

/// Whether a value is one, and not what stands for one that AWS hides.
pub(super) fn is_told(value: &str) -> bool {
    !value.starts_with("HIDDEN_DUE_TO") && !value.bytes().all(|byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(record: &serde_json::Value) -> Option<(String, String)> {
        let json = record.to_string();
        resource(&serde_json::from_str::<Record<'_>>(&json).unwrap())
    }

    #[test]
    fn a_resource_is_what_the_name_of_the_event_is_about_else_the_first_that_is_named() {
        for (name, request, wanted) in [
            ("DeleteAgentRuntime", r#"{"agentRuntimeId":"a"}"#, Some(("a", "agent_runtime"))),
            ("UpdateAgent", r#"{"agentName":"n","agentId":"a"}"#, Some(("a", "agent"))),
            ("InvokeAgent", r#"{"agentAliasId":"b","agentId":"a"}"#, Some(("a", "agent"))),
            ("AdminCreateUser", r#"{"userPoolId":"p","username":"u"}"#, Some(("u", "user"))),
            ("AdminInitiateAuth", r#"{"clientId":"c","userPoolId":"p"}"#, Some(("p", "user_pool"))),
            ("StopSession", r#"{"sessionId":"s","browserIdentifier":"b"}"#, Some(("s", "session"))),
            ("ChatSync", r#"{"userId":"u","applicationId":"a"}"#, Some(("a", "application"))),
            ("DescribeVpcs", r#"{"vpcSet":{"items":[{"vpcId":"v"}]}}"#, Some(("v", "vpc"))),
            ("CreateRestApi", r#"{"createRestApiInput":{"name":"x"}}"#, Some(("x", "rest_api"))),
            (
                "DeleteFlowLogs",
                r#"{"R":1,"DeleteFlowLogsRequest":{"FlowLogId":{"tag":1,"content":"f"}}}"#,
                Some(("f", "flow_log")),
            ),
            ("PutRecorder", r#"{"recorder":{"name":"d","roleARN":"r"}}"#, Some(("d", "recorder"))),
            ("GetParameters", r#"{"names":["/a","/b"]}"#, Some(("/a", "parameter"))),
            ("BatchGetValue", r#"{"secretIdList":["s","t"]}"#, Some(("s", "secret"))),
            ("RespondToAuthChallenge", r#"{"challengeName":"SMS_MFA"}"#, None),
            (
                "ReplaceProfileAssociation",
                r#"{"Request":{"AssociationId":"i","Profile":{"Name":"p"}}}"#,
                Some(("i", "profile_association")),
            ),
            ("StartExecution", r#"{"stateMachineArn":"m"}"#, Some(("m", "state_machine"))),
            (
                "AuthorizeDBSecurityGroupIngress",
                r#"{"dBSecurityGroupName":"g"}"#,
                Some(("g", "db_security_group")),
            ),
            (
                "CreateThing",
                r#"{"roleArn":"arn:aws:iam::1:role/r","kmsKeyId":"k","poolId":"p"}"#,
                Some(("p", "pool")),
            ),
            (
                "CreateThing",
                r#"{"roleArn":"arn:aws:iam::1:role/r"}"#,
                Some(("arn:aws:iam::1:role/r", "iam_role")),
            ),
            ("ListThings", r#"{"nextToken":"t","maxResults":5,"marker":"m"}"#, None),
            (
                "ListThings",
                r#"{"filterSet":{"items":[{"name":"user-id","valueSet":{"items":[{"value":"u"}]}}]}}"#,
                None,
            ),
            (
                "ListThings",
                r#"{"ownerId":"o","accountId":"111122223333","userId":"u","principalArn":"arn:aws:iam::1:user/u"}"#,
                None,
            ),
            (
                "CreateThing",
                r#"{"clientRequestToken":"t","clientToken":"t","requestId":"r","registryId":"i"}"#,
                None,
            ),
            ("SetContactAddress", r#"{"fullName":"A B","companyName":"C D"}"#, None),
            ("ExecuteCommand", r#"{"command":"sh -c x","input":"y"}"#, None),
            ("CreateUser", r#"{"userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#, None),
            ("CreateAlias", r#"{"targetKeyId":"k","aliasName":"a"}"#, Some(("a", "alias"))),
            ("Things", "{}", None),
        ] {
            let request: serde_json::Value = serde_json::from_str(request).unwrap();
            let found = found(&serde_json::json!({
                "eventName": name, "eventSource": "x.amazonaws.com", "requestParameters": request,
            }));
            let found = found.as_ref().map(|(resource, kind)| (resource.as_str(), kind.as_str()));
            assert_eq!(found, wanted, "{name} {request}");
        }
    }

    #[test]
    fn an_arn_tells_more_than_a_name() {
        for (name, request, answer, wanted) in [
            (
                "StartExecution",
                r#"{"name":"n","roleArn":"r","stateMachineArn":"m"}"#,
                r#"{"executionArn":"e"}"#,
                Some(("m", "state_machine")),
            ),
            ("StartCrawler", r#"{"name":"n","roleArn":"r","kmsKeyArn":"k"}"#, "{}", None),
            (
                "CreateStateMachine",
                r#"{"name":"n","roleArn":"r"}"#,
                r#"{"stateMachineArn":"arn:aws:states:eu-west-1:1:stateMachine:n"}"#,
                Some(("arn:aws:states:eu-west-1:1:stateMachine:n", "state_machine")),
            ),
            ("CreateNamedQuery", r#"{"name":"n"}"#, r#"{"namedQueryId":"q"}"#, None),
            (
                "DescribeThing",
                r#"{"name":"n"}"#,
                r#"{"thingArn":"arn:aws:x:eu-west-1:1:thing/n"}"#,
                None,
            ),
        ] {
            let json = format!(
                r#"{{"eventName":"{name}","requestParameters":{request},"responseElements":{answer}}}"#
            );
            let found = by_arn(&serde_json::from_str::<Record<'_>>(&json).unwrap());
            let found = found.as_ref().map(|(resource, kind)| (resource.as_str(), kind.as_str()));
            assert_eq!(found, wanted, "{name} {request}");
        }
    }

    #[test]
    fn a_denial_and_an_answer_tell_a_resource_where_the_request_does_not() {
        let denied = "User: arn:aws:iam::1:user/a is not authorized to perform: lambda:GetFunction on \
            resource: arn:aws:lambda:us-west-2:1:function:f because no policy allows it";
        for (record, wanted) in [
            (
                serde_json::json!({"eventName": "GetFunction", "errorMessage": denied}),
                Some(("arn:aws:lambda:us-west-2:1:function:f", "lambda_function")),
            ),
            (
                serde_json::json!({"eventName": "ListKeys", "errorMessage": "x on resource: *"}),
                None,
            ),
            (
                serde_json::json!({"eventName": "CreateDetector", "requestParameters": {"enable": true},
                    "responseElements": {"detectorId": "d", "requestId": "r"}}),
                Some(("d", "detector")),
            ),
            (
                serde_json::json!({"eventName": "RunInstances", "requestParameters": {"subnetId": "s",
                    "instancesSet": {"items": [{"imageId": "ami-1"}]}},
                    "responseElements": {"instancesSet": {"items": [{"instanceId": "i-1"}]}}}),
                Some(("i-1", "ec2_instance")),
            ),
            (
                serde_json::json!({"eventName": "CreateVpcEndpoint", "requestParameters": {"VpcId": "v"},
                    "responseElements": {"vpcEndpoint": {"vpcEndpointId": "e"}}}),
                Some(("e", "vpc_endpoint")),
            ),
            (
                serde_json::json!({"eventName": "StartExecution", "requestParameters":
                    {"stateMachineArn": "m"}, "responseElements": {"executionArn": "e"}}),
                Some(("m", "state_machine")),
            ),
            (
                serde_json::json!({"eventName": "RunInstances", "requestParameters": {"subnetId": "s",
                    "instancesSet": {"items": [{"imageId": "ami-1"}]}}}),
                Some(("ami-1", "machine_image")),
            ),
        ] {
            let found = found(&record);
            let found = found.as_ref().map(|(resource, kind)| (resource.as_str(), kind.as_str()));
            assert_eq!(found, wanted, "{record}");
        }
    }
}
