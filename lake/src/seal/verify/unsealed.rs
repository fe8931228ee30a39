//! Entries of a log that no seal names yet.
//!
//! There are such: the entry that holds the newest seal itself, and what was written after the newest
//! commit or just before a crash. Invariant: each is, byte for byte, the entry that we would write for
//! the files that it adds; so none of them removes a file or says something else of one.

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::{Table, Timestamp};
use serde_json::Value;

use super::chain::Chain;
use super::history::{Actions, History, Rewrite, path_of};
use super::{Flaw, guarded};
use crate::commit::{Told, entry_of};
use crate::encode::EncodedFile;
use crate::encode::statistics::Sum;
use crate::upkeep::commit::Change;
use crate::{Advance, Cause, Version, schema, upkeep};

/// Checks the entries past the newest seal. Returns how many there are that the next seal would name;
/// the one that holds the newest seal is always there and not counted.
pub(super) async fn check(history: &History, chain: &Chain, flaws: &mut Vec<Flaw>) -> u64 {
    let table = history.table();
    let mut unsealed = 0;
    for (version, entry) in history.entries.range(chain.log_end(table)..) {
        // What cannot be read was told already.
        let Some(actions) = &entry.actions else { continue };
        let wrong = match (table, actions.identity()) {
            (Table::Events, Some(_)) => None,
            (_, Some(identity)) => written_again(history, *version, identity, actions).await.err(),
            (_, None) if history.rewrites.contains_key(version) => {
                changed_again(history, *version, actions).await.err()
            }
            (_, None) if *version == 0 && makes_a_table(actions) => None,
            (_, None) if adds_columns(history, *version, actions) => None,
            (_, None) => Some("wanted an entry that a seal names, or one of ours".to_owned()),
        };
        match wrong {
            Some(what) => flaws.push(Flaw::of(table, what).in_file(&path_of(*version))),
            None if table == Table::Seals => {}
            None => unsealed += 1,
        }
    }
    unsealed
}

fn makes_a_table(actions: &Actions) -> bool {
    actions.metadata.is_some() && actions.adds.is_empty() && actions.transactions.is_empty()
}

/// Whether the entry does nothing but give the table columns that a release knew and the one that made it
/// did not.
fn adds_columns(history: &History, version: Version, actions: &Actions) -> bool {
    let before = history.entries.range(..version).rev();
    let mut before = before.filter_map(|(_, entry)| entry.actions.as_ref()?.metadata.as_ref());
    let (Some(before), Some(found)) = (before.next(), &actions.metadata) else { return false };
    let Some(told) = before.get("schemaString") else { return false };
    let Ok(widened) = schema::widened(history.table(), told) else { return false };
    let is_widened = widened.into_iter().any(|schema| {
        let mut wanted = before.clone();
        wanted.insert("schemaString".to_owned(), schema.into());
        wanted == *found
    });
    is_widened && actions.protocol.is_none() && actions.removed.is_empty() && makes_a_table(actions)
}

/// Writes the entry again and compares.
async fn written_again(
    history: &History,
    version: Version,
    identity: &str,
    actions: &Actions,
) -> Result<(), String> {
    let wanted = "wanted an entry as we write it";
    let advance = Advance::of_identity(identity).ok_or(wanted)?;
    let time = actions.about.get("timestamp").and_then(Value::as_i64);
    let now = time.and_then(|millis| Timestamp::from_millis(millis).ok()).ok_or(wanted)?;
    let told = actions.about.get("engineInfo").and_then(Value::as_str).ok_or(wanted)?.to_owned();
    let files = encoded_again(history, identity, actions, &told).await?;
    let written = Told { files: &files, advance: &advance, now, engine: &told };
    let found = history.get(&path_of(version)).await?;
    if entry_of(history.table(), &written) == found {
        Ok(())
    } else {
        Err("its bytes are not those of an entry with these files".to_owned())
    }
}

/// Writes an entry that replaced or removed files again, and compares.
async fn changed_again(
    history: &History,
    version: Version,
    actions: &Actions,
) -> Result<(), String> {
    let wanted = "wanted an entry as we write it";
    let Rewrite { record, note, removed, .. } = &history.rewrites[&version];
    let told = actions.about.get("engineInfo").and_then(Value::as_str).ok_or(wanted)?;
    let files = encoded_again(history, &record.identity(), actions, told).await?;
    let mut gone = Vec::new();
    for path in removed {
        let known = history.removed.get(path).ok_or(wanted)?;
        gone.push((path.as_str(), known.bytes, known.month.as_deref()));
    }
    let change = Change { kind: record.kind, removed: gone, added: &files, note, now: record.time };
    let found = history.get(&path_of(version)).await?;
    if upkeep::commit::entry_of(history.table(), &change, told) == found {
        Ok(())
    } else {
        Err("its bytes are not those of an entry with these files".to_owned())
    }
}

/// The files that an entry adds, as they were encoded by `engine`.
async fn encoded_again(
    history: &History,
    identity: &str,
    actions: &Actions,
    engine: &str,
) -> Result<Vec<EncodedFile>, String> {
    let wanted = "wanted an entry as we write it";
    let mut files = Vec::new();
    for add in &actions.adds {
        let path = add.get("path").and_then(Value::as_str).ok_or(wanted)?.to_owned();
        let bytes = history.get(&path).await.map_err(|what| format!("{path}: {what}"))?;
        if !path.ends_with(&crate::encode::name_of(&bytes, identity)) {
            return Err(format!("{path}: its content is not what its name says"));
        }
        let table = history.table();
        let read = guarded(move || encoded(table, path, bytes)).await?;
        let (file, found) = read.map_err(|error| format!("a file cannot be read: {error}"))?;
        if engine != found {
            return Err(format!("wanted it written by {found}, found {engine}"));
        }
        files.push(file);
    }
    Ok(files)
}

/// A stored file as it was encoded, and by whom.
fn encoded(table: Table, path: String, bytes: Bytes) -> Result<(EncodedFile, String), Cause> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
    let engine = reader.metadata().file_metadata().created_by().unwrap_or_default().to_owned();
    let mut told = Sum::new(table);
    for rows in reader.build()? {
        told.add(&rows?);
    }
    if told.rows() == 0 {
        return Err("wanted rows, found none".into());
    }
    Ok((EncodedFile::again(path, bytes, told), engine))
}
