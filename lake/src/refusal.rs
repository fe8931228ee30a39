//! [`Refusable`]: an object store whose refusals are told in its own words, and without what must not be told.
//!
//! Invariant (S1): of a store's answer an error repeats the code, the message and the region, and nothing
//! else: Amazon S3 repeats the whole session token when it has expired. Which kind of error it is stays.
//!
//! The answer to a question whether a file is there has no body, so a refusal of it has no words. Then a byte of
//! the file is asked for, of which nothing is taken but the words of its refusal.
//!
//! A list whose answer breaks off is asked for again, which the library does for files and for answers that
//! tell of a failure, and not for this.
//!
//! Source: Amazon S3, *Error responses*; Azure Storage, *Status and error codes*. Both answer with
//! `<Error><Code>` and `<Message>`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::error::{Cause, Reason};

/// What the library says of a redirection, whose answer it does not keep.
const BARE_REDIRECT: &str = "incorrectly configured region";

/// How the library tells of an answer that is not the one that was hoped for.
const ANSWERED: &str = "status code: 4";

/// How the library tells of a list that broke off, and how often one is asked for.
const BROKEN_OFF: &str = "response body";
const LIST_TRIES_MAX: u32 = 4;

/// An object store of which only the telling part of a refusal is told.
#[derive(Debug)]
pub(crate) struct Refusable {
    store: Arc<dyn ObjectStore>,
    telling: Telling,
}

/// How a refusal is told.
#[derive(Clone, Debug)]
struct Telling {
    /// The region that requests are made for, where the options name one.
    region: Option<Arc<str>>,
}

impl Refusable {
    pub(crate) fn new(store: Box<dyn ObjectStore>, region: Option<&str>) -> Self {
        Self { store: store.into(), telling: Telling { region: region.map(Into::into) } }
    }

    /// Everything that `list` lists of the store.
    fn listed(
        &self,
        list: impl Fn(&dyn ObjectStore) -> BoxStream<'static, Result<ObjectMeta>>
        + Send
        + Sync
        + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, telling) = (Arc::clone(&self.store), self.telling.clone());
        let all = async move {
            let all = whole(|| list(&*store).try_collect::<Vec<_>>()).await;
            all.map_err(|error| telling.told(error))
        };
        all.map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten_stream().boxed()
    }
}

/// What `list` gives, from its beginning again if its answer broke off.
async fn whole<T, F: Future<Output = Result<T>>>(list: impl Fn() -> F) -> Result<T> {
    let mut tries = 1;
    loop {
        match list().await {
            Err(error) if tries < LIST_TRIES_MAX && has_broken_off(&error) => tries += 1,
            done => return done,
        }
    }
}

fn has_broken_off(error: &Error) -> bool {
    cause_of(error).is_some_and(|cause| cause.to_string().contains(BROKEN_OFF))
}

impl Telling {
    fn told(&self, error: Error) -> Error {
        because(error, |cause| self.of(cause))
    }

    fn of(&self, cause: Cause) -> Cause {
        let text = cause.to_string();
        match self.refusal(&text) {
            Some(told) => Box::new(Reason(told)),
            None => cause,
        }
    }

    /// The text of an error without what is not to be told of a store's answer; `None` if it has none.
    fn refusal(&self, text: &str) -> Option<String> {
        let Some(answer) = text.find("<Error") else {
            let told = text.contains(BARE_REDIRECT);
            return told.then(|| format!("{text}{}", self.found(None)));
        };
        let before = text[..answer].split("<?xml").next().unwrap_or_default().trim_end();
        let body = &text[answer..];
        let code = element(body, "Code").unwrap_or("no code");
        let message = element(body, "Message").unwrap_or("no message");
        let wanted = element(body, "Region").or_else(|| element(body, "Endpoint"));
        Some(format!("{before} {code}: {message}{}", self.found(wanted)))
    }

    /// Which region the store wants and which it was asked for, where that is what differs.
    fn found(&self, wanted: Option<&str>) -> String {
        match (wanted, &self.region) {
            (Some(wanted), Some(found)) => format!(" (wanted region {wanted}, found {found})"),
            (Some(wanted), None) => format!(" (wanted region {wanted}, found none in the options)"),
            (None, Some(found)) => format!(" (found region {found})"),
            (None, None) => String::new(),
        }
    }
}

/// The same error with another cause.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is left has no answer of a store")]
fn because(error: Error, of: impl FnOnce(Cause) -> Cause) -> Error {
    match error {
        Error::Generic { store, source } => Error::Generic { store, source: of(source) },
        Error::NotFound { path, source } => Error::NotFound { path, source: of(source) },
        Error::AlreadyExists { path, source } => Error::AlreadyExists { path, source: of(source) },
        Error::Precondition { path, source } => Error::Precondition { path, source: of(source) },
        Error::PermissionDenied { path, source } => {
            Error::PermissionDenied { path, source: of(source) }
        }
        Error::Unauthenticated { path, source } => {
            Error::Unauthenticated { path, source: of(source) }
        }
        other => other,
    }
}

