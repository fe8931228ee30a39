//! `surety lake`: how the lake stands, and its upkeep by hand.
//!
//! Invariant: what is done by hand is what `surety run` does, under the same lease. Without a key nothing
//! is changed; a dry run changes nothing at all.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use lake::upkeep::{
    Compacted, Done, Group, Horizon, Lease, LeaseError, Pace, Sizes, TableStatus, Taken, Upkeep,
};
use schemas::Table;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::wiring::{self, Locations};
use crate::cli::{Lake, LakeArg, LakeCompact, LakeRetain, LakeStatus, LakeVacuum, ReportFormat};
use crate::clock;
use crate::config::{Config, HorizonHours};
use crate::exit::{Exit, Failure};
use crate::pipeline::of_lake;
use crate::terminal::{self, counted};
use crate::upkeep::{LEASE, Plan};

/// Does what was asked.
///
/// # Errors
///
/// [`Exit::Unavailable`] if the storage does not answer, or another process keeps the lake right now.
pub(super) async fn run(
    command: Lake,
    config: &Config,
    stop: CancellationToken,
) -> Result<Exit, Failure> {
    match command {
        Lake::Status(args) => status(&args, config).await,
        Lake::Compact(args) => compact(&args, config, &stop).await,
        Lake::Vacuum(args) => vacuum(&args, config, &stop).await,
        Lake::Retain(args) => retain(&args, config, &stop).await,
    }
}

async fn status(args: &LakeStatus, config: &Config) -> Result<Exit, Failure> {
    let locations = Locations::of(&args.lake, config)?;
    let lake = wiring::open_lake(&locations)?;
    let plan = Plan::of(&config.lake);
    let HorizonHours(horizon) = plan.horizon;
    let sizes = plan.sizes[&Table::Events];
    let standing = Upkeep::status(&lake, sizes, Some((horizon, clock::now()))).await;
    let standing = standing.map_err(of_lake)?;
    let done = Lease::done_in(&lake).await.map_err(of_lease)?;
    let done = |table: Table| done.get(table.name()).copied().unwrap_or_default();
    let text = match args.format {
        ReportFormat::Json => {
            let all = standing.iter().map(|one| as_json(one, done(one.table)));
            format!("{:#}\n", json!({"tables": all.collect::<Vec<_>>()}))
        }
        ReportFormat::Table => as_text(&standing, done),
    };
    terminal::answer(&text)?;
    Ok(Exit::Ok)
}

