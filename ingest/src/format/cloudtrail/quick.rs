//! [`Invoked`]: the action of another application that a person or an agent had Amazon Quick do: which, of which
//! connector, for whom, and how it ended.
//!
//! Invariant: what the action was given and what it answered is not read.
//!
//! Source: AWS, *Amazon Quick: logging operations with CloudTrail* (`InvokeAction`).

use schemas::Outcome;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::verdict;
use super::Record;
use super::parts::{lenient, part};
use super::text::Text;

const SERVICE: &str = "quicksight.amazonaws.com";
const EVENT: &str = "InvokeAction";

/// The call of an action.
#[derive(Debug, Default)]
pub(super) struct Invoked<'a> {
    pub(super) asked: Asked<'a>,
    answer: Answer<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked<'a> {
    #[serde(borrow, default)]
    pub(super) action_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) action_connector_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) end_user_arn: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    invoke_action_status: Text<'a>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    invoke_action_output: Output<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    #[serde(borrow, default)]
    http_invoke_action_output: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfHttp<'a> {
    #[serde(borrow, default)]
    http_status_code: Text<'a>,
}

impl<'a> Invoked<'a> {
    pub(super) fn of(record: &Record<'a>) -> Option<Self> {
        let is_of =
            record.event_name.get() == Some(EVENT) && record.event_source.get() == Some(SERVICE);
        is_of.then(|| Self {
            asked: part(record.request_parameters),
            answer: part(record.response_elements),
        })
    }

    /// How it failed, by the status of the application's answer, else by Quick's own word.
    pub(super) fn failed(&self) -> Option<(Outcome, Option<String>)> {
        let http: OfHttp<'_> = part(self.answer.invoke_action_output.http_invoke_action_output);
        let (code, word) = (http.http_status_code.get(), self.answer.invoke_action_status.get());
        let by_code = code.and_then(verdict::of_http).map(|outcome| (outcome, code));
        let by_word = word.and_then(verdict::of_one_word).map(|outcome| (outcome, word));
        let told = [by_code, by_word].into_iter().flatten();
        let mut failures = told.filter(|(outcome, _)| *outcome != Outcome::Success);
        failures.next().map(|(outcome, reason)| (outcome, reason.map(str::to_owned)))
    }
}
