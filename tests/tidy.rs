//! What the compiler does not check: who may depend on whom, names, lengths, leftovers.
//!
//! Invariant: each rule is a pure function from text to a list of violations, and has a test in
//! [`each_rule_can_fail`] that shows it finding one. The tests above them read the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Which crate of ours may depend on which. What is not here is not drawn in the architecture.
const EDGES: &[(&str, &[&str])] = &[
    ("schemas", &[]),
    ("lake", &["schemas"]),
    ("ingest", &["schemas"]),
    // Its tests watch the simulated company.
    ("detect", &["schemas", "simulate"]),
    ("simulate", &["schemas"]),
    ("query", &["schemas", "lake"]),
    ("surety", &["schemas", "lake", "ingest", "detect", "query", "simulate"]),
];

const EVERYONE: &[&str] = &["*"];

/// The crates of ours that may name an external crate. A new dependency is a new line here, and a
/// new owner is a change of the architecture: write a decision record.
const OWNERS: &[(&str, &[&str])] = &[
    ("aho-corasick", &["ingest"]),
    ("anyhow", &["surety"]),
    ("arrow", &["schemas", "lake", "query", "surety"]),
    ("async-trait", &["lake", "query"]),
    ("axum", &["detect", "surety"]),
    ("base64", &["lake", "ingest", "detect"]),
    ("blake3", &["schemas", "ingest"]),
    ("bytes", &["lake"]),
    ("clap", &["surety"]),
    ("comfy-table", &["query"]),
    ("console", &["surety"]),
    ("crc32fast", &["detect"]),
    ("csv", &["ingest"]),
    ("datafusion", &["lake", "query"]),
    ("deltalake", &["lake"]),
    ("divan", &["surety"]),
    ("flate2", &["ingest", "query"]),
    ("foldhash", &["schemas", "detect"]),
    ("futures", &["lake", "query", "surety"]),
    ("hashbrown", &["detect"]),
    ("hdrhistogram", &["surety"]),
    ("hmac", &["detect", "ingest"]),
    ("icu_normalizer", &["ingest"]),
    ("hyper", &["surety"]),
    ("hyper-util", &["surety"]),
    ("indicatif", &["query", "surety"]),
    ("jiff", &["schemas", "detect"]),
    ("memchr", &["ingest"]),
    ("metrics", &["surety"]),
    ("metrics-exporter-prometheus", &["surety"]),
    ("mimalloc", &["surety"]),
    ("object_store", &["lake"]),
    ("parquet", &["lake", "query", "surety"]),
    ("pdf-writer", &["query"]),
    ("plotters", &["surety"]),
    ("proptest", EVERYONE),
    ("rand_chacha", &["simulate"]),
    ("rayon", &["ingest", "detect", "surety"]),
    ("rdkafka", &["ingest", "surety"]),
    ("redb", &["detect"]),
    ("reedline", &["query"]),
    ("reqwest", &["detect"]),
    ("ring", &["lake"]),
    ("rlimit", &["surety"]),
    ("saphyr-parser", &["ingest"]),
    ("schemars", &["schemas"]),
    ("secrecy", &["detect", "surety"]),
    ("serde", EVERYONE),
    ("serde_json", EVERYONE),
    ("serde_path_to_error", &["ingest"]),
    ("sha2", &["detect", "ingest", "query"]),
    ("sqllogictest", &["query"]),
    // The verifier that is not ours.
    ("standardwebhooks", &["detect", "surety"]),
    ("statrs", &["detect"]),
    ("tempfile", EVERYONE),
    ("thiserror", EVERYONE),
    ("tokio", &["lake", "ingest", "detect", "query", "surety"]),
    ("tokio-util", &["detect", "surety"]),
    ("toml", &["surety"]),
    ("tracing", &["lake", "ingest", "detect", "query", "surety"]),
    ("tracing-subscriber", &["surety"]),
    ("ttf-parser", &["query"]),
    ("unicode-width", &["query"]),
    ("url", &["lake", "detect"]),
    ("zstd", &["ingest", "detect", "surety"]),
];

