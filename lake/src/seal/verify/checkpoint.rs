//! Checkpoints: what repeats the entries of a log, and is believed in their place.
//!
//! Invariant: a checkpoint that a seal names has the sealed bytes, or is not there any more and there is a
//! newer one; the newest one, and each that no seal names, says what the entries up to its version say.

use std::collections::BTreeMap;

use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::super::{Seal, SealedFile};
use super::history::{Actions, History};
use super::{Flaw, guarded};
use crate::log::{POINTER, Pointer, rows_of};
use crate::{Cause, Version};

/// The part of a table's actions that a checkpoint repeats: by kind and name.
type State = BTreeMap<(&'static str, String), Value>;

/// Compares the checkpoints of a table with its log, and with the seals that name them.
pub(super) async fn check(history: &History, seals: &[Seal], flaws: &mut Vec<Flaw>) {
    let table = history.table();
    // The newest seal that names a checkpoint counts: a pointer changes with each.
    let mut sealed: BTreeMap<&str, (&SealedFile, i64)> = BTreeMap::new();
    for seal in seals {
        for (_, file) in seal.checkpoints.iter().filter(|(of, _)| *of == table) {
            sealed.insert(&file.path, (file, seal.sequence));
        }
    }
    let newest_sealed = sealed.keys().filter_map(|name| version_of(name)).max();
    let names = history.checkpoints.iter().map(String::as_str).chain(sealed.keys().copied());
    let names: std::collections::BTreeSet<&str> = names.collect();
    let newest = names.iter().filter_map(|name| version_of(name)).max();
    let newest_there = history.checkpoints.iter().filter_map(|name| version_of(name)).max();
    for name in names {
        let path = format!("_delta_log/{name}");
        let known = sealed.get(name);
        let flaw = |what: String| {
            let flaw = Flaw::of(table, what).in_file(&path);
            match known {
                Some((_, sequence)) => flaw.in_seal(*sequence),
                None => flaw,
            }
        };
        // Readers go by the newest that is there, so a vacuum deletes the older ones.
        let is_older = version_of(name) < newest_there && version_of(name).is_some();
        let bytes = match history.get_if_there(&path).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) if is_older => continue,
            Ok(None) => {
                flaws.push(flaw("wanted this file, found none".to_owned()));
                continue;
            }
            Err(what) => {
                flaws.push(flaw(what));
                continue;
            }
        };
        let is_sealed = known.is_some_and(|(file, _)| SealedFile::of(name, &bytes) == **file);
        if name == POINTER {
            if !is_sealed && let Err(what) = check_pointer(history, &bytes, newest_sealed) {
                flaws.push(flaw(what));
            }
            continue;
        }
        if known.is_some() && !is_sealed {
            flaws.push(flaw("its bytes are not those that were sealed".to_owned()));
            continue;
        }
        if (!is_sealed || version_of(name) == newest)
            && let Err(what) = check_content(history, name, bytes).await
        {
            flaws.push(flaw(what));
        }
    }
}

/// The version of a checkpoint's file.
fn version_of(name: &str) -> Option<Version> {
    name.split_once('.')?.0.parse().ok()
}

/// A pointer that is not the sealed one may only name a newer checkpoint, and one that is there.
fn check_pointer(
    history: &History,
    bytes: &Bytes,
    newest_sealed: Option<Version>,
) -> Result<(), String> {
    let pointer = Pointer::parse(bytes).map_err(|error| format!("wanted a pointer: {error}"))?;
    if newest_sealed.is_some_and(|sealed| pointer.version <= sealed) {
        return Err("its bytes are not those that were sealed".to_owned());
    }
    match pointer.names().into_iter().find(|name| !history.checkpoints.contains(name)) {
        Some(missing) => Err(format!("it names {missing}, which is not there")),
        None => Ok(()),
    }
}

