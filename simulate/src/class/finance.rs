//! The classes that spend money: procurement, invoices, treasury, and the automation between them.
//!
//! Invariant: the first service account of all four is one and the same, `svc-erp-purchasing`: four
//! systems share it, as in the design's scenario.

use super::{Class, Flow, Keys, Money, Novelty, Resource, Rhythm, Step};
use crate::party::Pool;

const ACCOUNT: &str = "svc-erp-purchasing";
const FEW_NEW: Novelty = Novelty { theta: 4.5, discount: 0.05 };
const COST_CENTERS: &[&str] = &["4400", "4410", "4420", "4500", "4710"];
const ERP_CLIENTS: &[&str] = &["erp-agent/2.1", "erp-agent/2.0"];

pub(super) const PROCUREMENT: Class = Class {
    name: "procurement",
    prefix: "procurement-agent",
    unit: "Purchasing",
    percent: 8,
    activity: 1.0,
    rhythm: Rhythm::Office,
    gap_seconds: 9.0,
    flows_per_session: 2.5,
    flows: &[
        Flow {
            name: "restock",
            weight: 50,
            pool: Some(Pool::Vendor),
            novelty: FEW_NEW,
            money: Some(Money { median_units: 2_900.0, sigma: 0.7, limit_units: Some(50_000) }),
            steps: &[
                Step::read("inventory.read", "stock_item", Resource::Few("item", 400))
                    .alone()
                    .repeated(3),
                Step::read("vendor.read", "vendor", Resource::Party),
                Step::read("quote.read", "quote", Resource::Subject("quote")).likely(60),
                Step::write("order.create", "purchase_order", Resource::Subject("po")).paid(),
                Step::write("order.approve", "purchase_order", Resource::Subject("po"))
                    .likely(85)
                    .paid(),
            ],
        },
        Flow {
            name: "track",
            weight: 38,
            pool: Some(Pool::Vendor),
            novelty: FEW_NEW,
            money: None,
            steps: &[
                Step::read("order.read", "purchase_order", Resource::Subject("po")),
                Step::read("shipment.read", "shipment", Resource::Subject("shp"))
                    .likely(70)
                    .repeated(2),
            ],
        },
        Flow {
            name: "compare",
            weight: 12,
            pool: Some(Pool::Vendor),
            novelty: Novelty { theta: 7.0, discount: 0.1 },
            money: None,
            steps: &[
                Step::read("vendor.list", "vendor", Resource::Few("category", 30)).alone(),
                Step::read("vendor.read", "vendor", Resource::Party),
                Step::read("contract.read", "contract", Resource::Subject("ctr")).likely(50),
                Step::write("quote.request", "quote", Resource::Subject("quote")).likely(70),
            ],
        },
    ],
    models: Some(["acme-large-2026-02", "acme-large-2026-06"]),
    user_agents: ERP_CLIENTS,
    credentials: &[(Keys::Shared { account: ACCOUNT, agents: 8 }, 100)],
    denied_permille: 4,
    error_permille: 12,
    attribute: Some(("cost_center", COST_CENTERS)),
    has_grant: false,
    is_monthly: false,
    workers: None,
};

