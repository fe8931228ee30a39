//! `surety report` and the verification of its packs.
//!
//! Invariant: a pack is whole or not there: it is written beside its place and then named.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use lake::seal::PublicKey;
use query::report::{ReportError, Request, Written, write_report};
use query::{PackFlaw, PackScope, PackVerified, Subject, WriteError, verify_pack};
use serde_json::json;

use super::ask::of_query;
use super::seal;
use super::wiring::{self, Locations};
use crate::cli::{Report, ReportArgs, ReportFormat, ReportOf, Verify};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::pipeline::of_lake;
use crate::terminal::{self, counted};

/// Writes the evidence pack and tells what is in it.
///
/// # Errors
///
/// [`Exit::Usage`] for a wrong range or without a public key; [`Exit::Data`] if the lake has no seal,
/// or is not as it was sealed.
pub(super) async fn run(command: Report, config: &Config) -> Result<Exit, Failure> {
    let (subject, args) = match command {
        Report::Sponsor(ReportOf { id, report }) => (Subject::Sponsor { id }, report),
        Report::Agent(ReportOf { id, report }) => (Subject::Agent { id }, report),
        Report::Coverage(report) => (Subject::Coverage, report),
    };
    let locations = Locations::of(&args.lake, config)?;
    let key = seal::public_key(args.key.as_deref(), config, &locations)?;
    let request = Request { subject, from: args.from, to: args.to, key };
    let lake = wiring::open_lake(&locations)?;
    let out = args.out.clone().unwrap_or_else(|| path_of(&request));
    let beside = out.with_extension("zip.part");
    let file = File::create(&beside).map_err(|error| {
        Failure::new(Exit::Unavailable, error).while_doing(format!("make {}", beside.display()))
    })?;
    let mut packing = BufWriter::new(file);
    let bar = bar("reading: {wide_bar} {human_pos}/{human_len} rows");
    let written = write_report(&lake, &request, &mut packing, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    let written = written.await.map_err(of_report);
    bar.finish_and_clear();
    let written = match written {
        Ok(written) => written,
        Err(failure) => {
            // The failure is what counts; a file that stays behind is only untidy.
            drop(std::fs::remove_file(&beside));
            return Err(failure);
        }
    };
    let file = packing.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    std::fs::rename(&beside, &out)?;
    terminal::answer(&told(&args, &out, &written))?;
    Ok(Exit::Ok)
}

/// `surety-sponsor-s.meyer-2026-03-01-2026-04-01.zip`, in this folder.
fn path_of(request: &Request) -> PathBuf {
    let (kind, id) = match &request.subject {
        Subject::Sponsor { id } => ("sponsor-", id.as_str()),
        Subject::Agent { id } => ("agent-", id.as_str()),
        Subject::Coverage => ("coverage", ""),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let id: String = id.chars().map(|c| if is_plain(c) { c } else { '-' }).take(80).collect();
    let day = |time: schemas::Timestamp| time.to_string()[..10].to_owned();
    format!("surety-{kind}{id}-{}-{}.zip", day(request.from), day(request.to)).into()
}

fn told(args: &ReportArgs, out: &Path, written: &Written) -> String {
    let Written { rows, unsealed, findings, seals, files, sha256 } = written;
    if args.format == ReportFormat::Json {
        let answer = json!({
            "file": out, "sha256": sha256, "rows": rows, "unsealed": unsealed,
            "findings": findings, "seals": seals, "files": files,
        });
        return format!("{answer}\n");
    }
    let mut text = format!(
        "{}: {}, {}, {}, {}\nsha256 {sha256}\n",
        out.display(),
        counted(rows, "row"),
        counted(findings, "finding"),
        counted(seals, "seal"),
        counted(files, "file"),
    );
    if 0 < *unsealed {
        writeln!(text, "{unsealed} rows are in no seal yet: `surety seal catch-up` seals them")
            .expect("writing to a string");
    }
    text
}

fn bar(template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).expect("a valid template");
    ProgressBar::new(0).with_style(style)
}

fn of_report(error: ReportError) -> Failure {
    match error {
        ReportError::Query(error) | ReportError::Write(WriteError::Query(error)) => of_query(error),
        ReportError::Lake(error) => of_lake(error),
        error @ ReportError::Range { .. } => Failure::new(Exit::Usage, error),
        error @ (ReportError::NoSeal | ReportError::Broken { .. }) => {
            Failure::new(Exit::Data, error)
        }
        ReportError::Write(WriteError::Io(error)) => {
            Failure::from(error).while_doing("write the pack".to_owned())
        }
        ReportError::Write(error @ WriteError::Unwritable { .. }) => {
            Failure::new(Exit::Software, error)
        }
    }
}

/// The pack that was named: a file, where a lake is a folder or a URL.
pub(super) fn pack_of(args: &Verify) -> Option<&Path> {
    let path = Path::new(args.lake.as_deref()?);
    path.is_file().then_some(path)
}

/// Verifies a pack and prints what is wrong with it.
///
/// # Errors
///
/// [`Exit::Usage`] for a wrong key or seals, [`Exit::Data`] if the file cannot be opened.
pub(super) fn verify(path: &Path, args: &Verify) -> Result<Exit, Failure> {
    if args.seals.is_some() {
        let text = "--seals is for a lake: a pack is verified whole".to_owned();
        return Err(Failure::told(Exit::Usage, text));
    }
    let key = args.key.as_deref().map(PublicKey::parse).transpose();
    let key =
        key.map_err(|error| Failure::new(Exit::Usage, error).while_doing("read --key".to_owned()))?;
    let head = args.head.as_deref().map(seal::read_head).transpose()?;
    let file = File::open(path).map_err(|error| {
        Failure::new(Exit::Data, error).while_doing(format!("open {}", path.display()))
    })?;
    let bar = bar("verifying: {wide_bar} {human_pos}/{human_len} rows");
    let scope = PackScope { key, head };
    let verified = verify_pack(file, &scope, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let text = match args.format {
        ReportFormat::Json => format!("{:#}\n", as_json(&verified)),
        ReportFormat::Table => as_text(&verified, scope.key.is_some()),
    };
    terminal::answer(&text)?;
    Ok(if verified.is_intact() { Exit::Ok } else { Exit::Found })
}

fn as_json(verified: &PackVerified) -> serde_json::Value {
    let flaw = |flaw: &PackFlaw| {
        json!({
            "file": flaw.file, "row": flaw.row, "record": flaw.record, "seal": flaw.seal,
            "what": flaw.what,
        })
    };
    let newest = verified.newest.as_ref().map(
        |(sequence, time, sha256)| json!({"sequence": sequence, "time": time, "sha256": sha256}),
    );
    json!({
        "is_intact": verified.is_intact(),
        "subject": verified.subject,
        "from": verified.from,
        "to": verified.to,
        "rows": verified.rows,
        "proven": verified.proven,
        "unsealed": verified.unsealed,
        "seals": verified.seals,
        "files": verified.files,
        "key": verified.key.as_ref().map(ToString::to_string),
        "newest_seal": newest,
        "written_by": verified.written_by,
        "flaws": verified.flaws.iter().map(flaw).collect::<Vec<_>>(),
    })
}

fn as_text(verified: &PackVerified, is_key_named: bool) -> String {
    let mut text = String::new();
    let mut tell = |line: String| writeln!(text, "{line}").expect("writing to a string");
    for flaw in &verified.flaws {
        tell(flaw.to_string());
    }
    let PackVerified { rows, proven, unsealed, seals, files, .. } = verified;
    let (rows, seals) = (counted(rows, "row"), counted(seals, "seal"));
    tell(format!("{rows}, {proven} of them proven, {seals}, {}", counted(files, "file")));
    if 0 < *unsealed {
        tell(format!(
            "{unsealed} rows were in no seal when the pack was made: they are not proven"
        ));
    }
    if let Some((sequence, time, sha256)) = &verified.newest {
        tell(format!("newest seal {sequence} of {time}, sha256 {sha256}"));
    }
    if let Some(release) = &verified.written_by {
        tell(format!("the page was written by release {release}, and not made again by this one"));
    }
    match &verified.key {
        Some(key) if is_key_named => tell(format!("key {key}")),
        Some(key) => tell(format!(
            "key {key}: the pack's own; compare it with the one that the operator published, or name that with --key"
        )),
        None => {}
    }
    tell(match (verified.is_intact(), verified.flaws.len()) {
        (true, _) => "intact: every row is as it was sealed".to_owned(),
        (false, 0) => "NOT PROVEN: not every row is in a seal".to_owned(),
        (false, flaws) => format!("NOT INTACT: {flaws} flaws"),
    });
    text
}
