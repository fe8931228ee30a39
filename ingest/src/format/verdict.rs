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
            ("ldap operation failed: failed to bind as user", Outcome::Denied),
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
}
