//! [`after`]: the files of a folder that come after a name.
//!
//! Invariant: they are those that the library lists, which is asked itself where they might differ.
//!
//! Why it is here: the folder of a log holds every entry there ever was, and whoever looks for new ones lists it.
//! The library makes a path of each before it looks whether it is wanted; here names are compared as they lie.

use std::fs;
use std::path::Path as FilePath;

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, Result};

/// Files whose sizes are asked for at once.
const ASKED_AT_ONCE: usize = 8;

/// The files below `folder` that come after `offset`, in no order.
pub(super) fn after(
    files: &LocalFileSystem,
    folder: &Path,
    offset: &Path,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let (files, folder, offset) = (files.clone(), folder.clone(), offset.clone());
    let listed = async move {
        match names_after(&files, &folder, &offset).await {
            Some(names) => told(files, folder, names),
            None => files.list_with_offset(Some(&folder), &offset),
        }
    };
    stream::once(listed).flatten().boxed()
}

/// What the file system tells of each that is still there.
fn told(
    files: LocalFileSystem,
    folder: Path,
    names: Vec<String>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let tell = move |name: String| {
        let (files, path) = (files.clone(), folder.clone().join(name));
        async move {
            match files.head(&path).await {
                Err(Error::NotFound { .. }) => Ok(None),
                told => told.map(Some),
            }
        }
    };
    let told = stream::iter(names).map(tell).buffered(ASKED_AT_ONCE);
    told.try_filter_map(async |told| Ok(told)).boxed()
}

/// `None` where the library has to say it.
async fn names_after(files: &LocalFileSystem, folder: &Path, offset: &Path) -> Option<Vec<String>> {
    let after = offset.as_ref().strip_prefix(folder.as_ref())?.strip_prefix('/')?.to_owned();
    let folder = files.path_to_filesystem(folder).ok()?;
    tokio::task::spawn_blocking(move || plain_names_after(&folder, &after)).await.ok()?
}

/// `None` if there is more in the folder than files whose names a path has as they are, or it cannot be read.
fn plain_names_after(folder: &FilePath, after: &str) -> Option<Vec<String>> {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let name = name.to_str()?;
        if !entry.file_type().ok()?.is_file() {
            return None;
        }
        if is_staged(name) {
            continue;
        }
        if !name.bytes().all(is_plain) {
            return None;
        }
        if after < name {
            names.push(name.to_owned());
        }
    }
    Some(names)
}

/// Whether a file is still being written, which listings leave out.
fn is_staged(name: &str) -> bool {
    let number = name.split_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(listed: BoxStream<'static, Result<ObjectMeta>>) -> Vec<ObjectMeta> {
        let mut listed: Vec<_> = listed.try_collect().await.unwrap();
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        listed
    }

    /// What is listed here and by the library after the third of these names.
    async fn of_both(names: &[&str]) -> [Vec<ObjectMeta>; 2] {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let (files, path) =
            (LocalFileSystem::new(), Path::from_absolute_path(folder.path()).unwrap());
        let offset = path.clone().join(names[2]);
        let library = of(files.list_with_offset(Some(&path), &offset)).await;
        [of(after(&files, &path, &offset)).await, library]
    }

    #[tokio::test]
    async fn what_comes_after_a_name_is_what_the_library_lists() {
        let log = ["0.json", "1.checkpoint.parquet", "1.json", "2.json", "3.json", "_last"];
        let [listed, library] = of_both(&log).await;
        assert_eq!(listed.len(), 3);
        assert_eq!(listed, library);

        for more in ["2.json#1", "part 4.json", "a%20b", "z\u{e9}", "_sidecars/5", "4#x"] {
            let [listed, library] = of_both(&[&log[..], &[more]].concat()).await;
            assert_eq!(listed, library, "{more}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_holds_nothing() {
        let (files, folder) = (LocalFileSystem::new(), tempfile::tempdir().unwrap());
        let path = Path::from_absolute_path(folder.path()).unwrap().join("log");
        assert!(of(after(&files, &path, &path.clone().join("0"))).await.is_empty());
    }
}
