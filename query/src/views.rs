//! [`View`]: the published views, each a query in `views/NAME.sql`.
//!
//! Invariant: a view's name, columns and meaning are a contract with people's dashboards; columns are
//! added at the end. Views hold no `NOT IN` and no anti join: DataFusion answers them 30 times slower.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::DataFusionError;
use datafusion::execution::context::SessionContext;
use schemas::Table;

/// A published view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    /// What a row is.
    pub(crate) doc: &'static str,
    sql: &'static str,
}

/// In the order in which they are made: a view may rest on the views before it.
pub(crate) const VIEWS: &[View] = &[
    View {
        name: "events_unique",
        doc: "One event that is no copy of one before it: what the other views count.",
        sql: include_str!("views/events_unique.sql"),
    },
    View {
        name: "agents",
        doc: "One agent that acted: the live inventory.",
        sql: include_str!("views/agents.sql"),
    },
    View {
        name: "agent_history",
        doc: "One event, with what the agent had done before it. Ask for one agent at a time.",
        sql: include_str!("views/agent_history.sql"),
    },
    View {
        name: "sponsors",
        doc: "One sponsor, and what was done in his or her name. No sponsor id: what nobody answers for.",
        sql: include_str!("views/sponsors.sql"),
    },
    View {
        name: "credentials",
        doc: "One credential that was used.",
        sql: include_str!("views/credentials.sql"),
    },
    View {
        name: "shared_credentials",
        doc: "One agent's use of a credential that more than one agent used.",
        sql: include_str!("views/shared_credentials.sql"),
    },
    View {
        name: "counterparties",
        doc: "One counterparty: a vendor, an account, a recipient, a host, a tenant.",
        sql: include_str!("views/counterparties.sql"),
    },
    View {
        name: "trace_coverage",
        doc: "How many events of a day, format and class lead to a sponsor.",
        sql: include_str!("views/trace_coverage.sql"),
    },
    View {
        name: "events_traced",
        doc: "One event with who answered for it, by name.",
        sql: include_str!("views/events_traced.sql"),
    },
    View {
        name: "open_rejects",
        doc: "One record that could not become an event, and was not made one by reading it again.",
        sql: include_str!("views/open_rejects.sql"),
    },
    View {
        name: "triage",
        doc: "One finding, with what a person said of it last.",
        sql: include_str!("views/triage.sql"),
    },
    View {
        name: "registry_facts",
        doc: "One fact of the registry by its last telling, with the time it holds.",
        sql: include_str!("views/registry_facts.sql"),
    },
    View {
        name: "grants_use",
        doc: "One grant, and whether it was used.",
        sql: include_str!("views/grants_use.sql"),
    },
    View {
        name: "unowned",
        doc: "One agent that nobody answers for.",
        sql: include_str!("views/unowned.sql"),
    },
    View {
        name: "hygiene",
        doc: "One violation: a credential, agent or grant that is not as it should be.",
        sql: include_str!("views/hygiene.sql"),
    },
];

/// The table `counterparty_edges` as SQL sees it: one row for each pair. The lake keeps what each
/// commit adds to a pair.
pub(crate) const EDGES: View = View {
    name: "counterparty_edges",
    doc: Table::CounterpartyEdges.doc(),
    sql: include_str!("views/counterparty_edges.sql"),
};

/// The same for a lake that keeps no edges.
pub(crate) const EDGES_OF_EVENTS: View =
    View { sql: include_str!("views/counterparty_edges_of_events.sql"), ..EDGES };

/// The table `dispositions` as SQL sees it: what people say is kept in the registry.
pub(crate) const DISPOSITIONS: View = View {
    name: "dispositions",
    doc: Table::Dispositions.doc(),
    sql: include_str!("views/dispositions.sql"),
};

/// The schema of tables that a view of the same name stands before.
pub(crate) const KEPT: &str = "kept";

impl View {
    pub(crate) async fn register(&self, context: &SessionContext) -> Result<(), DataFusionError> {
        let plan = context.state().create_logical_plan(self.sql).await?;
        let view = ViewTable::new(plan, Some(self.sql.to_owned()));
        context.register_table(self.name, Arc::new(view))?;
        Ok(())
    }

    /// What the view says of a column in a comment of the form `-- column: meaning`.
    pub(crate) fn column_doc(&self, column: &str) -> Option<&'static str> {
        let comments = self.sql.lines().filter_map(|line| line.strip_prefix("-- "));
        let mut documented = comments.filter_map(|line| line.split_once(": "));
        documented.find(|(name, _)| *name == column).map(|(_, doc)| doc)
    }
}
