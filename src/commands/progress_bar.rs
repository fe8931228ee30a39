//! How far a long reading is, on stderr, for a person who watches.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::pipeline::Progress;

/// Shows the progress until `stop`; nothing where stderr is no terminal.
pub(super) async fn show(mut progress: watch::Receiver<Progress>, stop: CancellationToken) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let style = "{spinner} {human_pos} records, {per_sec}, {msg}";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    loop {
        let now = *progress.borrow_and_update();
        bar.set_position(now.records);
        bar.set_message(format!("{} rejects, {} findings", now.rejects, now.findings));
        tokio::select! {
            () = stop.cancelled() => break,
            changed = progress.changed() => if changed.is_err() { break },
        }
    }
    bar.finish_and_clear();
}

/// Cancels `stop` when `work` ends.
pub(super) async fn ending<T>(work: impl Future<Output = T>, stop: CancellationToken) -> T {
    let done = work.await;
    stop.cancel();
    done
}
