//! The classes that build and run software: data, research, builds, reviews, operations.
//!
//! Invariant: three of them start short-lived agents, one for each way in which such an agent leads
//! to a sponsor: by its event's claim, by its class, by an entry of its own in the registry.

use super::{Class, Flow, Keys, Naming, Novelty, Resource, Rhythm, Step, Workers};
use crate::party::Pool;

const FIXED: Novelty = Novelty { theta: 2.0, discount: 0.0 };

pub(super) const PIPELINE: Class = Class {
    name: "data-pipeline",
    prefix: "pipeline-agent",
    unit: "Data Platform",
    percent: 9,
    activity: 1.4,
    rhythm: Rhythm::Always,
    gap_seconds: 3.0,
    flows_per_session: 3.0,
    flows: &[
        Flow {
            name: "transform",
            weight: 80,
            pool: Some(Pool::Dataset),
            novelty: Novelty { theta: 3.0, discount: 0.0 },
            money: None,
            steps: &[
                Step::read("table.read", "table", Resource::Few("table", 60)).repeated(4),
                Step::read("job.start", "job", Resource::Subject("job")).likely(30).starts(2),
                Step::write("table.write", "table", Resource::Party).repeated(2),
            ],
        },
        Flow {
            name: "quality",
            weight: 20,
            pool: Some(Pool::Dataset),
            novelty: Novelty { theta: 3.0, discount: 0.0 },
            money: None,
            steps: &[Step::read("table.check", "table", Resource::Party).repeated(3)],
        },
    ],
    models: None,
    user_agents: &["flowrunner/6.1.2", "flowrunner/6.1.0"],
    credentials: &[
        (Keys::Static, 40),
        (Keys::Temporary, 30),
        (Keys::Shared { account: "svc-data-platform", agents: 6 }, 30),
    ],
    denied_permille: 2,
    error_permille: 18,
    attribute: Some(("dag", &["orders_daily", "stock_hourly", "clicks", "finance_close"])),
    has_grant: false,
    is_monthly: false,
    workers: Some(Workers {
        class: "pipeline-worker",
        naming: Naming::Fresh,
        claims_parent: false,
        steps: &[
            Step::read("object.read", "object", Resource::Few("part", 64)).alone().repeated(5),
            Step::write("object.write", "object", Resource::Few("part", 64)).alone().repeated(2),
        ],
    }),
};

pub(super) const RESEARCH: Class = Class {
    name: "research",
    prefix: "research-agent",
    unit: "Research",
    percent: 8,
    activity: 1.2,
    rhythm: Rhythm::Office,
    gap_seconds: 11.0,
    flows_per_session: 2.0,
    flows: &[
        Flow {
            name: "question",
            weight: 70,
            pool: Some(Pool::Site),
            novelty: Novelty { theta: 12.0, discount: 0.5 },
            money: None,
            steps: &[
                Step::read("document.search", "document", Resource::Few("corpus", 10))
                    .alone()
                    .repeated(2),
                Step::read("document.read", "document", Resource::Few("doc", 300))
                    .alone()
                    .repeated(3),
                Step::read("http.get", "web_page", Resource::Party).likely(70).repeated(2),
                Step::read("agent.start", "agent", Resource::Subject("question"))
                    .alone()
                    .likely(45)
                    .starts(3),
                Step::write("note.write", "note", Resource::Subject("note")).alone(),
            ],
        },
        Flow {
            name: "summary",
            weight: 30,
            pool: None,
            novelty: FIXED,
            money: None,
            steps: &[
                Step::read("note.read", "note", Resource::Few("note", 100)).repeated(3),
                Step::write("report.write", "report", Resource::Subject("report")),
            ],
        },
    ],
    models: Some(["acme-reason-2026-03", "acme-reason-2026-06"]),
    user_agents: &["research-kit/0.9.4", "research-kit/0.9.1"],
    credentials: &[(Keys::Static, 70), (Keys::Token, 30)],
    denied_permille: 10,
    error_permille: 20,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: Some(Workers {
        class: "research-sub",
        naming: Naming::Fresh,
        claims_parent: true,
        steps: &[
            Step::read("http.get", "web_page", Resource::Party).repeated(4),
            Step::read("document.read", "document", Resource::Few("doc", 300)).alone().likely(60),
            Step::write("note.write", "note", Resource::Subject("note")).alone(),
        ],
    }),
};

pub(super) const CI: Class = Class {
    name: "ci",
    prefix: "ci-bot",
    unit: "Developer Platform",
    percent: 9,
    activity: 1.5,
    rhythm: Rhythm::Builds,
    gap_seconds: 5.0,
    flows_per_session: 1.3,
    flows: &[
        Flow {
            name: "build",
            weight: 85,
            pool: Some(Pool::Repository),
            novelty: FIXED,
            money: None,
            steps: &[
                Step::read("repository.clone", "repository", Resource::Party),
                Step::read("secret.read", "secret_name", Resource::Few("build-var", 20))
                    .alone()
                    .repeated(2),
                Step::read("job.start", "job", Resource::Subject("job")).likely(60).starts(2),
                Step::write("artifact.push", "artifact", Resource::Subject("build")).likely(80),
                Step::write("status.post", "commit_status", Resource::Subject("commit")),
            ],
        },
        Flow {
            name: "deploy",
            weight: 15,
            pool: Some(Pool::Host),
            novelty: FIXED,
            money: None,
            steps: &[
                Step::read("artifact.pull", "artifact", Resource::Subject("build")).alone(),
                Step::write("release.deploy", "release", Resource::Subject("rel")).repeated(3),
            ],
        },
    ],
    models: None,
    user_agents: &["ci-runner/17.3", "ci-runner/17.2"],
    credentials: &[(Keys::Static, 70), (Keys::Temporary, 30)],
    denied_permille: 4,
    error_permille: 30,
    attribute: Some(("branch", &["main", "develop", "release"])),
    has_grant: false,
    is_monthly: false,
    workers: Some(Workers {
        class: "ci-runner",
        naming: Naming::OfParent(4),
        claims_parent: false,
        steps: &[
            Step::read("package.read", "package", Resource::Few("package", 500))
                .alone()
                .repeated(4),
            Step::write("test.report", "test_report", Resource::Subject("test")),
        ],
    }),
};