/// The cause of an error that may be a refusal: that a file is not there, or is there already, is none.
#[expect(clippy::wildcard_enum_match_arm, reason = "three of its kinds are refusals")]
fn cause_of(error: &Error) -> Option<&Cause> {
    match error {
        Error::Generic { source, .. }
        | Error::PermissionDenied { source, .. }
        | Error::Unauthenticated { source, .. } => Some(source),
        _ => None,
    }
}

/// Whether the store has refused without a word.
fn is_mute(error: &Error) -> bool {
    let text = cause_of(error).map(ToString::to_string).unwrap_or_default();
    text.contains(ANSWERED) && text.trim_end().ends_with(':')
}

/// The text of an XML element.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split('<').next()
}

impl Refusable {
    /// What the store says when it refuses to give the file; `None` if it does not refuse, or has no words.
    async fn words(&self, location: &Path) -> Option<String> {
        let byte = GetOptions { range: Some((0..1).into()), ..GetOptions::default() };
        let refused = self.store.get_opts(location, byte).await.err()?;
        self.telling.refusal(&cause_of(&refused)?.to_string())
    }
}

#[async_trait]
impl ObjectStore for Refusable {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.store.put_opts(location, payload, options);
        put.await.map_err(|error| self.telling.told(error))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.store.put_multipart_opts(location, options).await;
        let telling = self.telling.clone();
        match begun {
            Ok(parts) => Ok(Box::new(RefusableUpload { parts, telling })),
            Err(error) => Err(telling.told(error)),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_question = options.head;
        let error = match self.store.get_opts(location, options).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        if !is_question || !is_mute(&error) {
            return Err(self.telling.told(error));
        }
        let words = self.words(location).await;
        Err(because(error, |mute| words.map_or(mute, |words| Box::new(Reason(words)))))
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await.map_err(|error| self.telling.told(error))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let telling = self.telling.clone();
        let deleted = self.store.delete_stream(locations);
        deleted.map(move |one| one.map_err(|error| telling.told(error))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.listed(move |store| store.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.listed(move |store| store.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = whole(|| self.store.list_with_delimiter(prefix)).await;
        listed.map_err(|error| self.telling.told(error))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await.map_err(|error| self.telling.told(error))
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.store.rename_opts(from, to, options).await.map_err(|error| self.telling.told(error))
    }
}

impl fmt::Display for Refusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.store, f)
    }
}

/// A file written in parts.
#[derive(Debug)]
struct RefusableUpload {
    parts: Box<dyn MultipartUpload>,
    telling: Telling,
}

#[async_trait]
impl MultipartUpload for RefusableUpload {
    fn put_part(&mut self, payload: PutPayload) -> object_store::UploadPart {
        let telling = self.telling.clone();
        Box::pin(self.parts.put_part(payload).map_err(move |error| telling.told(error)))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.parts.complete().await.map_err(|error| self.telling.told(error))
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.abort().await.map_err(|error| self.telling.told(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_list_that_breaks_off_is_asked_for_again_and_a_refused_one_is_not() {
        let broken = "Error getting list response body: end of file before message length reached";
        for (text, broken_off, asked, wanted) in [
            (broken, 0, 1, Some(7)),
            (broken, 3, 4, Some(7)),
            (broken, 9, LIST_TRIES_MAX, None),
            ("AccessDenied", 1, 1, None),
        ] {
            let times = AtomicU32::new(0);
            let list = || async {
                if times.fetch_add(1, Ordering::Relaxed) < broken_off {
                    let source = Box::new(Reason(text.to_owned()));
                    return Err(Error::Generic { store: "S3", source });
                }
                Ok(7)
            };

            let found = whole(list).await;

            assert_eq!((found.ok(), times.into_inner()), (wanted, asked), "{text}");
        }
    }

    fn told(region: Option<&str>, text: &str) -> String {
        let telling = Telling { region: region.map(Into::into) };
        let source = Box::new(Reason(text.to_owned()));
        let error = telling.told(Error::Generic { store: "S3", source });
        let chain =
            std::iter::successors(Some(&error as &dyn std::error::Error), |one| one.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    #[test]
    fn of_an_answer_code_message_and_region_are_told() {
        let expired = "Server returned non-2xx status code: 400 Bad Request: \
            <?xml version=\"1.0\"?>\n<Error><Code>ExpiredToken</Code><Message>The provided token has \
            expired.</Message><Token-0>IQoJb3JpZ2luhunter2</Token-0></Error>";
        let region = "400: <Error><Code>AuthorizationHeaderMalformed</Code><Message>The region is wrong\
            </Message><Region>eu-central-1</Region></Error>";

        let told_of = [told(None, expired), told(Some("us-east-1"), region)];

        assert!(
            told_of[0].ends_with("400 Bad Request: ExpiredToken: The provided token has expired.")
        );
        assert!(!told_of[0].contains("hunter2"), "{}", told_of[0]);
        assert!(
            told_of[1].ends_with("(wanted region eu-central-1, found us-east-1)"),
            "{}",
            told_of[1]
        );
        assert!(told(Some("us-east-1"), BARE_REDIRECT).ends_with("(found region us-east-1)"));
        assert_eq!(told(None, "the network is down").matches("network").count(), 2);
    }
}
