//! From what was typed to what is done: resolves the configuration, starts the runtime, dispatches.
//!
//! Invariant: a command's data goes to stdout; progress, logs and errors go to stderr.

mod ask;
mod evaluate;
mod gap;
mod guidance;
mod normalize;
mod posture;
mod progress_bar;
mod registry;
mod rejects;
mod replay;
mod report;
mod run;
mod seal;
mod simulate;
mod unmix;
mod upkeep;
mod webhooks;
pub(crate) mod wiring;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::{self, Cli, Command, ReportFormat};
use crate::config::{Config, LogFilter};
use crate::exit::{Exit, Failure};
use crate::{bench, demo, telemetry, terminal};

pub(crate) use ask::{duration, inventory, of_query, rows_of};
pub(crate) use simulate::{of_producer, partition_of};
pub(crate) use wiring::{Locations, join_all, open_lake};

/// The configuration file that is used when none is named.
const CONFIG_FILE: &str = "surety.toml";

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] that says what was wanted and what was found, with its exit code.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    let named = cli.config.clone();
    let path = named.or_else(|| Some(PathBuf::from(CONFIG_FILE)).filter(|path| path.exists()));
    let config = Config::load(path.as_deref());
    if let Command::Config(cli::Config::Check(args)) = &cli.command {
        return check(config, path.as_deref(), args.format);
    }
    let config = config?;
    // A service tells its life; a question is answered and otherwise silent.
    let default =
        if matches!(cli.command, Command::Run(_)) { config.log.level.as_str() } else { "warn" };
    let filter = cli.log.as_ref().map_or(default, LogFilter::as_str);
    telemetry::log_to_stderr(filter, config.log.format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(dispatch(cli.command, &config))
}

/// A value as it is typed on the command line.
fn typed(value: &impl clap::ValueEnum) -> String {
    let typed = value.to_possible_value().expect("no value of ours is skipped");
    typed.get_name().to_owned()
}

async fn dispatch(command: Command, config: &Config) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => Box::pin(demo::run(args, config, shutdown_on_signal()?)).await,
        Command::Run(args) => Box::pin(run::run(args, config, shutdown_on_signal()?)).await,
        Command::Replay(args) => Box::pin(replay::run(args, config, shutdown_on_signal()?)).await,
        Command::Normalize(args) => Box::pin(normalize::run(args, config)).await,
        Command::Rejects(cli::Rejects::List(args)) => Box::pin(rejects::list(&args, config)).await,
        Command::Rejects(cli::Rejects::Replay(args)) => {
            Box::pin(rejects::replay(args, config, shutdown_on_signal()?)).await
        }
        Command::AcceptGap(args) => Box::pin(gap::accept(args, config)).await,
        Command::Sql(args) => Box::pin(ask::sql(args, config)).await,
        Command::Trace(args) => Box::pin(ask::trace(args, config)).await,
        Command::Agents(args) => Box::pin(ask::agents(args, config)).await,
        Command::Unmix(args) => Box::pin(unmix::run(args, config)).await,
        Command::Verify(args) => Box::pin(seal::verify(args, config)).await,
        Command::Posture(args) => Box::pin(posture::run(args, config)).await,
        Command::Report(command) => Box::pin(report::run(command, config)).await,
        Command::Seal(command) => Box::pin(seal::run(&command, config)).await,
        Command::Lake(command) => {
            Box::pin(upkeep::run(command, config, shutdown_on_signal()?)).await
        }
        Command::Registry(cli::registry::Registry::Import(args)) => {
            Box::pin(registry::import(&args, config)).await
        }
        Command::Disposition(args) => Box::pin(guidance::dispose(args, config)).await,
        Command::Expect(args) => Box::pin(guidance::expect(args, config)).await,
        Command::Webhooks(command) => webhooks::run(&command, config),
        Command::Simulate(args) => simulate::run(&args, &shutdown_on_signal()?).await,
        Command::Evaluate(args) => evaluate::run(&args, &shutdown_on_signal()?),
        Command::Bench(cli::Bench::Detector(args)) => bench::run_detector(&args),
        Command::Bench(cli::Bench::Registry(args)) => bench::run_registry(&args),
        Command::Bench(cli::Bench::Unmix(args)) => bench::run_unmix(&args),
        Command::Bench(cli::Bench::Pipeline(args)) => {
            Box::pin(bench::run(args, config, shutdown_on_signal()?)).await
        }
        Command::Config(cli::Config::Check(_)) => unreachable!("answered before anything starts"),
    }
}

/// Says that the configuration is right, or what is wrong with it.
fn check(
    config: Result<Config, Failure>,
    path: Option<&Path>,
    format: ReportFormat,
) -> Result<Exit, Failure> {
    let checked = config.and_then(|config| wiring::check(&config));
    let text = match (format, path, &checked) {
        (ReportFormat::Table, _, Err(_)) => return checked.map(|()| Exit::Ok),
        (ReportFormat::Table, Some(path), Ok(())) => format!("{}: fine", path.display()),
        (ReportFormat::Table, None, Ok(())) => {
            format!("no {CONFIG_FILE} here: the defaults are used, and they are fine")
        }
        (ReportFormat::Json, ..) => {
            let error = checked.as_ref().err().map(|failure| format!("{failure:#}"));
            serde_json::json!({"file": path, "is_fine": error.is_none(), "error": error})
                .to_string()
        }
    };
    terminal::answer(&format!("{text}\n"))?;
    checked.map(|()| Exit::Ok)
}

/// How long the end may take that was asked for. librdkafka waits without end for a broker that stands
/// still, and who runs us as a service kills us after 30 s (Kubernetes) or 90 s (systemd).
const ENDING_MAX: Duration = Duration::from_secs(15);

/// Cancelled by the first SIGTERM or Ctrl-C: what is buffered is then committed. A second one ends
/// the process at once, and so does [`ENDING_MAX`]; that loses nothing but time.
fn shutdown_on_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let shutdown = CancellationToken::new();
    let cancel = shutdown.clone();
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process and owns nothing")]
    tokio::spawn(async move {
        for heard in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if heard == 0 {
                tracing::info!("stopping: committing what is buffered");
                cancel.cancel();
                end_in_time();
            } else {
                exit_at_once(130);
            }
        }
    });
    Ok(shutdown)
}

/// A thread, because the runtime's tasks end before what may hang does.
fn end_in_time() {
    std::thread::spawn(|| {
        std::thread::sleep(ENDING_MAX);
        terminal::remark(&format_args!(
            "error: not at the end {} s after the signal; ending now, what was not committed is read again",
            ENDING_MAX.as_secs()
        ));
        exit_at_once(Exit::Unavailable as i32);
    });
}

#[expect(clippy::disallowed_methods, clippy::exit, reason = "the person asked, twice or long ago")]
fn exit_at_once(code: i32) {
    std::process::exit(code);
}
