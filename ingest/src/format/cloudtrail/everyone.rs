//! [`is_given_to_everyone`]: whether a request lets anybody in.
//!
//! Invariant: a statement that denies lets nobody in, and neither does one that takes a right away.
//!
//! Sources: AWS, *IAM JSON policy elements: Principal*; *Access control list (ACL) overview* (S3); *Modify
//! image attribute*, *Modify snapshot attribute* (EC2); *Modify DB snapshot attribute* (RDS); *Update project
//! visibility* (`CodeBuild`).

use super::super::json::Json;

/// What every one of these requests has somewhere, so that no other is taken apart for it.
const MARKS: [&str; 6] =
    ["rincipal", "AllUsers", "AuthenticatedUsers", "\"all\"", "public-read", "PUBLIC_READ"];
/// Where policies stand, as objects or as JSON in a text.
const POLICIES: &[&str] = &[
    "bucketPolicy",
    "policyDocument",
    "assumeRolePolicyDocument",
    "policy",
    "policyText",
    "resourcePolicy",
    "attributes.Policy",
    "attributeValue",
];
/// Lists of those who get a right to an image or a snapshot.
const SHARES: &[&str] = &[
    "launchPermission.add.items",
    "createVolumePermission.add.items",
    "valuesToAdd",
    "userGroup",
    "groupNames",
];
const EVERYONE: &str = "*";

/// By its parameters as they were written.
pub(super) fn is_given_to_everyone(request: &str) -> bool {
    if !MARKS.iter().any(|mark| request.contains(mark)) {
        return false;
    }
    let Ok(request) = Json::parse(request) else { return false };
    let policies = POLICIES.iter().filter_map(|path| request.at(path));
    let grants = request.list("AccessControlPolicy.AccessControlList.Grant").iter();
    let mut grantees = grants.filter_map(|grant| grant.text("Grantee.URI"));
    let is_open = |uri: &str| uri.ends_with("/AllUsers") || uri.ends_with("/AuthenticatedUsers");
    let mut shares = SHARES.iter().flat_map(|path| request.list(path));
    policies.into_iter().any(is_open_policy)
        || request.text("principal") == Some(EVERYONE)
        || request.text("x-amz-acl").is_some_and(|acl| acl.starts_with("public-read"))
        || request.text("projectVisibility") == Some("PUBLIC_READ")
        || grantees.any(is_open)
        || shares.any(|one| one.text("group").or(one.as_text()) == Some("all"))
}

fn is_open_policy(policy: &Json<'_>) -> bool {
    if let Json::Text(text) = policy {
        return Json::parse(text)
            .is_ok_and(|policy| matches!(policy, Json::Object(_)) && is_open_policy(&policy));
    }
    policy.list("Statement").iter().any(|statement| {
        let principals = ["Principal", "Principal.AWS"];
        let mut principals = principals.iter().flat_map(|path| statement.list(path));
        statement.text("Effect") == Some("Allow")
            && principals.any(|one| one.as_text() == Some(EVERYONE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_anybody_in_is_told_from_what_does_not() {
        let statement = |effect: &str, principal: &str| {
            format!(
                r#"{{"Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"*"}}]}}"#
            )
        };
        let as_text = |policy: &str| serde_json::to_string(policy).unwrap();
        for (request, wanted) in [
            (format!(r#"{{"bucketPolicy":{}}}"#, statement("Allow", r#""*""#)), true),
            (format!(r#"{{"bucketPolicy":{}}}"#, statement("Deny", r#""*""#)), false),
            (
                format!(
                    r#"{{"policyDocument":{}}}"#,
                    as_text(&statement("Allow", r#"{"AWS":["*"]}"#))
                ),
                true,
            ),
            (
                format!(
                    r#"{{"policyDocument":{}}}"#,
                    as_text(&statement("Allow", r#"{"AWS":"arn:aws:iam::1:root"}"#))
                ),
                false,
            ),
            (r#"{"functionName":"f","principal":"*"}"#.to_owned(), true),
            (r#"{"functionName":"f","principal":"s3.amazonaws.com"}"#.to_owned(), false),
            (
                r#"{"AccessControlPolicy":{"AccessControlList":{"Grant":[{"Grantee":{"ID":"a"}},
                    {"Grantee":{"URI":"http://acs.amazonaws.com/groups/global/AllUsers"}}]}}}"#
                    .to_owned(),
                true,
            ),
            (r#"{"createVolumePermission":{"add":{"items":[{"group":"all"}]}}}"#.to_owned(), true),
            (
                r#"{"createVolumePermission":{"remove":{"items":[{"group":"all"}]}}}"#.to_owned(),
                false,
            ),
            (r#"{"valuesToAdd":["all"],"attributeName":"restore"}"#.to_owned(), true),
            (r#"{"x-amz-acl":["public-read"],"bucketName":"b"}"#.to_owned(), true),
            (r#"{"projectVisibility":"PUBLIC_READ","projectArn":"p"}"#.to_owned(), true),
            (r#"{"policyDocument":"Principal"}"#.to_owned(), false),
        ] {
            assert_eq!(is_given_to_everyone(&request), wanted, "{request}");
        }
    }
}
