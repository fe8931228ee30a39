//! A storage in memory that fails on demand, and whose files can be taken out and put back.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

/// What happens to a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is written, and the answer is an error.
    WrittenThenLost,
    /// It is written, the answer is an error, and nothing answers any more.
    WrittenThenDown,
    /// It is not written, and the answer is an error.
    NotWritten,
}

/// A storage in memory; each planned fault hits one put, in order.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    inner: InMemory,
    /// The part of a path that is hit, and how.
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    is_down: AtomicBool,
}

impl Storage {
    /// A storage that holds these files.
    pub(crate) async fn of(files: &BTreeMap<String, Bytes>) -> Self {
        let storage = Self::default();
        for (path, bytes) in files {
            storage.set(path, bytes.clone()).await;
        }
        storage
    }

    /// The next put of a log entry whose path holds `part` meets `fault`.
    pub(crate) fn plan(&self, part: &'static str, fault: Fault) {
        self.faults.lock().unwrap().push_back((part, fault));
    }

    pub(crate) fn planned(&self) -> usize {
        self.faults.lock().unwrap().len()
    }

    pub(crate) fn answer_again(&self) {
        self.is_down.store(false, Ordering::Release);
    }

    /// All files by their paths.
    pub(crate) async fn files(&self) -> BTreeMap<String, Bytes> {
        let all: Vec<ObjectMeta> = self.inner.list(None).try_collect().await.unwrap();
        let mut files = BTreeMap::new();
        for file in all {
            let bytes = self.inner.get(&file.location).await.unwrap().bytes().await.unwrap();
            files.insert(file.location.to_string(), bytes);
        }
        files
    }

    /// When the newest file was written, by the storage's clock.
    pub(crate) async fn newest(&self) -> schemas::Timestamp {
        let all: Vec<ObjectMeta> = self.inner.list(None).try_collect().await.unwrap();
        let micros = all.iter().map(|file| file.last_modified.timestamp_micros()).max().unwrap();
        schemas::Timestamp::from_micros(micros).unwrap()
    }

    pub(crate) async fn set(&self, path: &str, bytes: Bytes) {
        self.inner.put(&Path::from(path), bytes.into()).await.unwrap();
    }

    fn check(&self) -> Result<()> {
        if self.is_down.load(Ordering::Acquire) { Err(lost()) } else { Ok(()) }
    }

    fn fault_of(&self, location: &Path) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let is_hit = faults.front().is_some_and(|(part, _)| location.as_ref().contains(part));
        if is_hit { faults.pop_front().map(|(_, fault)| fault) } else { None }
    }
}

fn lost() -> Error {
    Error::Generic { store: "test", source: "connection reset".into() }
}

#[async_trait]
impl ObjectStore for Storage {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        let is_entry = location.extension() == Some("json");
        let fault = if is_entry { self.fault_of(location) } else { None };
        match fault {
            None => return self.inner.put_opts(location, payload, options).await,
            Some(Fault::NotWritten) => {}
            Some(Fault::WrittenThenLost) => {
                self.inner.put_opts(location, payload, options).await?;
            }
            Some(Fault::WrittenThenDown) => {
                self.inner.put_opts(location, payload, options).await?;
                self.is_down.store(true, Ordering::Release);
            }
        }
        Err(lost())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Storage")
    }
}