/// Two of one of these in a build do not understand each other's types, or double its size.
const SINGLE: &[&str] =
    &["arrow", "parquet", "datafusion", "object_store", "rdkafka", "axum", "deltalake-core"];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "manager", "managers", "helper", "helpers", "common", "misc"];

const LINES_MAX: usize = 500;

// The tree against the rules.

#[test]
fn crates_depend_on_each_other_only_as_the_architecture_draws() {
    let members = members();
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, EDGES.iter().map(|(name, _)| *name).collect(), "EDGES lists the members");

    none(members.iter().flat_map(|member| undrawn_edges(&member.name, &member.dependencies)));
}

#[test]
fn every_external_crate_has_an_owner_and_no_other_user() {
    let members = members();
    let declared = members.iter().flat_map(|member| member.dependencies.clone()).collect();
    let workspace = parsed(&text_at("Cargo.toml"));
    let listed = workspace["workspace"]["dependencies"].as_table().expect("it is a table");
    let owned = OWNERS.iter().map(|(name, _)| (*name).to_owned());

    let mut violations = idle_names("OWNERS", owned, &declared);
    violations.extend(idle_names("[workspace.dependencies]", listed.keys().cloned(), &declared));
    for member in &members {
        violations.extend(foreign_crates(&member.name, &member.dependencies));
    }
    none(violations);
}

#[test]
fn sources_name_only_crates_that_are_theirs() {
    let mut violations = Vec::new();
    for member in members() {
        let sources: Vec<TextFile> = files_of(&member);
        let modules: BTreeSet<String> =
            sources.iter().flat_map(|file| module_names(&file.path)).collect();
        for file in &sources {
            let found = foreign_paths(&member.name, &file.text, &modules);
            violations.extend(found.into_iter().map(|found| format!("{}: {found}", file.path)));
        }
    }

    none(violations);
}

#[test]
fn files_are_short_enough_to_read() {
    none(rust_files().iter().filter_map(|file| too_long(&file.path, &file.text)));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    none(
        members()
            .iter()
            .filter(|member| !takes_workspace_lints(&member.manifest))
            .map(|member| format!("{}: [lints] workspace = true is missing", member.name)),
    );
}

#[test]
fn one_arrow_one_delta_one_of_each_in_the_lock() {
    none(several_versions(&parsed(&text_at("Cargo.lock"))));
}

#[test]
fn names_say_what_is_inside() {
    none(rust_files().iter().flat_map(|file| empty_names(&file.path, &file.text)));
}

#[test]
fn nothing_is_left_for_later() {
    none(files().iter().filter(|file| is_ours_to_run(&file.path)).flat_map(|file| {
        leftovers(&file.text).into_iter().map(|found| format!("{}:{found}", file.path))
    }));
}

#[test]
fn no_source_names_a_place_on_one_machine() {
    let is_of_container = |path: &str| {
        path.contains("Dockerfile")
            || path.ends_with("docker-compose.yml")
            || path == ".dockerignore"
    };
    none(files().iter().filter(|file| !is_of_container(&file.path)).flat_map(|file| {
        machine_paths(&file.text).into_iter().map(|found| format!("{}:{found}", file.path))
    }));
}

#[test]
fn every_source_opens_with_what_it_is() {
    let of_crates = members().into_iter().flat_map(|member| files_of(&member));
    none(
        of_crates
            .filter(|file| file.path.contains("src/") && !opens_with_doc(&file.text))
            .map(|file| format!("{}: does not open with //!", file.path)),
    );
}

#[test]
fn the_readme_names_the_two_commands_of_a_newcomer() {
    none(missing_commands(&text_at("README.md")));
}

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
    let code: String = rust_files().into_iter().map(|file| file.text).collect();
    none(missing_tests(&text_at("docs/faults.md"), &code));
}

