//! [`DurableStore`]: a local file system whose files survive a power cut.
//!
//! Invariant: when a put has returned `Ok`, the file's bytes and its name are on the disk; a name
//! never stands for bytes that are not. No folder is made but a month's in a table that is there,
//! and those of a table's very first commit: so a deleted table is never made anew by a writer
//! that still runs.
//!
//! Why it is here: `object_store` 0.13 never calls `fsync`; 0.14 does, but needs another Arrow.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};

use crate::error::SyncFailed;

mod listing;

/// The first entry of every table's log.
const FIRST_COMMIT: &str = "00000000000000000000.json";

/// A local file system whose files survive a power cut.
#[derive(Debug)]
pub(crate) struct DurableStore {
    files: LocalFileSystem,
    /// Set when a sync failed: what the disk holds is not known then, and asking it again would
    /// answer `Ok` without having written (the kernel reports such an error once).
    is_broken: Arc<AtomicBool>,
}

impl DurableStore {
    pub(crate) fn new() -> Self {
        Self { files: LocalFileSystem::new(), is_broken: Arc::default() }
    }

    fn check(&self) -> Result<()> {
        if self.is_broken.load(Ordering::Acquire) {
            return Err(unsynced(io::Error::other("it did before")));
        }
        Ok(())
    }

    /// Runs `work` where it may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let done = tokio::task::spawn_blocking(work).await?;
        done.map_err(|failure| failure.told(location, &self.is_broken))
    }
}

/// What went wrong on the disk.
enum Failure {
    Io(io::Error),
    /// The one that must not be tried again.
    Sync(io::Error),
}

impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the storage tells three kinds apart, the rest is one"
)]
fn store_error(location: &Path, cause: io::Error) -> Error {
    let path = location.to_string();
    match cause.kind() {
        ErrorKind::NotFound => Error::NotFound { path, source: cause.into() },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: cause.into() },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: cause.into() },
        _ => Error::Generic { store: "local", source: cause.into() },
    }
}

impl Failure {
    /// As the store's error. After a failed sync the store `is_broken`.
    fn told(self, location: &Path, is_broken: &AtomicBool) -> Error {
        match self {
            Self::Io(cause) => store_error(location, cause),
            Self::Sync(cause) => {
                is_broken.store(true, Ordering::Release);
                unsynced(cause)
            }
        }
    }
}

fn unsynced(cause: io::Error) -> Error {
    Error::Generic { store: "local", source: SyncFailed(cause).into() }
}

fn sync_folder(folder: &FilePath) -> std::result::Result<(), Failure> {
    File::open(folder)?.sync_all().map_err(Failure::Sync)
}

/// Makes the folder of `path` if it is one that a writer may make.
fn make_folder(path: &FilePath) -> std::result::Result<PathBuf, Failure> {
    let folder = path.parent().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?.to_owned();
    if folder.is_dir() {
        return Ok(folder);
    }
    let is_first = path.file_name().is_some_and(|name| name == FIRST_COMMIT);
    let is_month =
        folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains('='));
    let above: Vec<PathBuf> =
        folder.ancestors().skip(1).take_while(|f| !f.is_dir()).map(Into::into).collect();
    let topmost = above.last().unwrap_or(&folder);
    let base = topmost.parent().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?.to_owned();
    if is_first {
        fs::create_dir_all(&folder)?;
    } else if is_month {
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    } else {
        return Err(io::Error::from(ErrorKind::NotFound).into());
    }
    for made in above.iter().rev() {
        sync_folder(made)?;
    }
    sync_folder(&base)?;
    Ok(folder)
}

