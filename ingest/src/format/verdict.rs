//! How an action ended, told by an HTTP status or by the words of an error.
//!
//! Invariant: an action is denied only if it was refused for want of permission or of a valid
//! credential; every other failure is an error.

use schemas::Outcome;

/// Parts of words, in lower case and without blanks, that mean a refusal. Each service has its own.
const REFUSALS: &[&str] = &[
    "denied",
    "deny",
    "unauthorized",
    "unauthenticated",
    "forbidden",
    "notauthorized",
    "notallowed",
    "notpermitted",
    "permission",
    "reject",
    "decline",
    "blocked",
    // What a model was asked or said, withheld.
    "contentfilter",
    "guardrailintervened",
    "invalidcredential",
    "invalidpassword",
    "invalidtoken",
    "invalidusername",
    "invalidrole",
    "invalidsecret",
    "invalidapikey",
    "invalidclient",
    "invalidgrant",
    "invalidsignature",
    "signatureinvalid",
    "badsignature",
    "invalidaudience",
    "incorrectapikey",
    "missingclienttoken",
    "badtoken",
    "expiredtoken",
    "tokenexpired",
    "tokenisexpired",
    "tokenhasexpired",
    "tokenrevoked",
    "tokenisnotvalid",
    "errorvalidatingtoken",
    "badcredential",
    "loginfailed",
    "loginfailure",
    "unabletologin",
    "authenticationfail",
    "authenticationerror",
    "authorizationfail",
    "unrecognizedclient",
    "failedtobind",
    "userislocked",
    "verificationerror",
    "lockedout",
    "insufficientaccess",
    "insufficientscope",
    "insufficientpermission",
    "insufficientprivilege",
    "insufficientauth",
    "accessdenied",
    // Codes of AWS, which others pass on.
    "codemismatch",
    "invalidauthenticationcode",
    "optinrequired",
    "regiondisabled",
    "requesttimetooskewed",
];

/// Parts of a word that each tell of another failure.
const FAILURES: &[&str] = &[
    "exceeded",
    "expired",
    "invalid",
    "malformed",
    "missing_",
    "not_found",
    "notfound",
    "throttled",
    "unavailable",
    "unknown_",
    "unsupported",
];

/// Words for what waits for a person, and so was not done.
const WAITING: &[&str] = &[
    "approval_required",
    "awaiting_approval",
    "needs_approval",
    "needs_review",
    "pending_approval",
    "require_approval",
    "require_human_approval",
    "requires_approval",
];

/// What is refused for want of a method and not of a right, though its words say so.
const NO_SUCH_METHOD: &str = "methodnotallowed";

/// By the status of an HTTP answer.
pub(super) fn of_http(status: &str) -> Option<Outcome> {
    match status.parse::<u16>().ok()? {
        401 | 403 | 407 => Some(Outcome::Denied),
        400..=599 => Some(Outcome::Error),
        _ => Some(Outcome::Success),
    }
}

/// By the words of an error.
pub(super) fn of_error(words: &str) -> Outcome {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    let letters: Vec<u8> =
        words.bytes().filter(is_letter).take(512).map(|byte| byte.to_ascii_lowercase()).collect();
    let finds = |part: &str| letters.windows(part.len()).any(|window| window == part.as_bytes());
    let is_of_method = finds(NO_SUCH_METHOD);
    let has = |part: &&str| finds(part) && !(is_of_method && NO_SUCH_METHOD.ends_with(part));
    if REFUSALS.iter().any(has) { Outcome::Denied } else { Outcome::Error }
}

/// By a word that says how something ended: what tells of no failure is a success.
pub(super) fn of_word(word: &str) -> Outcome {
    let lower = word.to_ascii_lowercase();
    let has_failed =
        ["fail", "error", "invalid", "timeout"].iter().any(|part| lower.contains(part));
    let ended = of_error(word);
    if ended == Outcome::Denied || has_failed { ended } else { Outcome::Success }
}

/// By the last word of what happened, as in `login_failed` or `access.denied`.
pub(super) fn of_name(name: &str) -> Outcome {
    let last = name.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    match last.to_ascii_lowercase().as_str() {
        "denied" | "blocked" | "rejected" | "refused" | "violation" | "breach" => Outcome::Denied,
        "failed" | "failure" | "error" | "errored" | "invalid" | "timeout" => Outcome::Error,
        _ => Outcome::Success,
    }
}

