//! [`Location`]: where the lake is.
//!
//! Invariant: a location is an absolute URL that ends in a slash, of a kind of storage that can
//! put a file only if it is absent, and holds no secret.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use object_store::memory::InMemory;
use object_store::{ObjectStore, parse_url_opts};
use serde::Deserialize;
use url::Url;

use crate::LakeError;
use crate::durable::DurableStore;
use crate::error::{Cause, Reason};
use crate::refusal::Refusable;

/// Where the lake is: a local folder or a prefix of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Location(Url);

/// Why a text is not a [`Location`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    #[error("wanted a path, or a URL that starts with file, s3, gs, az or abfss, found {found}")]
    Scheme { found: String },
    #[error("wanted the name of a bucket or container in the URL, found none")]
    NoBucket,
    #[error("wanted a URL without a user, password, query or fragment: keys belong in the options")]
    Secret,
    #[error("wanted a path, found an empty text")]
    Empty,
    #[error("wanted a path that can be made absolute")]
    NotAbsolute,
    #[error("wanted a URL")]
    NotUrl,
}

impl Location {
    /// Reads `./folder`, `/folder`, `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`,
    /// `az://container/prefix`, `abfss://container@account.dfs.core.windows.net/prefix`, and
    /// `memory:///` (gone with the process). A relative path starts at the working directory.
    ///
    /// # Errors
    ///
    /// [`InvalidLocation`].
    pub fn parse(text: &str) -> Result<Self, InvalidLocation> {
        if !text.contains("://") {
            return Self::of_folder(text);
        }
        let mut url = Url::parse(text).map_err(|_| InvalidLocation::NotUrl)?;
        let has_user = !url.username().is_empty() && url.scheme() != "abfss";
        if has_user || url.password().is_some() || url.query().is_some() || url.fragment().is_some()
        {
            return Err(InvalidLocation::Secret);
        }
        match url.scheme() {
            "memory" => {}
            "file" if url.to_file_path().is_ok() => {}
            "s3" | "gs" | "az" | "abfss" if url.has_host() => {}
            "s3" | "gs" | "az" | "abfss" => return Err(InvalidLocation::NoBucket),
            "file" => return Err(InvalidLocation::NotAbsolute),
            other => return Err(InvalidLocation::Scheme { found: other.to_owned() }),
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }

    fn of_folder(text: &str) -> Result<Self, InvalidLocation> {
        if text.is_empty() {
            return Err(InvalidLocation::Empty);
        }
        let path = std::path::absolute(text).map_err(|_| InvalidLocation::NotAbsolute)?;
        let url = Url::from_directory_path(path).map_err(|()| InvalidLocation::NotAbsolute)?;
        Ok(Self(url))
    }

    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The folder, if it is a local one.
    pub fn folder(&self) -> Option<std::path::PathBuf> {
        if self.0.scheme() == "file" { self.0.to_file_path().ok() } else { None }
    }

    /// The storage, from its root on.
    pub(crate) fn store(&self, options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, LakeError> {
        match self.0.scheme() {
            "file" => Ok(Arc::new(DurableStore::new())),
            "memory" => Ok(Arc::new(InMemory::new())),
            scheme => {
                let wrong = |cause| LakeError::Options { location: self.to_string(), cause };
                let options = options.of_scheme(scheme).map_err(wrong)?;
                let of_region = |name: &str| matches!(name, "aws_region" | "region");
                let region = options.iter().find(|(name, _)| of_region(name));
                let region = region.map(|(_, value)| value.clone());
                match parse_url_opts(&self.0, options) {
                    Ok((store, _)) => Ok(Arc::new(Refusable::new(store, region.as_deref()))),
                    Err(error) => Err(wrong(error.into())),
                }
            }
        }
    }
}

impl TryFrom<String> for Location {
    type Error = InvalidLocation;

    fn try_from(text: String) -> Result<Self, InvalidLocation> {
        Self::parse(&text)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.folder() {
            Some(folder) => write!(f, "{}", folder.display()),
            None => f.write_str(self.0.as_str()),
        }
    }
}

/// Options of the storage by name, e.g. `aws-endpoint-url`, and what the environment says besides.
///
/// Names: `object_store`'s `AmazonS3ConfigKey`, `GoogleConfigKey`, `AzureConfigKey`, in any case, with
/// dashes or underscores. A name that the storage does not know is refused, one of the environment
/// is passed over. Values may be secrets, so they are never printed.
#[derive(Clone, Default)]
pub struct StoreOptions {
    named: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl StoreOptions {
    /// With what the environment says of any storage, e.g. `AWS_REGION`: an option that is named wins.
    #[must_use]
    pub fn with_environment(mut self, variables: BTreeMap<String, String>) -> Self {
        self.environment =
            variables.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        self
    }

    /// What the storage of this scheme is told.
    fn of_scheme(&self, scheme: &str) -> Result<Vec<(String, String)>, Cause> {
        match scheme {
            "s3" => self.known::<AmazonS3ConfigKey>(),
            "gs" => self.known::<GoogleConfigKey>(),
            _ => self.known::<AzureConfigKey>(),
        }
    }

    fn known<K: FromStr<Err = object_store::Error> + PartialEq>(
        &self,
    ) -> Result<Vec<(String, String)>, Cause> {
        let mut keys = Vec::new();
        let mut known = Vec::new();
        for (name, value) in &self.named {
            let key = name.parse::<K>().map_err(|_| {
                Reason(format!("wanted an option that the storage knows, found {name}"))
            })?;
            keys.push(key);
            known.push((name.clone(), value.clone()));
        }
        for (name, value) in &self.environment {
            if name.parse::<K>().is_ok_and(|key| !keys.contains(&key)) {
                known.push((name.clone(), value.clone()));
            }
        }
        Ok(known)
    }
}

impl FromIterator<(String, String)> for StoreOptions {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(options: I) -> Self {
        // The storage reads names in lower case with underscores only.
        let plain = |name: String| name.to_ascii_lowercase().replace('-', "_");
        let named = options.into_iter().map(|(name, value)| (plain(name), value)).collect();
        Self { named, environment: BTreeMap::new() }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.named.keys().chain(self.environment.keys())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_location_is_read() {
        for (text, url) in [
            ("/var/lib/surety", "file:///var/lib/surety/"),
            ("file:///var/lib/surety", "file:///var/lib/surety/"),
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/a/b/", "s3://bucket/a/b/"),
            ("gs://bucket/a", "gs://bucket/a/"),
            ("az://container/a", "az://container/a/"),
            ("memory:///", "memory:///"),
            (
                "abfss://box@account.dfs.core.windows.net/a",
                "abfss://box@account.dfs.core.windows.net/a/",
            ),
        ] {
            assert_eq!(Location::parse(text).unwrap().url().as_str(), url);
        }
        let relative = Location::parse("./surety-data").unwrap();
        assert!(relative.url().as_str().ends_with("/surety-data/"));
        assert!(relative.folder().unwrap().is_absolute());
    }

    #[test]
    fn what_is_not_a_location_is_refused_without_repeating_a_secret() {
        use InvalidLocation::{Empty, NoBucket, NotUrl, Scheme, Secret};
        let ftp = Scheme { found: "ftp".to_owned() };
        for (text, error) in [
            ("", Empty),
            ("ftp://host/a", ftp),
            ("s3://", NoBucket),
            ("s3:///prefix", NoBucket),
            ("http://", NotUrl),
            ("s3://key:hunter2@bucket/a", Secret),
            ("s3://hunter2@bucket/a", Secret),
            ("s3://bucket/a?token=hunter2", Secret),
        ] {
            let found = Location::parse(text).unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn options_are_printed_without_their_values() {
        let options: StoreOptions =
            [("AWS_SECRET_ACCESS_KEY".to_owned(), "hunter2".to_owned())].into_iter().collect();

        let printed = format!("{options:?}");

        assert!(printed.contains("aws_secret_access_key") && !printed.contains("hunter2"));
    }

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_read_with_dashes_and_win_over_the_environment() {
        let named: StoreOptions =
            texts(&[("aws-region", "eu-central-1"), ("Endpoint", "http://x:1")])
                .into_iter()
                .collect();
        let environment = texts(&[
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", "http://y:1"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_PROFILE", "work"),
            ("GOOGLE_BUCKET", "b"),
        ]);

        let told = named.with_environment(environment).of_scheme("s3").unwrap();

        let told: BTreeMap<_, _> = told.into_iter().collect();
        assert_eq!(
            told,
            texts(&[
                ("aws_region", "eu-central-1"),
                ("endpoint", "http://x:1"),
                ("aws_access_key_id", "AKIA")
            ])
        );
    }

    #[test]
    fn an_option_that_the_storage_does_not_know_is_refused_by_its_name() {
        let options: StoreOptions = texts(&[("aws-regoin", "hunter2")]).into_iter().collect();
        for url in ["s3://bucket/a", "gs://bucket/a", "az://container/a"] {
            let error = Location::parse(url).unwrap().store(&options).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("aws_regoin") && !cause.contains("hunter2"), "{cause}");
        }
    }
}