pub(super) const INVOICE: Class = Class {
    name: "invoice",
    prefix: "invoice-agent",
    unit: "Accounts Payable",
    percent: 8,
    activity: 1.2,
    rhythm: Rhythm::Office,
    gap_seconds: 6.0,
    flows_per_session: 4.0,
    flows: &[
        Flow {
            name: "match",
            weight: 70,
            pool: Some(Pool::Vendor),
            novelty: FEW_NEW,
            money: Some(Money { median_units: 1_450.0, sigma: 0.8, limit_units: None }),
            steps: &[
                Step::read("invoice.read", "invoice", Resource::Subject("inv")).paid(),
                Step::read("order.read", "purchase_order", Resource::Subject("po")),
                Step::write("invoice.match", "invoice", Resource::Subject("inv")).likely(90).paid(),
                Step::write("invoice.approve", "invoice", Resource::Subject("inv"))
                    .likely(75)
                    .paid(),
            ],
        },
        Flow {
            name: "dispute",
            weight: 10,
            pool: Some(Pool::Vendor),
            novelty: FEW_NEW,
            money: None,
            steps: &[
                Step::read("invoice.read", "invoice", Resource::Subject("inv")),
                Step::write("mail.send", "mail", Resource::Subject("mail")),
            ],
        },
        Flow {
            name: "ledger",
            weight: 20,
            pool: None,
            novelty: FEW_NEW,
            money: None,
            steps: &[
                Step::read("ledger.read", "ledger_account", Resource::Few("ledger", 60))
                    .repeated(3),
                Step::write("ledger.post", "ledger_account", Resource::Few("ledger", 60))
                    .likely(60),
            ],
        },
    ],
    models: Some(["acme-small-2026-01", "acme-small-2026-05"]),
    user_agents: &["invoice-flow/5.4", "invoice-flow/5.3"],
    credentials: &[(Keys::Shared { account: ACCOUNT, agents: 8 }, 100)],
    denied_permille: 3,
    error_permille: 10,
    attribute: Some(("cost_center", COST_CENTERS)),
    has_grant: false,
    is_monthly: true,
    workers: None,
};

pub(super) const TREASURY: Class = Class {
    name: "treasury",
    prefix: "treasury-agent",
    unit: "Treasury",
    percent: 3,
    activity: 0.7,
    rhythm: Rhythm::Office,
    gap_seconds: 12.0,
    flows_per_session: 3.0,
    flows: &[
        Flow {
            name: "payment-run",
            weight: 55,
            pool: Some(Pool::Account),
            novelty: Novelty { theta: 4.0, discount: 0.0 },
            money: Some(Money { median_units: 6_500.0, sigma: 0.9, limit_units: Some(250_000) }),
            steps: &[
                Step::read("balance.read", "bank_account", Resource::Few("bank", 8)).alone(),
                Step::write("payment.create", "payment", Resource::Subject("pay")).paid(),
                Step::write("payment.release", "payment", Resource::Subject("pay"))
                    .likely(92)
                    .paid(),
            ],
        },
        Flow {
            name: "reconcile",
            weight: 45,
            pool: None,
            novelty: FEW_NEW,
            money: None,
            steps: &[
                Step::read("statement.read", "bank_account", Resource::Few("bank", 8)).repeated(3),
                Step::write("ledger.post", "ledger_account", Resource::Few("ledger", 60))
                    .likely(50),
            ],
        },
    ],
    models: Some(["acme-large-2026-02", "acme-large-2026-06"]),
    user_agents: &["treasury-desk/1.9"],
    credentials: &[(Keys::Shared { account: ACCOUNT, agents: 3 }, 100)],
    denied_permille: 5,
    error_permille: 8,
    attribute: None,
    has_grant: true,
    is_monthly: true,
    workers: None,
};

pub(super) const ERP_SYNC: Class = Class {
    name: "erp-sync",
    prefix: "erp-sync",
    unit: "Finance Systems",
    percent: 3,
    activity: 1.6,
    rhythm: Rhythm::Always,
    gap_seconds: 1.5,
    flows_per_session: 6.0,
    flows: &[
        Flow {
            name: "sync-orders",
            weight: 60,
            pool: None,
            novelty: FEW_NEW,
            money: None,
            steps: &[
                Step::read("order.list", "purchase_order", Resource::Few("company-code", 6)),
                Step::write("warehouse.update", "warehouse", Resource::Few("wh", 12)).repeated(2),
            ],
        },
        Flow {
            name: "sync-vendors",
            weight: 40,
            pool: Some(Pool::Vendor),
            novelty: Novelty { theta: 12.0, discount: 0.1 },
            money: None,
            steps: &[
                Step::read("vendor.read", "vendor", Resource::Party),
                Step::write("vendor.update", "vendor", Resource::Party).likely(15),
            ],
        },
    ],
    models: None,
    user_agents: &["erp-sync/11.2.0"],
    credentials: &[(Keys::Shared { account: ACCOUNT, agents: 3 }, 100)],
    denied_permille: 1,
    error_permille: 20,
    attribute: None,
    has_grant: false,
    is_monthly: false,
    workers: None,
};
