//! [`flaws`]: the seals of a model, made again from what is stored.
//!
//! Invariant: as [`verify`](crate::seal::verify()) does it for files, and short: every commit of records has
//! one seal, each seal follows the one before, and its root, files and entries are those that are there.

use std::collections::BTreeMap;

use datafusion::logical_expr::lit;
use ring::digest::{Context, SHA256};
use schemas::Table;

use crate::seal::{Hash, PublicKey, SealedLog, Tree, hash_of, seal_of_row, sha256};
use crate::{Advance, Lake, LakeError, Version};

/// What is wrong with the seals of `lake`, a model: none of it is as it should be.
///
/// # Errors
///
/// [`LakeError`].
pub async fn flaws(lake: &Lake, key: &PublicKey) -> Result<Vec<String>, LakeError> {
    let mut flaws = Vec::new();
    let mut unsealed = commits(lake).await?;
    let rejects = lake.read(Table::Rejects, lit(true)).await?;
    let mut ends: BTreeMap<Table, Version> = BTreeMap::new();
    let mut previous = crate::seal::NOTHING;
    let rows = lake.read_seals_from(0).await?;
    // It holds the hash of the one before, and so of all.
    if rows.last().is_some_and(|newest| key.open(&newest.note).is_err()) {
        flaws.push("the newest seal is not one that the key signed".to_owned());
    }
    for (row, wanted) in rows.iter().zip(0..) {
        let mut wrong = |what: &str| flaws.push(format!("seal {}: {what}", row.sequence));
        let Ok(seal) = seal_of_row(row) else {
            wrong("it is none");
            continue;
        };
        if row.sequence != wanted || seal.sequence != wanted || seal.previous != previous {
            wrong("it does not follow the one before");
        }
        previous = hash_of(&row.note);
        let Some((advance, paths)) = unsealed.remove(&seal.version) else {
            wrong("it is of a commit that has one, or of none");
            continue;
        };
        if !seal.files.iter().map(|file| &file.path).eq(&paths) {
            wrong("its files are not those of the commit");
        }
        let (files, events) = crate::seal::read_files(lake, paths.clone())
            .await
            .map_err(|cause| LakeError::Unavailable { table: Table::Events, cause })?;
        let tree = Tree::of(&events, &rejects, &advance).expect("rows have their columns");
        let told = Tree { root: seal.root, records: seal.records, rejects: seal.rejects };
        if seal.files != files || tree != told {
            wrong("its records are not those that are there");
        }
        for log in &seal.logs {
            let end = ends.insert(log.table, log.end).unwrap_or(0);
            if log.start != end || log.hash != hash_of_entries(lake, log).await? {
                wrong("its entries are not those that are there");
            }
        }
    }
    let left = unsealed.keys().map(|version| format!("commit {version} has no seal"));
    flaws.extend(left);
    Ok(flaws)
}

/// The commits of records: how far each went, and its files.
async fn commits(lake: &Lake) -> Result<BTreeMap<Version, (Advance, Vec<String>)>, LakeError> {
    let log = lake.reading_log(Table::Events);
    let mut commits = BTreeMap::new();
    for version in 0.. {
        let entry = log.entry(version).await;
        let entry = entry.map_err(|cause| LakeError::Unavailable { table: log.table, cause })?;
        let Some(entry) = entry else { break };
        if let Some(advance) = entry.advance.as_deref().and_then(Advance::parse) {
            commits.insert(version, (advance, entry.added));
        }
    }
    Ok(commits)
}

async fn hash_of_entries(lake: &Lake, sealed: &SealedLog) -> Result<Hash, LakeError> {
    let log = lake.reading_log(sealed.table);
    let mut hasher = Context::new(&SHA256);
    for version in sealed.start..sealed.end {
        let bytes = log.entry_bytes(version).await;
        let bytes = bytes.map_err(|cause| LakeError::unavailable(log.table, cause))?;
        hasher.update(&sha256(&[&bytes.unwrap_or_default()]));
    }
    Ok(hasher.finish().as_ref().try_into().expect("it has 32 bytes"))
}
