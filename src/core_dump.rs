//! No core dump of the process: its memory has keys, passwords and records as they came (S1).
//!
//! Invariant: the soft limit alone is lowered, so whoever may read the process's memory anyway can have a dump
//! (`prlimit --core=unlimited --pid PID`).
//!
//! Source: core(5); systemd-coredump(8), which keeps no dump of a process whose limit is zero.

use rlimit::Resource;

/// Has no file made of this process's memory when it crashes.
pub(crate) fn forbid() {
    let lowered = Resource::CORE.get_hard().and_then(|hard| Resource::CORE.set(0, hard));
    if let Err(error) = lowered {
        crate::terminal::remark(&format_args!("core dumps could not be switched off: {error}"));
    }
}
