//! [`role`]: the role that a service is given, to act as it.
//!
//! Invariant: best effort; whoever is let in by a request is nobody's role.
//!
//! Source: AWS, *Grant a user permissions to pass a role to an AWS service* (IAM).

use super::super::json::Json;
use super::super::words::letters;

/// What every such request has somewhere, so that no other is taken apart for it.
const MARK: &str = ":role";
/// How the names of these parameters end: `executionRoleArn`, `serviceRole`.
const ENDS: [&str; 2] = ["role", "rolearn"];
/// Objects in objects that are looked into.
const LEVELS_MAX: usize = 4;

/// The first in a request, by its parameters as they were written.
pub(super) fn role(request: &str) -> Option<String> {
    if !request.contains(MARK) {
        return None;
    }
    first(&Json::parse(request).ok()?, LEVELS_MAX)
}

fn first(json: &Json<'_>, levels: usize) -> Option<String> {
    let levels = levels.checked_sub(1)?;
    if let Json::List(all) = json {
        return all.iter().find_map(|one| first(one, levels));
    }
    json.fields().iter().find_map(|(name, value)| match value.as_text() {
        Some(arn) => {
            let is_role = arn.starts_with("arn:") && arn.contains(":role/");
            let is_passed = || ENDS.iter().any(|end| letters(name).ends_with(end));
            (is_role && is_passed()).then(|| arn.to_owned())
        }
        None => first(value, levels),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_role_is_told_from_whoever_is_let_in() {
        let arn = "arn:aws:iam::111122223333:role/app";
        for (request, wanted) in [
            (format!(r#"{{"functionName":"f","role":"{arn}"}}"#), Some(arn)),
            (format!(r#"{{"dBInstanceIdentifier":"d","roleArn":"{arn}"}}"#), Some(arn)),
            (format!(r#"{{"recorder":{{"name":"d","roleARN":"{arn}"}}}}"#), Some(arn)),
            (format!(r#"{{"targets":[{{"id":"1","roleArn":"{arn}"}}]}}"#), Some(arn)),
            (format!(r#"{{"principalArn":"{arn}"}}"#), None),
            (r#"{"roleArn":"arn:aws:iam::111122223333:user/role"}"#.to_owned(), None),
            (r#"{"roleName":"app"}"#.to_owned(), None),
        ] {
            assert_eq!(role(&request).as_deref(), wanted, "{request}");
        }
    }
}
