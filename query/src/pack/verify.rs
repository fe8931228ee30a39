//! [`verify_pack`]: a pack, from itself alone.
//!
//! Invariant: nothing is believed but the public key. Rows lead to the signed roots of their seals, the
//! files of rows say the same, the figures follow from the rows and the seals, and the page from the
//! figures. Whatever is wrong is told with its file, its row and its seal, and the rest is still looked at.

mod packed;
mod rows;
mod texts;

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read as _};

use lake::seal::PublicKey;
use schemas::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use self::packed::is_as_packed;
use super::chain::{Chain, Link};
use super::manifest::{FORMAT, Head, Manifest, Subject};
use super::member::Method;
use super::name;
use super::proof::hex;
use super::zip::{Archive, Entry};
use crate::report::facts::Facts;

/// Largest text that is read whole: a page, figures, a manifest.
const TEXT_BYTES_MAX: u64 = 256 << 20;
/// Flaws that are told one by one.
const FLAWS_MAX: usize = 1_000;

/// Something in a pack that is not as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackFlaw {
    /// In the pack; `None`: the pack itself.
    pub file: Option<String>,
    /// Of the file's rows, from 1.
    pub row: Option<u64>,
    /// The record, as `topic/partition@offset`.
    pub record: Option<String>,
    /// Number of the seal.
    pub seal: Option<i64>,
    /// What was wanted and what was found.
    pub what: String,
}

impl PackFlaw {
    fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    fn in_file(file: &str, what: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), ..Self::of(what) }
    }

    fn in_row(self, row: u64) -> Self {
        Self { row: Some(row), ..self }
    }

    fn in_seal(self, seal: i64) -> Self {
        Self { seal: Some(seal), ..self }
    }
}