#[test]
fn every_decision_is_numbered_and_linked() {
    let indexes = ["docs/architecture.md", "docs/decisions/README.md"];
    let linking: String = indexes.iter().map(|path| text_at(path)).collect();
    let names: Vec<String> = files()
        .iter()
        .filter_map(|file| file.path.strip_prefix("docs/decisions/"))
        .filter(|name| *name != "README.md")
        .map(str::to_owned)
        .collect();

    none(loose_decisions(&names, &linking));
}

// The rules.

fn undrawn_edges(member: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let drawn = EDGES.iter().find(|(name, _)| *name == member).map_or(&[][..], |(_, to)| *to);
    dependencies
        .iter()
        .filter(|name| EDGES.iter().any(|(ours, _)| ours == name))
        .filter(|name| !drawn.contains(&name.as_str()))
        .map(|name| format!("{member} -> {name}: the architecture draws no such edge"))
        .collect()
}

fn foreign_crates(member: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let external = dependencies.iter().filter(|name| EDGES.iter().all(|(ours, _)| ours != name));
    external
        .filter_map(|name| match owners_of(name) {
            None => Some(format!("{member}: {name} is a new dependency without a line in OWNERS")),
            Some(owners) if owns(owners, member) => None,
            Some(owners) => Some(format!("{member}: {name} belongs to {}", owners.join(", "))),
        })
        .collect()
}

/// Names in one of our lists that no crate depends on.
fn idle_names(
    list: &str,
    names: impl Iterator<Item = String>,
    declared: &BTreeSet<String>,
) -> Vec<String> {
    names
        .filter(|name| !declared.contains(name))
        .map(|name| format!("{list} has {name}, and no crate depends on it"))
        .collect()
}

/// Paths in the code that reach an external crate `member` does not own, by its own name or
/// through what another crate re-exports (`deltalake::datafusion`).
fn foreign_paths(member: &str, source: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in code_paths(source) {
        let [first, second] = [path.first(), path.get(1)];
        let Some(first) = first.filter(|name| !modules.contains(*name)) else { continue };
        let is_crate = owners_of(first).is_some() || EDGES.iter().any(|(ours, _)| ours == first);
        let reached = [Some(first), second.filter(|_| is_crate)];
        for name in reached.into_iter().flatten() {
            if let Some(owners) = owners_of(name).filter(|owners| !owns(owners, member)) {
                found.insert(format!("{} belongs to {}", path.join("::"), owners.join(", ")));
            }
        }
    }
    found
}

/// Counts up to the module of unit tests; files of tests have no limit.
fn too_long(path: &str, text: &str) -> Option<String> {
    let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opens_tests = |at: &usize| {
        let mut rest = lines[at + 1..].iter().skip_while(|line| line.starts_with("#["));
        lines[*at] == "#[cfg(test)]" && rest.next().is_some_and(|line| line.starts_with("mod "))
    };
    let count = (0..lines.len()).find(opens_tests).unwrap_or(lines.len());
    (!is_test && LINES_MAX < count)
        .then(|| format!("{path}: {count} lines without tests, {LINES_MAX} are the most"))
}

fn takes_workspace_lints(manifest: &toml::Table) -> bool {
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    lints.and_then(toml::Value::as_bool) == Some(true)
}

fn several_versions(lock: &toml::Table) -> Vec<String> {
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages.into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str).unwrap_or("");
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    SINGLE
        .iter()
        .filter(|name| versions.get(*name).map_or(0, BTreeSet::len) != 1)
        .map(|name| {
            format!("Cargo.lock has {name} in {:?}, not in one version", versions.get(name))
        })
        .collect()
}