fn as_json(standing: &TableStatus, done: Done) -> Value {
    json!({
        "table": standing.table.name(),
        "version": standing.version,
        "files": standing.files,
        "small_files": standing.small_files,
        "rows": standing.rows,
        "bytes": standing.bytes,
        "bytes_per_row": per_row(standing),
        "months": standing.months,
        "oldest": standing.oldest,
        "newest": standing.newest,
        "log_entries": standing.log_entries,
        "kept_files": standing.kept.files,
        "kept_bytes": standing.kept.bytes,
        "orphans": standing.orphans.files,
        "orphan_bytes": standing.orphans.bytes,
        "unsealed_commits": standing.unsealed_commits,
        "compacted": done.compacted,
        "vacuumed": done.vacuumed,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_row(standing: &TableStatus) -> Option<f64> {
    let per_row = standing.bytes as f64 / standing.rows as f64;
    (0 < standing.rows).then(|| (per_row * 10.0).round() / 10.0)
}

fn as_text(standing: &[TableStatus], done: impl Fn(Table) -> Done) -> String {
    if standing.is_empty() {
        return "the lake has no table yet\n".to_owned();
    }
    let mut text = String::new();
    for one in standing {
        let Done { compacted, vacuumed } = done(one.table);
        let shown = |time: Option<schemas::Timestamp>| {
            time.map_or_else(|| "never".to_owned(), |time| time.to_string())
        };
        let bytes_per_row =
            per_row(one).map_or_else(String::new, |bytes| format!(", {bytes} a row"));
        writeln!(text, "{} (version {})", one.table.name(), one.version)
            .expect("writing to a string");
        let mut line = |name: &str, value: String| {
            writeln!(text, "  {name:<12} {value}").expect("writing to a string");
        };
        line(
            "files",
            format!("{} ({} small) in {} months", one.files, one.small_files, one.months),
        );
        line("rows", format!("{}, {} bytes{bytes_per_row}", one.rows, one.bytes));
        if let (Some(oldest), Some(newest)) = (one.oldest, one.newest) {
            line("time", format!("{oldest} to {newest}"));
        }
        line("log", format!("{} entries since the last checkpoint", one.log_entries));
        line(
            "old files",
            format!(
                "{} kept for readers ({} bytes), {} orphans ({} bytes)",
                one.kept.files, one.kept.bytes, one.orphans.files, one.orphans.bytes
            ),
        );
        line("done last", format!("compacted {}, vacuumed {}", shown(compacted), shown(vacuumed)));
        if one.table == Table::Events {
            line("unsealed", format!("{} commits", one.unsealed_commits));
        }
    }
    text
}

async fn compact(
    args: &LakeCompact,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Exit, Failure> {
    let (upkeep, mut lease) = open(&args.lake, config, args.dry_run).await?;
    let plan = Plan::of(&config.lake);
    let tables = if args.table.is_empty() { Table::ALL } else { &args.table };
    let mut all = Vec::new();
    for table in tables {
        // By hand: whatever there is of small files.
        let sizes = Sizes { files_min: 2, ..plan.sizes[table] };
        let mut sum = Compacted::default();
        for group in upkeep.plan(*table, sizes).await.map_err(of_lake)? {
            if stop.is_cancelled() {
                break;
            }
            sum.files_before += group.files();
            sum.rows += group.rows();
            sum.bytes_before += group.bytes();
            if args.dry_run {
                sum.files_after += 1;
                continue;
            }
            let merged = upkeep.compact(&group, clock::now(), shown(&group, stop.clone())).await;
            let Some(merged) = merged.map_err(of_lake)? else {
                // Stopped, or somebody else was quicker: as if it had not been begun.
                sum.files_before -= group.files();
                sum.rows -= group.rows();
                sum.bytes_before -= group.bytes();
                continue;
            };
            sum.files_after += merged.files_after;
            sum.bytes_after += merged.bytes_after;
            note(&mut lease, *table, |done| done.compacted = Some(clock::now())).await?;
        }
        if !args.dry_run && !stop.is_cancelled() {
            upkeep.keep_log_short(*table).await.map_err(of_lake)?;
        }
        all.push((*table, sum));
    }
    release(lease).await?;
    let json = |(table, sum): &(Table, Compacted)| {
        json!({
            "table": table.name(),
            "files_before": sum.files_before,
            "files_after": sum.files_after,
            "rows": sum.rows,
            "bytes_before": sum.bytes_before,
            "bytes_after": (!args.dry_run).then_some(sum.bytes_after),
        })
    };
    let line = |(table, sum): &(Table, Compacted)| {
        let Compacted { files_before, files_after, rows, .. } = sum;
        let name = table.name();
        (0 < *files_before).then(|| {
            format!(
                "{name}: {} into {files_after}, {}",
                counted(files_before, "file"),
                counted(rows, "row")
            )
        })
    };
    answer(
        (args.format, args.dry_run),
        &all.iter().map(json).collect::<Vec<_>>(),
        all.iter().filter_map(line),
    )?;
    Ok(Exit::Ok)
}

/// Shows how many rows of a group are merged, and stops when it is told to.
fn shown(group: &Group, stop: CancellationToken) -> Arc<Pace> {
    let bar = if std::io::stderr().is_terminal() {
        let style = "merging {msg}: {wide_bar} {percent} %, {eta}";
        let style = ProgressStyle::with_template(style).expect("a valid template");
        let message = format!("{} of {}", counted(group.files(), "file"), group.table().name());
        ProgressBar::new(group.rows().div_ceil(8_192)).with_style(style).with_message(message)
    } else {
        ProgressBar::hidden()
    };
    Arc::new(move || {
        bar.inc(1);
        if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

async fn vacuum(
    args: &LakeVacuum,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Exit, Failure> {
    let horizon = match args.horizon_hours {
        Some(hours) => Horizon::of_hours(hours).map_err(|error| {
            Failure::new(Exit::Usage, error).while_doing("read --horizon-hours".to_owned())
        })?,
        None => config.lake.upkeep.horizon_hours.0,
    };
    let (upkeep, mut lease) = open(&args.lake, config, args.dry_run).await?;
    let mut all = Vec::new();
    for table in Table::ALL {
        if stop.is_cancelled() {
            break;
        }
        let swept = upkeep.vacuum(*table, horizon, clock::now(), args.dry_run).await;
        all.push((table.name(), swept.map_err(of_lake)?));
        if !args.dry_run {
            note(&mut lease, *table, |done| done.vacuumed = Some(clock::now())).await?;
        }
    }
    release(lease).await?;
    let json = all
        .iter()
        .map(|(name, swept)| json!({"table": name, "files": swept.files, "bytes": swept.bytes}));
    let lines = all.iter().filter(|(_, swept)| 0 < swept.files);
    let lines = lines.map(|(name, swept)| {
        format!("{name}: {}, {} bytes", counted(swept.files, "file"), swept.bytes)
    });
    answer((args.format, args.dry_run), &json.collect::<Vec<_>>(), lines)?;
    Ok(Exit::Ok)
}

async fn retain(
    args: &LakeRetain,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Exit, Failure> {
    let (upkeep, lease) = open(&args.lake, config, args.dry_run).await?;
    let mut all = Vec::new();
    for (table, days) in Plan::of(&config.lake).days {
        if stop.is_cancelled() {
            break;
        }
        let retained = upkeep.retain(table, days, clock::now(), args.dry_run).await;
        all.push((table.name(), retained.map_err(of_lake)?));
    }
    release(lease).await?;
    let json = all.iter().map(|(name, gone)| {
        json!({"table": name, "files": gone.files, "rows": gone.rows, "bytes": gone.bytes})
    });
    let lines = all.iter().filter(|(_, gone)| 0 < gone.files);
    let lines = lines.map(|(name, gone)| {
        format!("{name}: {}, {}", counted(gone.files, "file"), counted(gone.rows, "row"))
    });
    answer((args.format, args.dry_run), &json.collect::<Vec<_>>(), lines)?;
    Ok(Exit::Ok)
}

/// The lake to work on, and the lease, which a dry run does not need.
async fn open(
    lake: &LakeArg,
    config: &Config,
    is_dry: bool,
) -> Result<(Upkeep, Option<Lease>), Failure> {
    let locations = Locations::of(lake, config)?;
    let lake = wiring::open_lake(&locations)?;
    let sizes = Plan::of(&config.lake).sizes[&Table::Events];
    if Upkeep::status(&lake, sizes, None).await.map_err(of_lake)?.is_empty() {
        let text = format!("wanted a lake at {}, found no table", locations.lake);
        return Err(Failure::told(Exit::Data, text));
    }
    locations.make_state_folder()?;
    let upkeep = Upkeep::new(&lake, wiring::seal_key(config, &locations.state)?);
    if is_dry {
        return Ok((upkeep, None));
    }
    let owner = wiring::random_hex()?;
    match Lease::take(&lake, &owner, clock::now(), LEASE).await.map_err(of_lease)? {
        Taken::Ours(lease) => Ok((upkeep, Some(lease))),
        Taken::Held { until } => {
            let text = format!("another process keeps this lake, until {until} at the latest");
            Err(Failure::told(Exit::Unavailable, text))
        }
    }
}

/// Notes what was done, and keeps the lease. One that was lost is no reason to stop: each change lands on
/// files that are still there, or not at all.
async fn note(
    lease: &mut Option<Lease>,
    table: Table,
    change: impl FnOnce(&mut Done),
) -> Result<(), Failure> {
    if let Some(lease) = lease {
        let mut done = lease.done(table);
        change(&mut done);
        lease.note(table, done);
        lease.renew(clock::now()).await.map_err(of_lease)?;
    }
    Ok(())
}

async fn release(lease: Option<Lease>) -> Result<(), Failure> {
    match lease {
        Some(lease) => lease.release(clock::now()).await.map_err(of_lease),
        None => Ok(()),
    }
}

fn answer(
    (format, is_dry): (ReportFormat, bool),
    json: &[Value],
    lines: impl Iterator<Item = String>,
) -> Result<(), Failure> {
    let text = match format {
        ReportFormat::Json => format!("{:#}\n", json!({"is_dry_run": is_dry, "tables": json})),
        ReportFormat::Table => {
            let mut lines: Vec<String> = lines.collect();
            match (lines.is_empty(), is_dry) {
                (true, _) => lines.push("nothing to do".to_owned()),
                (false, true) => lines.push("a dry run: nothing was changed".to_owned()),
                (false, false) => {}
            }
            lines.join("\n") + "\n"
        }
    };
    terminal::answer(&text)
}

fn of_lease(error: LeaseError) -> Failure {
    Failure::new(Exit::Unavailable, error)
}