impl fmt::Display for PackFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file.as_deref().unwrap_or("the pack"))?;
        if let Some(row) = self.row {
            write!(f, ": row {row}")?;
        }
        if let Some(record) = &self.record {
            write!(f, ": record {record}")?;
        }
        if let Some(seal) = self.seal {
            write!(f, ": seal {seal}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What a pack must agree with.
#[derive(Clone, Debug, Default)]
pub struct PackScope {
    /// The lake's public key, had from elsewhere. Without it the pack's own is taken, which proves only that
    /// the pack agrees with itself.
    pub key: Option<PublicKey>,
    /// A note that was kept elsewhere, and must be among the seals.
    pub head: Option<String>,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct PackVerified {
    pub subject: Option<Subject>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub key: Option<PublicKey>,
    pub rows: u64,
    /// Rows that lead to the root of a signed seal.
    pub proven: u64,
    /// Rows that were in no seal when the pack was made: they are told openly, and are not proven.
    pub unsealed: u64,
    pub seals: u64,
    pub files: usize,
    /// Number, time and hash of the newest seal: compare it with one that was kept elsewhere.
    pub newest: Option<(i64, Timestamp, String)>,
    /// The release that wrote the page, where it is not this one: its page was not made again.
    pub written_by: Option<String>,
    pub flaws: Vec<PackFlaw>,
}

impl PackVerified {
    /// Whether nothing is wrong, and every row is proven.
    pub fn is_intact(&self) -> bool {
        self.flaws.is_empty() && self.proven == self.rows
    }
}

/// Verifies the pack in `file`. Needs neither the lake nor a network.
///
/// `progress` is told how many bytes of the rows are done, and of how many.
pub fn verify_pack(file: File, scope: &PackScope, progress: impl Fn(u64, u64)) -> PackVerified {
    let mut verified = PackVerified::default();
    let archive = match Archive::open(file) {
        Ok(archive) => archive,
        Err(what) => {
            verified.flaws.push(PackFlaw::of(what));
            return verified;
        }
    };
    let mut pack = Pack { archive, flaws: Vec::new(), unreadable: Vec::new() };
    pack.verify(scope, &mut verified, progress);
    verified.flaws = pack.flaws;
    verified.flaws.sort();
    verified.flaws.dedup();
    verified
}

/// A pack while it is verified.
struct Pack {
    archive: Archive,
    flaws: Vec<PackFlaw>,
    /// Files whose content is not what the manifest says.
    unreadable: Vec<String>,
}

impl Pack {
    fn verify(
        &mut self,
        scope: &PackScope,
        verified: &mut PackVerified,
        progress: impl Fn(u64, u64),
    ) {
        verified.files = self.archive.entries.len();
        let Some(manifest) = self.json::<Manifest>(name::MANIFEST) else { return };
        if manifest.format != FORMAT {
            let what = format!("wanted the format {FORMAT}, found {:?}", manifest.format);
            self.tell(PackFlaw::in_file(name::MANIFEST, what));
            return;
        }
        self.check_files(&manifest);
        verified.subject = Some(manifest.subject.clone());
        verified.from = Some(manifest.from);
        verified.to = Some(manifest.to);
        verified.key = self.key(scope);
        let Some(key) = &verified.key else { return };
        let chain = self.chain(key, scope, &manifest);
        verified.seals = chain.seals.len() as u64;
        verified.newest =
            chain.seals.last().map(|seal| (seal.sequence, seal.time, hex(&chain.head)));
        let facts = self.json::<Facts>(name::FACTS);
        let unsealed = facts.as_ref().map_or(0, |facts| facts.unsealed);
        let counted = self.check_rows(&manifest, &chain, unsealed, progress);
        verified.rows = counted.tally.events;
        verified.proven = counted.proven;
        verified.unsealed = counted.unsealed;
        if let Some(facts) = facts {
            if manifest.made_by != crate::report::RELEASE {
                verified.written_by = Some(manifest.made_by.clone());
            }
            self.check_texts(&manifest, &facts, &chain, &counted);
        }
    }

    /// Tells a flaw, unless there are too many.
    fn tell(&mut self, flaw: PackFlaw) {
        match self.flaws.len().cmp(&FLAWS_MAX) {
            std::cmp::Ordering::Less => self.flaws.push(flaw),
            std::cmp::Ordering::Equal => {
                self.flaws.push(PackFlaw::of("there are more flaws than can be told"));
            }
            std::cmp::Ordering::Greater => {}
        }
    }

    /// Every file is in the manifest with its hash, and no other.
    fn check_files(&mut self, manifest: &Manifest) {
        for wanted in &manifest.files {
            let Some(entry) = self.archive.entry(&wanted.path).cloned() else {
                self.tell(PackFlaw::in_file(&wanted.path, "wanted this file, found none"));
                continue;
            };
            match self.hash(&entry) {
                Ok(found) if found == wanted.sha256 && entry.bytes == wanted.bytes => {}
                Ok(found) => {
                    let what =
                        format!("wanted content with SHA-256 {}, found {found}", wanted.sha256);
                    self.unreadable.push(wanted.path.clone());
                    self.tell(PackFlaw::in_file(&wanted.path, what));
                }
                Err(error) => {
                    self.unreadable.push(wanted.path.clone());
                    self.tell(PackFlaw::in_file(
                        &wanted.path,
                        format!("it cannot be read: {error}"),
                    ));
                }
            }
        }
        let is_listed = |entry: &&Entry| {
            entry.name == name::MANIFEST
                || manifest.files.iter().any(|file| file.path == entry.name)
        };
        let entries = self.archive.entries.clone();
        for entry in entries.iter().filter(|entry| !is_listed(entry)) {
            self.tell(PackFlaw::in_file(&entry.name, "it is not in the manifest"));
        }
        let order = manifest.files.iter().map(|file| file.path.as_str());
        let found = entries.iter().map(|entry| entry.name.as_str());
        if !std::iter::once(name::MANIFEST).chain(order).eq(found) {
            self.tell(PackFlaw::in_file(name::MANIFEST, "its files are not in the pack's order"));
        }
        for entry in entries {
            let is_parquet = entry.name.ends_with(".parquet");
            // What cannot be read is told already.
            let is_respelled = !is_parquet
                && manifest.made_by == crate::report::RELEASE
                && is_as_packed(&self.archive, &entry).is_ok_and(|is_same| !is_same);
            if is_parquet != (entry.method == Method::Stored) || is_respelled {
                self.tell(PackFlaw::in_file(&entry.name, "it is not packed as it was written"));
            }
        }
    }

    /// SHA-256 of a member's content, which must also have the checksum of the zip.
    fn hash(&self, entry: &Entry) -> std::io::Result<String> {
        let (mut content, mut hash) = (self.archive.read(entry), Sha256::new());
        let (mut crc, mut buffer) = (flate2::Crc::new(), vec![0; 1 << 16]);
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            crc.update(&buffer[..read]);
        }
        if crc.sum() != entry.crc32 {
            return Err(std::io::Error::other("its checksum in the zip is another"));
        }
        Ok(hex(&hash.finalize().into()))
    }

    /// The text of a small file; `None`, and a flaw, where there is none.
    fn text(&mut self, name: &str) -> Option<String> {
        let text = String::from_utf8(self.content(name)?);
        text.inspect_err(|error| {
            self.tell(PackFlaw::in_file(name, format!("it cannot be read: {error}")));
        })
        .ok()
    }

    /// The content of a small file; `None`, and a flaw, where there is none.
    fn content(&mut self, name: &str) -> Option<Vec<u8>> {
        let Some(entry) = self.archive.entry(name) else {
            self.tell(PackFlaw::in_file(name, "wanted this file, found none"));
            return None;
        };
        if TEXT_BYTES_MAX < entry.bytes {
            let what = format!("wanted at most {TEXT_BYTES_MAX} bytes, found {}", entry.bytes);
            self.tell(PackFlaw::in_file(name, what));
            return None;
        }
        let mut content = Vec::new();
        match self.archive.read(entry).read_to_end(&mut content) {
            Ok(_) => Some(content),
            Err(error) => {
                self.tell(PackFlaw::in_file(name, format!("it cannot be read: {error}")));
                None
            }
        }
    }

    fn json<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        match serde_json::from_str(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.tell(PackFlaw::in_file(name, format!("it is not as wanted: {error}")));
                None
            }
        }
    }

    /// The key that was named, else the pack's own.
    fn key(&mut self, scope: &PackScope) -> Option<PublicKey> {
        let own = self.text(name::KEY).and_then(|text| match PublicKey::parse(&text) {
            Ok(key) if format!("{key}\n") == text => Some(key),
            Ok(_) => {
                self.tell(PackFlaw::in_file(name::KEY, "wanted a key on a line of its own"));
                None
            }
            Err(error) => {
                self.tell(PackFlaw::in_file(name::KEY, error.to_string()));
                None
            }
        });
        let Some(wanted) = &scope.key else { return own };
        if let Some(own) = own.filter(|own| own != wanted) {
            let what = format!("wanted the key {wanted}, found {own}");
            self.tell(PackFlaw::in_file(name::KEY, what));
        }
        Some(wanted.clone())
    }

    fn chain(&mut self, key: &PublicKey, scope: &PackScope, manifest: &Manifest) -> Chain {
        let Some(entry) = self.archive.entry(name::CHAIN) else {
            self.tell(PackFlaw::in_file(name::CHAIN, "wanted this file, found none"));
            return Chain::default();
        };
        let content = BufReader::new(self.archive.read(entry));
        let (mut flaws, mut broken, mut has_head) = (Vec::new(), None, scope.head.is_none());
        let links = serde_json::Deserializer::from_reader(content).into_iter::<Link>();
        let links = links.map_while(|link| link.map_err(|error| broken = Some(error)).ok());
        let links = links.inspect(|link| {
            has_head |= scope.head.as_deref().map(str::trim_end) == Some(link.note.trim_end());
        });
        let chain = Chain::follow(links, key, |seal, what| {
            flaws.push(PackFlaw::in_file(name::CHAIN, what).in_seal(seal));
        });
        if let Some(error) = broken {
            flaws.push(PackFlaw::in_file(name::CHAIN, format!("it is not as wanted: {error}")));
        }
        if !has_head {
            let what = "the seals do not hold the one that was kept";
            flaws.push(PackFlaw::in_file(name::CHAIN, what));
        }
        match chain.seals.last() {
            None => flaws.push(PackFlaw::in_file(name::CHAIN, "wanted a seal, found none")),
            Some(newest) => {
                let head =
                    Head { sequence: newest.sequence, time: newest.time, sha256: hex(&chain.head) };
                if head != manifest.head || newest.lake != manifest.lake {
                    let what = format!("its newest seal is not number {}", newest.sequence);
                    flaws.push(PackFlaw::in_file(name::MANIFEST, what).in_seal(newest.sequence));
                }
            }
        }
        for flaw in flaws {
            self.tell(flaw);
        }
        chain
    }
}