fn empty_names(path: &str, source: &str) -> Vec<String> {
    let is_empty = |name: &str| name.split('_').any(|word| EMPTY_NAMES.contains(&word));
    let mut found: Vec<String> = path
        .split('/')
        .map(|part| part.trim_end_matches(".rs"))
        .filter(|part| is_empty(part))
        .map(|part| format!("{path}: {part} says nothing of what is inside"))
        .collect();
    if path.ends_with("mod.rs") && path.contains("src/") {
        found.push(format!("{path}: name the file after the module, beside its folder"));
    }
    let code = code_of(source);
    let words = tokens(&code);
    let modules = words.windows(2).filter(|pair| pair[0] == "mod" && is_empty(pair[1]));
    found.extend(modules.map(|pair| format!("{path}: mod {} says nothing", pair[1])));
    found
}

/// Marks of unfinished work, each as `line: mark`. They are put together here so that this file
/// does not hold them.
fn leftovers(text: &str) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let calls = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("#[", "ignore")];
    let is_word_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let holds_word = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) =
                (line[..at].bytes().last(), line[at + word.len()..].bytes().next());
            ![before, after].into_iter().flatten().any(is_word_byte)
        })
    };
    numbered(text, |line| {
        let word = words.into_iter().find(|word| holds_word(line, word));
        word.or_else(|| calls.into_iter().find(|call| line.contains(call))).map(str::to_owned)
    })
}

/// Absolute paths that are right on one machine only. `https://corp/home/` is none of them.
fn machine_paths(text: &str) -> Vec<String> {
    let places = ["tmp", "root", "home", "work"].map(|name| format!("/{name}/"));
    let starts_here = |line: &str, at: usize| {
        let before = line[..at].chars().last();
        !before.is_some_and(|char| char.is_alphanumeric() || "._-*})>]/".contains(char))
    };
    numbered(text, |line| {
        let is_in = |place: &&String| {
            line.match_indices(place.as_str()).any(|(at, _)| starts_here(line, at))
        };
        places.iter().find(is_in).cloned()
    })
}

fn opens_with_doc(source: &str) -> bool {
    source.starts_with("//!")
}

fn missing_commands(readme: &str) -> Vec<String> {
    ["cargo run --release -- demo", "make test"]
        .into_iter()
        .filter(|command| !readme.contains(command))
        .map(|command| format!("README.md does not name `{command}`"))
        .collect()
}

/// Tests that a table names and nobody wrote.
fn missing_tests(page: &str, code: &str) -> Vec<String> {
    let is_name = |word: &&str| {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        2 <= word.matches('_').count() && word.chars().all(is_letter)
    };
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(is_name);
    names
        .filter(|name| !code.contains(&format!("fn {name}(")))
        .map(|name| format!("docs/faults.md names the test {name}, and there is none"))
        .collect()
}

/// `names` are the files in the folder of decisions; `linking` is the text that links them.
fn loose_decisions(names: &[String], linking: &str) -> Vec<String> {
    let number = |name: &str| -> Option<usize> {
        let (digits, _) = name.strip_suffix(".md")?.split_once('-')?;
        if digits.len() == 4 { digits.parse().ok() } else { None }
    };
    let mut violations = Vec::new();
    let mut numbers = Vec::new();
    for name in names {
        match number(name) {
            Some(number) => numbers.push(number),
            None => violations.push(format!("{name}: a decision is named NNNN-what.md")),
        }
        if !linking.contains(name.as_str()) {
            violations.push(format!("{name}: no page links to it"));
        }
    }
    numbers.sort_unstable();
    let misnumbered = (1..).zip(&numbers).find(|(due, found)| due != *found);
    violations.extend(
        misnumbered.map(|(due, found)| format!("decision {due:04} is due, not {found:04}")),
    );
    violations
}

// Reading Rust, as far as the rules need it.

/// `source` with comments, strings and characters blanked out; lines stay where they are.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = literal_or_comment(rest).unwrap_or(0);
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..length].chars().filter(|char| *char == '\n'));
            rest = &rest[length..];
        }
    }
    code
}

