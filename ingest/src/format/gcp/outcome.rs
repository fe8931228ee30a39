//! [`outcome`]: how a call ended.
//!
//! Invariant: a call that was granted a right and tells of no error succeeded; what a policy refused is refused,
//! whatever its code.
//!
//! Source: Google Cloud, `AuditLog` and `LogEntry` references; codes: `google.rpc.Code`.

use schemas::Outcome;

use super::super::draft::Word;
use super::super::json::Json;
use super::super::kubernetes::is_refused_admission;
use super::super::verdict;
use super::{parameter, statement};

/// The log of what policies refused.
///
/// Source: Google Cloud, *Policy Denied audit logs*.
const REFUSALS_LOG: &str = "policy";
/// The question whether somebody may sign in to a machine.
///
/// Source: Google Cloud, *Monitor OS Login audit logs*.
const SIGN_IN_CHECK: &str = "OsLoginDataPlaneService.CheckPolicy";

pub(super) fn outcome<'a>(
    record: &'a Json<'_>,
    payload: &'a Json<'_>,
) -> (Outcome, Option<Word<'a>>) {
    // A policy that is tried out refuses nothing.
    if is_dry_run(payload) {
        return (Outcome::Success, None);
    }
    // Whatever the code: what answers here is admission to a cluster.
    let answers = ["status.message", "response.message"].iter();
    let refused =
        answers.filter_map(|path| payload.text(path)).find(|told| is_refused_admission(told));
    if refused.is_some() {
        return (Outcome::Denied, refused.map(Into::into));
    }
    let code = payload.text("status.code").filter(|code| !matches!(*code, "0" | "OK"));
    let message = payload.text("status.message").filter(|text| *text != "OK");
    if let Some(mut outcome) = code.map(by_code) {
        // Who exchanges tokens has shown one, and an invalid argument is that token.
        let is_exchange = payload.text("serviceName") == Some("sts.googleapis.com");
        if outcome == Outcome::Error && is_exchange {
            outcome = verdict::of_error(message.unwrap_or_default());
        }
        // Whatever the code: in this log stands what a policy refused.
        let log = record.text("logName").unwrap_or_default();
        if outcome == Outcome::Error && is_log(log, REFUSALS_LOG) {
            outcome = Outcome::Denied;
        }
        let reason = message.or(code).filter(|_| outcome != Outcome::Success);
        return (outcome, reason.map(Into::into));
    }
    // A code of 0 is left out: what is said beside it is no failure, unless the entry is one.
    let is_failure = record.text("severity").is_some_and(is_of_failure);
    if let Some(message) = message.filter(|_| is_failure) {
        return (verdict::of_error(message), Some(message.into()));
    }
    let permissions = payload.list("authorizationInfo");
    // A call that was granted one of several, and that says nothing of an error, was let in.
    let is_granted = permissions.iter().any(|one| one.is_true("granted"));
    let mut refusals = permissions.iter().filter(|one| one.is_false("granted"));
    if let Some(refused) = refusals.next().filter(|_| !is_granted) {
        return (Outcome::Denied, refused.text("permission").map(Into::into));
    }
    if let Some(outcome) = statement(payload).and_then(refused_statement) {
        return (outcome, payload.text("request.errCode").map(Into::into));
    }
    // OS Login answers whether somebody may sign in to a machine, and as what.
    let is_check = payload.text("methodName").is_some_and(|method| method.ends_with(SIGN_IN_CHECK));
    if is_check && payload.is_false("response.success") {
        return (Outcome::Denied, payload.text("request.policy").map(Into::into));
    }
    // Compute Engine answers with an error of its own, Kubernetes on Google in its own words.
    if let Some(code) = payload.text("response.error.code") {
        return (by_code(code), payload.text("response.error.message").map(Into::into));
    }
    if payload.text("response.status") == Some("Failure") {
        let by_code = payload.text("response.code").and_then(verdict::of_http);
        let reason = payload.text("response.reason").map(Into::into);
        return (by_code.unwrap_or(Outcome::Error), reason);
    }
    // A sign-in that failed says so in its name.
    let method = payload.text("methodName").unwrap_or_default();
    let challenge = parameter(payload, "login_challenge_status").and_then(Json::as_text);
    let challenge = challenge.map(str::to_ascii_lowercase);
    let is_refused =
        challenge.is_some_and(|status| status.contains("incorrect") || status.contains("fail"));
    if method.ends_with("loginFailure") || is_refused {
        return (Outcome::Denied, payload.text("metadata.event.eventName").map(Into::into));
    }
    (Outcome::Success, None)
}

/// Whether a policy was tried out, and the call not refused by the one in force.
fn is_dry_run(payload: &Json<'_>) -> bool {
    let live = payload.text("metadata.liveResult");
    payload.is_true("metadata.dryRun")
        && live.is_none_or(|live| verdict::of_word(live) == Outcome::Success)
}

/// Whether an audit log is this one, as an entry names it.
pub(super) fn is_log(log: &str, name: &str) -> bool {
    let own = log.rsplit_once("cloudaudit.googleapis.com").map_or("", |(_, own)| own);
    ["%2F", "/"].iter().any(|slash| own.strip_prefix(slash) == Some(name))
}

/// How a statement failed, told by the number of `MySQL`'s error; `None` of one that did not.
///
/// Source: `MySQL`, *Server Error Message Reference*.
fn refused_statement(statement: &Json<'_>) -> Option<Outcome> {
    const REFUSALS: [&str; 6] = ["1044", "1045", "1142", "1143", "1227", "1698"];
    let code = statement.text("errCode").unwrap_or_default();
    let has_failed = statement.text("status") == Some("unsuccessful");
    let outcome = if REFUSALS.contains(&code) { Outcome::Denied } else { Outcome::Error };
    (has_failed || outcome == Outcome::Denied).then_some(outcome)
}

/// Whether an entry of this severity tells of a failure.
///
/// Source: Google Cloud, `LogSeverity`.
fn is_of_failure(severity: &str) -> bool {
    matches!(severity, "ERROR" | "CRITICAL" | "ALERT" | "EMERGENCY")
}

/// By a code of gRPC, as its number or its name; some services write the status of HTTP.
///
/// Source: `google.rpc.Code`.
fn by_code(code: &str) -> Outcome {
    match (code, verdict::of_http(code)) {
        ("7" | "16" | "PERMISSION_DENIED" | "UNAUTHENTICATED", _) => Outcome::Denied,
        (_, Some(outcome)) if code.len() == 3 => outcome,
        _ => Outcome::Error,
    }
}
