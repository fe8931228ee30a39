//! What `surety bench detector` measures, without building the rest of the binary.
//!
//! `cargo run -p detect --release --example load -- [AGENTS [EVENTS]]`

#![expect(clippy::print_stdout, reason = "an example talks to a terminal")]

#[path = "../../src/bench/load.rs"]
mod load;

use load::{Figures, Load};

/// That of the binary, since memory is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let agents = args.next().unwrap_or(1_000_000);
    let events = args.next().unwrap_or(2_000_000);
    let path = std::env::temp_dir().join(format!("surety-load-{}.state", std::process::id()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let figures = pool.install(|| load::measure(Load { agents, events, seed: 1 }, &path));
    std::fs::remove_file(&path).expect("the checkpoint that was written");
    let Figures {
        bytes_per_agent,
        ns_per_event,
        score_p50,
        score_p99,
        checkpoint,
        checkpoint_bytes,
        checkpoint_pause,
        restore,
        agents,
        findings,
    } = figures.expect("a file system");
    println!("{agents} agents, {bytes_per_agent:.0} bytes each");
    println!("{ns_per_event:.0} ns of a core for an event, {findings} findings");
    println!("a score in {score_p50:?}, one in a hundred takes {score_p99:?}");
    println!("a checkpoint of {checkpoint_bytes} bytes in {checkpoint:?}, read in {restore:?}");
    println!("folding waited for it {checkpoint_pause:?} at most");
}
