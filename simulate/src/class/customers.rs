//! The classes that deal with people: support, human resources, sales, marketing.
//!
//! Invariant: none of them pays vendors; support may refund within its limit.

use super::{Class, Flow, Keys, Money, Novelty, Resource, Rhythm, Step};
use crate::party::Pool;

pub(super) const SUPPORT: Class = Class {
    name: "customer-support",
    prefix: "support-agent",
    unit: "Customer Care",
    percent: 20,
    activity: 1.3,
    rhythm: Rhythm::Customers,
    gap_seconds: 14.0,
    flows_per_session: 1.6,
    flows: &[
        Flow {
            name: "ticket",
            weight: 85,
            pool: Some(Pool::Customer),
            novelty: Novelty { theta: 40.0, discount: 0.6 },
            money: None,
            steps: &[
                Step::read("ticket.read", "ticket", Resource::Subject("tkt")),
                Step::read("customer.read", "customer", Resource::Party),
                Step::read("article.search", "article", Resource::Few("kb", 200))
                    .alone()
                    .likely(70)
                    .repeated(2),
                Step::write("ticket.reply", "ticket", Resource::Subject("tkt")).likely(90),
                Step::write("ticket.close", "ticket", Resource::Subject("tkt")).likely(50),
            ],
        },
        Flow {
            name: "refund",
            weight: 12,
            pool: Some(Pool::Customer),
            novelty: Novelty { theta: 40.0, discount: 0.6 },
            money: Some(Money { median_units: 38.0, sigma: 0.8, limit_units: Some(500) }),
            steps: &[
                Step::read("customer.read", "customer", Resource::Party),
                Step::read("purchase.read", "purchase", Resource::Subject("pur")),
                Step::write("refund.create", "refund", Resource::Subject("rfd")).paid(),
            ],
        },
        Flow {
            name: "lookup",
            weight: 3,
            pool: None,
            novelty: Novelty { theta: 4.0, discount: 0.0 },
            money: None,
            steps: &[Step::read("document.read", "document", Resource::Few("doc", 80)).repeated(2)],
        },
    ],
    models: Some(["acme-small-2026-01", "acme-small-2026-05"]),
    user_agents: &["support-desk/8.2", "support-desk/8.1", "support-desk/7.9"],
    credentials: &[(Keys::Static, 60), (Keys::Token, 40)],
    denied_permille: 8,
    error_permille: 10,
    attribute: Some(("queue", &["billing", "delivery", "returns", "technical"])),
    has_grant: false,
    is_monthly: false,
    workers: None,
};

pub(super) const HR: Class = Class {
    name: "hr-onboarding",
    prefix: "hr-agent",
    unit: "People",
    percent: 4,
    activity: 0.4,
    rhythm: Rhythm::Office,
    gap_seconds: 20.0,
    flows_per_session: 1.5,
    flows: &[
        Flow {
            name: "onboard",
            weight: 40,
            pool: Some(Pool::Employee),
            novelty: Novelty { theta: 10.0, discount: 0.5 },
            money: None,
            steps: &[
                Step::read("employee.read", "employee", Resource::Party),
                Step::write("account.create", "directory_account", Resource::Subject("dir")),
                Step::write("group.add", "directory_group", Resource::Few("group", 40)).repeated(4),
                Step::write("mail.send", "mail", Resource::Subject("mail")),
            ],
        },
        Flow {
            name: "question",
            weight: 60,
            pool: Some(Pool::Employee),
            novelty: Novelty { theta: 10.0, discount: 0.5 },
            money: None,
            steps: &[
                Step::read("employee.read", "employee", Resource::Party),
                Step::read("policy.read", "policy", Resource::Few("policy", 50))
                    .alone()
                    .repeated(2),
                Step::write("mail.send", "mail", Resource::Subject("mail")).likely(80),
            ],
        },
    ],
    models: Some(["boreal-chat-3.1", "boreal-chat-3.2"]),
    user_agents: &["people-flow/3.3"],
    credentials: &[(Keys::Shared { account: "svc-hr-directory", agents: 6 }, 100)],
    denied_permille: 12,
    error_permille: 8,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: None,
};

pub(super) const OUTREACH: Class = Class {
    name: "sales-outreach",
    prefix: "outreach-agent",
    unit: "Sales",
    percent: 6,
    activity: 0.9,
    rhythm: Rhythm::Office,
    gap_seconds: 18.0,
    flows_per_session: 5.0,
    flows: &[
        Flow {
            name: "sequence",
            weight: 70,
            pool: Some(Pool::Recipient),
            novelty: Novelty { theta: 30.0, discount: 0.6 },
            money: None,
            steps: &[
                Step::read("contact.read", "contact", Resource::Party),
                Step::write("mail.send", "mail", Resource::Subject("mail")),
                Step::write("contact.update", "contact", Resource::Party).likely(60),
            ],
        },
        Flow {
            name: "prospect",
            weight: 30,
            pool: Some(Pool::Site),
            novelty: Novelty { theta: 8.0, discount: 0.4 },
            money: None,
            steps: &[
                Step::read("contact.search", "contact", Resource::Few("segment", 25)).alone(),
                Step::read("http.get", "web_page", Resource::Party).repeated(2),
            ],
        },
    ],
    models: Some(["boreal-chat-3.1", "boreal-chat-3.2"]),
    user_agents: &["outreach-engine/2.7", "outreach-engine/2.6"],
    credentials: &[(Keys::Static, 80), (Keys::Token, 20)],
    denied_permille: 6,
    error_permille: 25,
    attribute: Some(("region", &["dach", "nordics", "benelux", "iberia"])),
    has_grant: false,
    is_monthly: false,
    workers: None,
};

pub(super) const CONTENT: Class = Class {
    name: "marketing-content",
    prefix: "content-agent",
    unit: "Marketing",
    percent: 4,
    activity: 0.5,
    rhythm: Rhythm::Office,
    gap_seconds: 35.0,
    flows_per_session: 1.8,
    flows: &[
        Flow {
            name: "draft",
            weight: 60,
            pool: None,
            novelty: Novelty { theta: 2.0, discount: 0.0 },
            money: None,
            steps: &[
                Step::read("brief.read", "brief", Resource::Subject("brief")),
                Step::read("asset.search", "asset", Resource::Few("library", 12)).repeated(3),
                Step::write("document.write", "document", Resource::Subject("doc")).repeated(3),
            ],
        },
        Flow {
            name: "publish",
            weight: 40,
            pool: Some(Pool::Channel),
            novelty: Novelty { theta: 2.0, discount: 0.0 },
            money: None,
            steps: &[
                Step::read("document.read", "document", Resource::Subject("doc")).alone(),
                Step::write("post.publish", "post", Resource::Subject("post")),
                Step::read("metric.read", "metric", Resource::Party).likely(50),
            ],
        },
    ],
    models: Some(["acme-large-2026-02", "acme-large-2026-06"]),
    user_agents: &["content-studio/4.0"],
    credentials: &[(Keys::Static, 100)],
    denied_permille: 4,
    error_permille: 12,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: None,
};