pub(super) const REVIEW: Class = Class {
    name: "code-review",
    prefix: "review-agent",
    unit: "Engineering",
    percent: 7,
    activity: 0.9,
    rhythm: Rhythm::Builds,
    gap_seconds: 16.0,
    flows_per_session: 1.4,
    flows: &[Flow {
        name: "review",
        weight: 100,
        pool: Some(Pool::Repository),
        novelty: Novelty { theta: 3.0, discount: 0.0 },
        money: None,
        steps: &[
            Step::read("pull-request.read", "pull_request", Resource::Subject("pr")),
            Step::read("file.read", "file", Resource::Few("file", 900)).repeated(6),
            Step::write("comment.create", "comment", Resource::Subject("pr"))
                .likely(85)
                .repeated(3),
            Step::write("review.submit", "review", Resource::Subject("pr")),
        ],
    }],
    models: Some(["acme-code-4.1", "acme-code-4.2"]),
    user_agents: &["review-agent/1.12"],
    credentials: &[(Keys::Static, 60), (Keys::Token, 40)],
    denied_permille: 3,
    error_permille: 9,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: None,
};

pub(super) const SRE: Class = Class {
    name: "infrastructure",
    prefix: "sre-bot",
    unit: "Operations",
    percent: 5,
    activity: 1.1,
    rhythm: Rhythm::Always,
    gap_seconds: 8.0,
    flows_per_session: 1.2,
    flows: &[
        Flow {
            name: "check",
            weight: 80,
            pool: Some(Pool::Host),
            novelty: Novelty { theta: 6.0, discount: 0.2 },
            money: None,
            steps: &[
                Step::read("metric.read", "metric", Resource::Few("dashboard", 30))
                    .alone()
                    .repeated(3),
                Step::read("host.describe", "host", Resource::Party).likely(70),
                Step::read("log.search", "log", Resource::Few("log", 40)).likely(50).repeated(2),
            ],
        },
        Flow {
            name: "repair",
            weight: 20,
            pool: Some(Pool::Host),
            novelty: Novelty { theta: 6.0, discount: 0.2 },
            money: None,
            steps: &[
                Step::read("incident.read", "incident", Resource::Subject("inc")).alone(),
                Step::write("deployment.restart", "deployment", Resource::Few("deploy", 50)),
                Step::write("deployment.scale", "deployment", Resource::Few("deploy", 50))
                    .likely(40),
                Step::write("incident.update", "incident", Resource::Subject("inc")).alone(),
            ],
        },
    ],
    models: Some(["acme-reason-2026-03", "acme-reason-2026-06"]),
    user_agents: &["sre-bot/3.8.1"],
    credentials: &[
        (Keys::Temporary, 40),
        (Keys::Shared { account: "svc-sre-automation", agents: 6 }, 60),
    ],
    denied_permille: 6,
    error_permille: 14,
    attribute: None,
    has_grant: true,
    is_monthly: false,
    workers: None,
};

pub(super) const BACKUP: Class = Class {
    name: "backup",
    prefix: "backup-agent",
    unit: "Operations",
    percent: 3,
    activity: 0.6,
    rhythm: Rhythm::Nightly,
    gap_seconds: 4.0,
    flows_per_session: 8.0,
    flows: &[Flow {
        name: "snapshot",
        weight: 100,
        pool: Some(Pool::Bucket),
        novelty: FIXED,
        money: None,
        steps: &[
            Step::read("volume.read", "volume", Resource::Few("vol", 40)).alone(),
            Step::write("snapshot.create", "snapshot", Resource::Subject("snap")),
            Step::read("snapshot.verify", "snapshot", Resource::Subject("snap")).likely(50),
        ],
    }],
    models: None,
    user_agents: &["backupd/9.4"],
    credentials: &[(Keys::Shared { account: "svc-backup", agents: 6 }, 100)],
    denied_permille: 1,
    error_permille: 15,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: None,
};

pub(super) const SCANNER: Class = Class {
    name: "security-scanner",
    prefix: "scanner",
    unit: "Security",
    percent: 3,
    activity: 1.8,
    rhythm: Rhythm::Nightly,
    gap_seconds: 0.7,
    flows_per_session: 12.0,
    flows: &[Flow {
        name: "scan",
        weight: 100,
        pool: Some(Pool::Host),
        novelty: Novelty { theta: 60.0, discount: 0.1 },
        money: None,
        steps: &[
            Step::read("port.scan", "host", Resource::Party),
            Step::read("package.list", "host", Resource::Party).likely(70),
            Step::write("vulnerability.report", "vulnerability", Resource::Subject("vul"))
                .likely(10),
        ],
    }],
    models: None,
    user_agents: &["netscan/21.4"],
    credentials: &[(Keys::Static, 80), (Keys::Certificate, 20)],
    denied_permille: 40,
    error_permille: 20,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: None,
};