/// Opens a new file beside `path`, under a name that listings leave out.
fn stage(path: &FilePath) -> io::Result<(File, PathBuf)> {
    for number in 1..u32::MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        match File::create_new(&name) {
            Ok(file) => return Ok((file, name.into())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Writes the whole file, syncs it, and only then gives it its name.
fn write_file(
    path: &FilePath,
    payload: &PutPayload,
    is_create: bool,
) -> std::result::Result<(), Failure> {
    let folder = make_folder(path)?;
    let (mut file, staged) = stage(path)?;
    let written = payload.iter().try_for_each(|chunk| file.write_all(chunk));
    let named = match written {
        Ok(()) => file.sync_all().map_err(Failure::Sync).and_then(|()| {
            drop(file);
            crate::crash_point!("staged", "file");
            let name = if is_create { fs::hard_link } else { fs::rename };
            name(&staged, path).map_err(Failure::Io)
        }),
        Err(cause) => Err(Failure::Io(cause)),
    };
    if is_create || named.is_err() {
        // The staged name is only litter now; a failure to remove it changes nothing.
        drop(fs::remove_file(&staged));
    }
    named?;
    sync_folder(&folder)
}

fn sync_file(path: &FilePath) -> std::result::Result<(), Failure> {
    File::open(path)?.sync_all().map_err(Failure::Sync)?;
    sync_folder(path.parent().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?)
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        let is_create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return self.files.put_opts(location, payload, options).await,
        };
        let path = self.files.path_to_filesystem(location)?;
        self.on_disk(location, move || write_file(&path, &payload, is_create)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        let path = self.files.path_to_filesystem(location)?;
        let made = path.clone();
        self.on_disk(location, move || make_folder(&made)).await?;
        let parts = self.files.put_multipart_opts(location, options).await?;
        Ok(Box::new(DurableUpload {
            parts,
            location: location.clone(),
            path,
            is_broken: Arc::clone(&self.is_broken),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix {
            Some(folder) => listing::after(&self.files, folder, offset),
            None => self.files.list_with_offset(None, offset),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableStore")
    }
}

/// A file written in parts (a checkpoint of the log), synced when complete.
#[derive(Debug)]
struct DurableUpload {
    parts: Box<dyn MultipartUpload>,
    location: Path,
    path: PathBuf,
    is_broken: Arc<AtomicBool>,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        self.parts.put_part(payload)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.parts.complete().await?;
        let path = self.path.clone();
        let synced = tokio::task::spawn_blocking(move || sync_file(&path)).await?;
        synced.map_err(|failure| failure.told(&self.location, &self.is_broken))?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt as _;

    fn at(folder: &FilePath, name: &str) -> Path {
        Path::from_absolute_path(folder.join(name)).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_created_once_and_leaves_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableStore::new();
        let path = at(folder.path(), "log/00000000000000000000.json");

        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&path, "one".into(), create()).await.unwrap();
        let second = store.put_opts(&path, "two".into(), create()).await;

        assert!(matches!(second, Err(Error::AlreadyExists { .. })));
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path().join("log")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn no_folder_is_made_but_a_months_and_the_first_commits() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableStore::new();
        let put = async |name: &str| store.put(&at(folder.path(), name), "x".into()).await;

        assert!(matches!(put("events/part").await, Err(Error::NotFound { .. })));
        assert!(matches!(put("events/month=2026-03/part").await, Err(Error::NotFound { .. })));
        assert!(matches!(
            put("events/_delta_log/00000000000000000001.json").await,
            Err(Error::NotFound { .. })
        ));
        put("events/_delta_log/00000000000000000000.json").await.unwrap();
        put("events/month=2026-03/part").await.unwrap();
        put("events/month=2026-03/part").await.unwrap();

        assert_eq!(fs::read_dir(folder.path().join("events/month=2026-03")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn after_a_failed_sync_nothing_is_written_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableStore::new();
        let path = at(folder.path(), "a");
        let failed =
            store.on_disk(&path, || Err::<(), _>(Failure::Sync(io::Error::other("device failed"))));
        assert!(failed.await.is_err());

        assert!(store.put(&path, "x".into()).await.is_err());
    }
}