/// The checkpoint says what the entries say.
async fn check_content(history: &History, name: &str, bytes: Bytes) -> Result<(), String> {
    let version = version_of(name).ok_or("wanted a checkpoint of a version")?;
    if name.matches('.').count() != 2 {
        // One of several files: only together they say what the entries say.
        return Err("wanted checkpoints of one file, which are the only ones we write".to_owned());
    }
    let found = guarded(move || said(bytes)).await?;
    let found = found.map_err(|error| format!("it cannot be read: {error}"))?;
    let wanted = replayed(history, version)?;
    // Those that removed a file are left out once nobody reads it any more.
    let is_missing = |key: &&(&str, String)| key.0 != "remove" && !found.contains_key(*key);
    if let Some((kind, name)) = wanted.keys().find(is_missing) {
        return Err(format!("wanted the {kind} {name} that the log has, found none"));
    }
    match found.iter().find(|(key, value)| wanted.get(*key) != Some(*value)) {
        Some(((kind, name), _)) => {
            Err(format!("its {kind} {name} is not what the entries of the log say"))
        }
        None => Ok(()),
    }
}

/// What the entries up to `version` say.
fn replayed(history: &History, version: Version) -> Result<State, String> {
    let mut state = State::new();
    for at in 0..=version {
        let entry = history.entries.get(&at).and_then(|entry| entry.actions.as_ref());
        let Some(Actions { adds, removed, transactions, metadata, protocol, .. }) = entry else {
            return Err(format!("entry {at} of the log, which it repeats, cannot be read"));
        };
        for path in removed {
            state.remove(&("add", path.clone()));
            state.insert(("remove", path.clone()), Value::Object(Map::new()));
        }
        for add in adds {
            note(&mut state, "add", add);
        }
        for transaction in transactions {
            note(&mut state, "txn", transaction);
        }
        if let Some(metadata) = metadata {
            note(&mut state, "metaData", metadata);
        }
        if let Some(protocol) = protocol {
            note(&mut state, "protocol", protocol);
        }
    }
    Ok(state)
}

/// What a checkpoint says.
fn said(bytes: Bytes) -> Result<State, Cause> {
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for batch in rows_of(bytes)? {
        lines.write(&batch)?;
    }
    lines.finish()?;
    let mut state = State::new();
    for line in lines.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let row: Map<String, Value> = serde_json::from_slice(line)?;
        for (kind, action) in row {
            let (Value::Object(action), Some(kind)) = (action, kind_of(&kind)) else {
                return Err(format!("wanted actions that we write, found {kind}").into());
            };
            note(&mut state, kind, &action);
        }
    }
    Ok(state)
}

fn kind_of(name: &str) -> Option<&'static str> {
    ["add", "remove", "txn", "metaData", "protocol"].into_iter().find(|kind| *kind == name)
}

/// Takes an action in, as far as it changes what a reader answers.
fn note(state: &mut State, kind: &'static str, action: &Map<String, Value>) {
    let text = |name: &str| action.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, parts): (&str, &[&str]) = match kind {
        "add" => (text("path"), &["partitionValues", "size", "modificationTime"]),
        "remove" => (text("path"), &[]),
        "txn" => (text("appId"), &["version"]),
        "metaData" => ("", &["id", "schemaString", "partitionColumns", "configuration"]),
        _ => ("", &["minReaderVersion", "minWriterVersion", "readerFeatures", "writerFeatures"]),
    };
    let mut kept: Map<String, Value> = parts
        .iter()
        .filter_map(|part| Some(((*part).to_owned(), action.get(*part)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    if kind == "add" {
        let statistics = serde_json::from_str(text("stats")).unwrap_or(Value::Null);
        kept.insert("stats".to_owned(), statistics);
        let hides = action.get("deletionVector").filter(|vector| !vector.is_null());
        kept.extend(hides.map(|vector| ("deletionVector".to_owned(), vector.clone())));
    }
    state.insert((kind, name.to_owned()), Value::Object(kept));
}