/// The bytes of the comment, string or character that `rest` opens with.
fn literal_or_comment(rest: &str) -> Option<usize> {
    let until = |from: usize, end: &str| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(until(2, "*/"));
    }
    let opening = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let prefix = rest.len() - opening.len();
    if let Some(raw) = opening.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let is_string = raw[hashes..].starts_with('"');
        return is_string.then(|| until(prefix + hashes + 2, &format!("\"{}", "#".repeat(hashes))));
    }
    if opening.starts_with('"') {
        return Some(prefix + quoted_length(opening, '"'));
    }
    let mut after = opening.strip_prefix('\'')?.chars();
    match (after.next(), after.next()) {
        (Some('\\'), _) => Some(prefix + quoted_length(opening, '\'')),
        (Some(char), Some('\'')) => Some(prefix + 2 + char.len_utf8()),
        _ => None, // A lifetime.
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Words, `::`, and every other character that is not a space, in order.
fn tokens(code: &str) -> Vec<&str> {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if is_word(first) => rest.find(|char| !is_word(char)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Every path of two or more names, and every `use`, with its braces multiplied out.
fn code_paths(source: &str) -> Vec<Vec<String>> {
    let code = code_of(source);
    let tokens = tokens(&code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut paths);
            continue;
        }
        let before = at.checked_sub(1).map_or("", |before| tokens[before]);
        let (path, next) = path_at(&tokens, at);
        if 1 < path.len() && before != "." {
            paths.push(path);
        }
        at = next.max(at + 1);
    }
    paths
}

/// Reads one branch of a `use` and returns the index behind it.
fn use_tree(
    tokens: &[&str],
    start: usize,
    prefix: &[String],
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let leading = usize::from(tokens.get(start) == Some(&"::"));
    let (names, mut at) = path_at(tokens, start + leading);
    let path = [prefix, &names].concat();
    if tokens.get(at) == Some(&"{") {
        at += 1;
        while at < tokens.len() && tokens[at] != "}" {
            at = use_tree(tokens, at, &path, paths);
            at += usize::from(tokens.get(at) == Some(&","));
        }
        return at + 1;
    }
    paths.push(path);
    // What is left of the branch: `*`, or `as` and a name.
    while at < tokens.len() && ![",", "}", ";"].contains(&tokens[at]) {
        at += 1;
    }
    at
}

/// The names joined by `::` from `start` on, and the index behind them and a last `::`.
fn path_at(tokens: &[&str], start: usize) -> (Vec<String>, usize) {
    let is_name = |token: &str| token.starts_with(|char: char| char.is_alphabetic() || char == '_');
    let mut names = Vec::new();
    let mut at = start;
    while let Some(name) = tokens.get(at).filter(|token| is_name(token)) {
        names.push((*name).to_owned());
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    (names, at)
}

/// `lake/src/commit/retry.rs` holds the modules `commit` and `retry`.
fn module_names(path: &str) -> Vec<String> {
    let inside = path.rsplit_once("src/").map_or("", |(_, inside)| inside);
    inside.split('/').map(|part| part.trim_end_matches(".rs").to_owned()).collect()
}

fn owners_of(name: &str) -> Option<&'static [&'static str]> {
    let line = OWNERS.iter().find(|(owned, _)| owned.replace('-', "_") == name.replace('-', "_"));
    line.map(|(_, owners)| *owners)
}

fn owns(owners: &[&str], member: &str) -> bool {
    owners == EVERYONE || owners.contains(&member)
}

fn numbered(text: &str, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let lines = (1..).zip(text.lines());
    lines.filter_map(|(number, line)| Some(format!("{number}: {}", find(line)?))).collect()
}

// Reading the tree.

struct TextFile {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

struct Member {
    name: String,
    /// Empty for the root package.
    folder: String,
    manifest: toml::Table,
    dependencies: BTreeSet<String>,
}

fn none(violations: impl IntoIterator<Item = String>) {
    let violations: Vec<String> = violations.into_iter().collect();
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

fn root() -> &'static Path {
    Path::new(".")
}

/// The text of one file, empty when it is not there.
fn text_at(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

fn parsed(text: &str) -> toml::Table {
    text.parse().expect("cargo has read the same file")
}

fn members() -> Vec<Member> {
    let workspace = parsed(&text_at("Cargo.toml"));
    let folders = workspace["workspace"]["members"].as_array().expect("members is a list");
    let folders = folders.iter().map(|folder| folder.as_str().expect("a member is a folder"));
    folders
        .map(|folder| {
            let manifest = parsed(&text_at(&format!("{folder}/Cargo.toml")));
            Member {
                name: manifest["package"]["name"]
                    .as_str()
                    .expect("a package has a name")
                    .to_owned(),
                folder: folder.trim_matches('.').to_owned(),
                dependencies: dependencies_of(&manifest),
                manifest,
            }
        })
        .collect()
}

/// All packages a manifest names: for the build, the tests, the build script and one platform.
fn dependencies_of(manifest: &toml::Table) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(toml::Table::values);
    let places = platforms.filter_map(toml::Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = places.flat_map(|place| kinds.iter().filter_map(|kind| place.get(*kind)));
    let packages = tables.filter_map(toml::Value::as_table).flatten().map(|(name, value)| {
        value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
    });
    packages.collect()
}

/// The Rust files of one crate; the root package has `src`, `tests` and `benches`.
fn files_of(member: &Member) -> Vec<TextFile> {
    let folders: Vec<String> = ["src", "tests", "benches", "examples"]
        .iter()
        .map(|part| format!("{}/{part}/", member.folder).trim_start_matches('/').to_owned())
        .collect();
    let mut found = rust_files();
    found.retain(|file| folders.iter().any(|folder| file.path.starts_with(folder.as_str())));
    assert!(!found.is_empty(), "{} has Rust files", member.name);
    found
}

fn rust_files() -> Vec<TextFile> {
    let mut found = files();
    found.retain(|file| is_rust(&file.path));
    found
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

fn files() -> Vec<TextFile> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Text files below `folder`, without git's own and without caches: cargo and others tag those.
fn collect(folder: &Path, found: &mut Vec<TextFile>) {
    if folder.join("CACHEDIR.TAG").exists() {
        return;
    }
    for entry in fs::read_dir(folder).expect("the tree can be read") {
        let entry = entry.expect("the tree can be read");
        let name = entry.file_name();
        let is_foreign = [
            ".git",
            "target",
            "surety-data",
            "surety-demo",
            "surety-state",
            "Cargo.lock",
            "LICENSE",
        ];
        if is_foreign.iter().any(|foreign| name == *foreign) {
            continue;
        }
        let kind = entry.file_type().expect("the tree can be read");
        if kind.is_dir() {
            collect(&entry.path(), found);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            let path = entry.path();
            let path = path.strip_prefix(root()).expect("the walk starts at the root");
            let path = path.to_str().expect("our names are ASCII").to_owned();
            found.push(TextFile { path, text });
        }
    }
}

/// Code and configuration, but neither prose nor recorded input.
fn is_ours_to_run(path: &str) -> bool {
    let kinds = ["rs", "toml", "yml", "yaml", "xml", "sql", "slt", "py", "sh"];
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, kind)) => kinds.contains(&kind),
        None => ["Makefile", "Dockerfile", "run"].contains(&name),
    }
}

/// A rule that finds nothing in a clean tree proves little before it has found something.
mod each_rule_can_fail {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_test_that_is_named_and_not_there_is_found() {
        let page = "| E01 | `whatever_goes_wrong`, `what_is_not_there` | `make faults` |";

        let found = missing_tests(page, "fn whatever_goes_wrong() {}");

        assert_eq!(found, ["docs/faults.md names the test what_is_not_there, and there is none"]);
    }

    #[test]
    fn an_edge_between_two_crates_of_one_floor_is_found() {
        let found = undrawn_edges("ingest", &set(&["schemas", "detect", "serde"]));

        assert_eq!(found, ["ingest -> detect: the architecture draws no such edge"]);
    }

    #[test]
    fn dev_and_platform_dependencies_are_dependencies() {
        let manifest = parsed(
            "[dependencies]\na = '1'\n[dev-dependencies]\nb.workspace = true\n\
             [target.'cfg(unix)'.dependencies]\nc = { version = '1', package = 'd' }",
        );

        assert_eq!(dependencies_of(&manifest), set(&["a", "b", "d"]));
    }

    #[test]
    fn a_crate_outside_its_owner_and_a_crate_without_one_are_found() {
        let found = foreign_crates("query", &set(&["deltalake", "leftpad", "serde", "lake"]));

        assert_eq!(
            found,
            [
                "query: deltalake belongs to lake",
                "query: leftpad is a new dependency without a line in OWNERS"
            ]
        );
    }

    #[test]
    fn a_listed_crate_that_nobody_uses_is_found() {
        let listed = ["redb", "serde"].map(str::to_owned).into_iter();

        let found = idle_names("OWNERS", listed, &set(&["serde"]));

        assert_eq!(found, ["OWNERS has redb, and no crate depends on it"]);
    }

    #[test]
    fn a_foreign_crate_is_found_however_it_is_written() {
        for source in [
            "use rdkafka::ClientConfig;",
            "use rdkafka as kafka;",
            "pub(crate) use ::{std::fmt, rdkafka::{self as kafka}};",
            "fn f() -> rdkafka::Offset { 0 }",
            "let x = ingest::rdkafka::VERSION;",
            "let quote = '\"'; rdkafka::f(); let other = '\"';",
            "let r = r#\"a \" b\"#; rdkafka::f();",
            "fn f<'a>(x: &'a str) { rdkafka::f() }",
        ] {
            assert_eq!(foreign_paths("query", source, &set(&[])).len(), 1, "{source}");
        }
    }

    #[test]
    fn a_name_that_is_no_path_to_the_crate_is_not_found() {
        for source in [
            "// use rdkafka::x;\n/* rdkafka::y */",
            "let text = \"rdkafka::x \\\" rdkafka::y\";",
            "let text = r#\"rdkafka::x\"#;",
            "let rdkafka = 1; f(rdkafka);",
            "use datafusion::execution::object_store::ObjectStoreUrl;",
            "use crate::{metrics::Counter, statrs::x};",
            "text.url::<u8>();",
            "use local::x; local::f();",
        ] {
            assert_eq!(foreign_paths("query", source, &set(&["local"])), set(&[]), "{source}");
        }
    }

    #[test]
    fn a_module_of_the_crate_hides_the_external_crate() {
        let found = |modules| foreign_paths("detect", "use metrics::Counter;", modules);

        let modules = module_names("detect/src/metrics.rs").into_iter().collect();

        assert_eq!(found(&modules), set(&[]));
        assert_eq!(found(&set(&[])), set(&["metrics::Counter belongs to surety"]));
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "let x = 1;\n".repeat(LINES_MAX);
        let tested = format!("{code}#[cfg(test)]\n#[expect(x)]\nmod tests {{\n{code}}}\n");
        let helped = format!("#[cfg(test)]\nfn f() {{}}\n{code}");

        assert_eq!(too_long("lake/src/a.rs", &tested), None);
        assert_eq!(too_long("tests/a.rs", &helped), None);
        assert_eq!(
            too_long("lake/src/a.rs", &helped).unwrap(),
            "lake/src/a.rs: 502 lines without tests, 500 are the most"
        );
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        assert!(takes_workspace_lints(&parsed("lints.workspace = true")));
        assert!(takes_workspace_lints(&parsed("[lints]\nworkspace = true")));
        assert!(!takes_workspace_lints(&parsed("[lints]\nworkspace = false")));
        assert!(!takes_workspace_lints(&parsed("[package]\nname = 'x'")));
    }

    #[test]
    fn a_second_arrow_and_a_missing_one_are_found() {
        let package = |name: &str, version: &str| {
            format!("[[package]]\nname = '{name}'\nversion = '{version}'\n")
        };
        let clean: String = SINGLE.iter().map(|name| package(name, "1.0.0")).collect();
        let second = format!("{clean}{}", package("arrow", "2.0.0"));

        assert_eq!(several_versions(&parsed(&clean)), [""; 0]);
        assert_eq!(several_versions(&parsed(&second)).len(), 1);
        assert_eq!(several_versions(&parsed(&package("arrow", "1.0.0"))).len(), SINGLE.len() - 1);
    }

    #[test]
    fn an_empty_name_is_found_in_a_path_and_in_a_module() {
        assert_eq!(empty_names("lake/src/commit.rs", "mod retry;"), [""; 0]);
        assert_eq!(empty_names("lake/src/string_utils.rs", "").len(), 1);
        assert_eq!(empty_names("lake/src/helpers/time.rs", "").len(), 1);
        assert_eq!(empty_names("lake/src/commit/mod.rs", "").len(), 1);
        assert_eq!(empty_names("lake/src/lib.rs", "pub mod common { }").len(), 1);
    }

    #[test]
    fn unfinished_work_is_found_as_a_word_only() {
        let marks = [concat!("TO", "DO"), concat!("to", "do!()"), concat!("#[", "ignore]")];
        let text = format!("a\n// {}: b\n{}\n{}\nAKIAXXXX\n", marks[0], marks[1], marks[2]);

        let found = leftovers(&text);

        let lines: Vec<&str> = found.iter().map(|found| &found[..2]).collect();
        assert_eq!(lines, ["2:", "3:", "4:"]);
    }

    #[test]
    fn a_place_on_one_machine_is_found_and_an_address_is_not() {
        let places = concat!("a = \"/", "tmp/x\"\n(/", "home/me)\n/", "root/.cargo\n/", "work/a");
        let addresses = "https://corp/home/a\n$DIR/tmp/x?\n{root}/tmp/x\nsrc/work/x";

        assert_eq!(machine_paths(places).len(), 4);
        assert_eq!(machine_paths(addresses), [""; 0]);
    }

    #[test]
    fn a_source_without_an_opening_is_found() {
        assert!(opens_with_doc("//! What it is.\n"));
        assert!(!opens_with_doc("use std::fmt;\n//! Late.\n"));
    }

    #[test]
    fn a_readme_without_the_commands_is_found() {
        assert_eq!(missing_commands("`cargo run --release -- demo` and `make test`"), [""; 0]);
        assert_eq!(missing_commands("make tests").len(), 1);
        assert_eq!(missing_commands("").len(), 2);
    }

    #[test]
    fn a_gap_a_wrong_name_and_a_missing_link_are_found() {
        let names = |names: &[&str]| set(names).into_iter().collect::<Vec<_>>();

        assert_eq!(
            loose_decisions(&names(&["0001-a.md", "0002-b.md"]), "0001-a.md 0002-b.md"),
            [""; 0]
        );
        assert_eq!(
            loose_decisions(&names(&["0001-a.md", "0003-b.md"]), "0001-a.md 0003-b.md"),
            ["decision 0002 is due, not 0003"]
        );
        assert_eq!(loose_decisions(&names(&["0001-a.md"]), ""), ["0001-a.md: no page links to it"]);
        assert_eq!(loose_decisions(&names(&["first.md"]), "first.md").len(), 1);
    }
}
