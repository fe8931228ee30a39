//! Words of which gateways make the names of deeds.
//!
//! Invariant: a word stands here only if it tells nothing of what a tool did, or says by whom a thing was
//! changed.
//!
//! Source: that of the [names](super::names).

/// Words of which names are made that say of a tool no more than that it was used, or how far that got.
pub(super) const OF_USES: &[&str] = &[
    "access",
    "audit",
    "authorization",
    "call",
    "called",
    "check",
    "completed",
    "decision",
    "ended",
    "error",
    "event",
    "executed",
    "execution",
    "finished",
    "invocation",
    "invoked",
    "mcp",
    "payment",
    "permission",
    "policy",
    "request",
    "required",
    "response",
    "result",
    "started",
    "tool",
    "usage",
    "use",
    "used",
];

/// Words for a change that ends the name of an event about what was changed, not about who did it: that one
/// stands under the same word, as `created_by` beside `agent_created`.
pub(super) const CHANGES: &[&str] = &[
    "created",
    "deleted",
    "disabled",
    "enabled",
    "issued",
    "registered",
    "removed",
    "revoked",
    "rotated",
    "suspended",
    "updated",
];