/// By a word that says how something ended; a text of several words is an answer, and tells nothing.
pub(super) fn of_one_word(word: &str) -> Option<Outcome> {
    match word.to_ascii_lowercase().as_str() {
        "success" | "ok" | "true" | "allow" | "allowed" | "succeeded" | "completed" | "permit"
        | "forwarded" => Some(Outcome::Success),
        "block" | "forbid" | "refuse" | "refused" => Some(Outcome::Denied),
        "errored" | "fail" | "failed" | "failure" | "false" | "timeout" | "timed_out"
        | "cancelled" | "canceled" | "abort" | "aborted" | "rate_limited" => Some(Outcome::Error),
        word if WAITING.contains(&word) => Some(Outcome::Error),
        word if word.contains(' ') => None,
        word if word.ends_with("granted") => Some(Outcome::Success),
        word if of_error(word) == Outcome::Denied => Some(Outcome::Denied),
        // Some tell what kind of an error it was: `application_error`, `invalid_arguments`.
        word => {
            let has_failed =
                word.ends_with("error") || FAILURES.iter().any(|part| word.contains(part));
            has_failed.then_some(Outcome::Error)
        }
    }
}

/// The worse end of two: a refusal before another failure.
pub(super) fn worse(one: Outcome, other: Outcome) -> Outcome {
    [Outcome::Denied, Outcome::Error]
        .into_iter()
        .find(|end| [one, other].contains(end))
        .unwrap_or(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_another_failure() {
        for (words, wanted) in [
            ("PERMISSION_DENIED", Outcome::Denied),
            ("1 error occurred:\n\t* permission denied", Outcome::Denied),
            ("Not Authorized", Outcome::Denied),
            ("INVALID_CREDENTIALS", Outcome::Denied),
            ("invalid role or secret ID", Outcome::Denied),
            ("missing client token", Outcome::Denied),
            ("token is expired", Outcome::Denied),
            ("invalid_grant", Outcome::Denied),
            ("CodeMismatchException", Outcome::Denied),
            ("Client.OptInRequired", Outcome::Denied),
            ("ldap operation failed: failed to bind as user", Outcome::Denied),
            ("openai.AuthenticationError", Outcome::Denied),
            ("content_filter", Outcome::Denied),
            ("guardrail_intervened", Outcome::Denied),
            ("UnrecognizedClientException", Outcome::Denied),
            ("invalid request", Outcome::Error),
            ("failed to validate certificate chain", Outcome::Error),
            ("AlreadyExists", Outcome::Error),
            ("HTTP 405 Method Not Allowed", Outcome::Error),
            ("method not allowed: permission denied", Outcome::Denied),
            ("timeout", Outcome::Error),
            ("", Outcome::Error),
        ] {
            assert_eq!(of_error(words), wanted, "{words}");
        }
        for (status, wanted) in [
            ("200", Some(Outcome::Success)),
            ("101", Some(Outcome::Success)),
            ("403", Some(Outcome::Denied)),
            ("409", Some(Outcome::Error)),
            ("x", None),
        ] {
            assert_eq!(of_http(status), wanted, "{status}");
        }
    }

    #[test]
    fn an_end_is_told_by_a_word_or_by_the_last_one_of_a_name() {
        for (word, wanted) in [
            ("SUCCESS", Outcome::Success),
            ("BLOCKED", Outcome::Denied),
            ("ERROR", Outcome::Error),
            ("Failure", Outcome::Error),
            ("in_progress", Outcome::Success),
        ] {
            assert_eq!(of_word(word), wanted, "{word}");
        }
        for (word, wanted) in [
            ("invalid_arguments", Some(Outcome::Error)),
            ("unknown_tool", Some(Outcome::Error)),
            ("needs_review", Some(Outcome::Error)),
            ("insufficient_scope", Some(Outcome::Denied)),
            ("not_allowed", Some(Outcome::Denied)),
            ("unknown", None),
            ("modified", None),
        ] {
            assert_eq!(of_one_word(word), wanted, "{word}");
        }
        for (name, wanted) in [
            ("login_failed", Outcome::Error),
            ("AGENT_RUN_FAILED", Outcome::Error),
            ("trust.handshake.rejected", Outcome::Denied),
            ("desktop_extension_unblocked", Outcome::Success),
            ("request_failed_open", Outcome::Success),
            ("denied_domains_updated", Outcome::Success),
            ("", Outcome::Success),
        ] {
            assert_eq!(of_name(name), wanted, "{name}");
        }
    }
}
