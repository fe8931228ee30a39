//! Whether a statement only reads, and how large it becomes when its parts are put into each other.
//!
//! Invariant (Q1): the planner puts the text of a WITH, and the expressions of a subquery's columns,
//! into every place that names them. What that makes of a statement is counted here before it is done.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr,
    Statement as SqlStatement, TableFactor, Visit, Visitor,
};

use super::{EXPANDED_MAX, GROUPING_SETS_MAX, RELATIONS_MAX};
use crate::error::QueryError;

/// Aggregates whose value is as long as the rows they saw: over a window, each row would have one.
const GROWING: &[&str] = &["array_agg", "string_agg"];

/// # Errors
///
/// [`QueryError::ReadOnly`], [`QueryError::TooLarge`] or [`QueryError::Invalid`].
pub(super) fn check(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(statement) => check_sql(statement),
        Statement::Explain(explain) => check(&explain.statement),
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

fn refused(statement: &str) -> QueryError {
    QueryError::ReadOnly { statement: statement.to_owned() }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a list of what is allowed, not of what is not")]
fn check_sql(statement: &SqlStatement) -> Result<(), QueryError> {
    match statement {
        SqlStatement::Explain { statement, .. } => return check_sql(statement),
        SqlStatement::Query(_)
        | SqlStatement::ExplainTable { .. }
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowFunctions { .. }
        | SqlStatement::ShowVariable { .. } => {}
        other => {
            let text = other.to_string();
            return Err(refused(text.split_whitespace().next().unwrap_or("this statement")));
        }
    }
    let mut reads = Reads { levels: vec![Size::default()], ..Reads::default() };
    match statement.visit(&mut reads) {
        ControlFlow::Break(why) => Err(why),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// How large a query becomes.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Tables, its own and those of the queries in it.
    relations: u64,
    /// Most column names in one of its own expressions.
    names: u64,
    /// The largest expression of the queries it reads from.
    below: u64,
}

impl Size {
    /// Column names in its largest expression when those it names are put in.
    fn expanded(self) -> u64 {
        self.names.max(1).saturating_mul(self.below.max(1))
    }

    fn read_from(&mut self, other: Self) -> ControlFlow<QueryError> {
        self.relations = self.relations.saturating_add(other.relations);
        self.below = self.below.max(other.expanded());
        if RELATIONS_MAX < self.relations {
            return too_large("tables", RELATIONS_MAX, self.relations);
        }
        if EXPANDED_MAX < self.below {
            return too_large("column names in one expression", EXPANDED_MAX, self.below);
        }
        ControlFlow::Continue(())
    }
}

fn too_large(what: &'static str, max: u64, found: u64) -> ControlFlow<QueryError> {
    let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
    let (max, found) = (number(max), number(found));
    ControlFlow::Break(QueryError::TooLarge { what, max, found })
}

/// How many grouping sets the planner writes out: those of each CUBE and the like, multiplied.
#[expect(clippy::wildcard_enum_match_arm, reason = "any other expression is one set")]
fn grouping_sets(group_by: &GroupByExpr) -> u64 {
    let GroupByExpr::Expressions(exprs, _) = group_by else { return 1 };
    exprs.iter().fold(1, |sets: u64, expr| {
        sets.saturating_mul(match expr {
            Expr::Cube(columns) => {
                1_u64.checked_shl(u32::try_from(columns.len()).unwrap_or(64)).unwrap_or(u64::MAX)
            }
            Expr::Rollup(columns) => columns.len() as u64 + 1,
            Expr::GroupingSets(columns) => columns.len() as u64,
            _ => 1,
        })
    })
}

/// Looks for writes that hide inside a query, and counts.
#[derive(Default)]
struct Reads {
    /// The queries around the place, the outermost first.
    levels: Vec<Size>,
    /// What a name of a WITH stands for; of two with one name, the larger.
    named: BTreeMap<String, Size>,
    /// Queries of a WITH that are not finished, by where they are, with their names.
    waiting: BTreeMap<usize, String>,
}

/// Queries do not move while they are looked at: their addresses tell them apart.
fn address(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

impl Reads {
    fn here(&mut self) -> &mut Size {
        self.levels.last_mut().expect("the outermost level is never left")
    }
}

impl Visitor for Reads {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        let write = match query.body.as_ref() {
            SetExpr::Insert(_) => Some("INSERT"),
            SetExpr::Update(_) => Some("UPDATE"),
            SetExpr::Delete(_) => Some("DELETE"),
            SetExpr::Merge(_) => Some("MERGE"),
            SetExpr::Select(_)
            | SetExpr::Query(_)
            | SetExpr::SetOperation { .. }
            | SetExpr::Values(_)
            | SetExpr::Table(_) => None,
        };
        if let Some(write) = write {
            return ControlFlow::Break(refused(write));
        }
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.waiting.insert(address(&table.query), table.alias.name.value.to_lowercase());
        }
        self.levels.push(Size::default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        let size = self.levels.pop().expect("every query that is left was entered");
        if let Some(name) = self.waiting.remove(&address(query)) {
            let known = self.named.entry(name).or_default();
            // Even one without a table is a part of the plan for each place that names it.
            known.relations = known.relations.max(size.relations.max(1));
            known.below = known.below.max(size.expanded());
            return ControlFlow::Continue(());
        }
        self.here().read_from(size)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        if select.into.is_some() {
            return ControlFlow::Break(refused("SELECT INTO"));
        }
        let mut names = 0;
        for item in &select.projection {
            let mut counting = Names(0);
            // Counting never breaks.
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                let ControlFlow::Continue(()) = expr.visit(&mut counting);
            }
            names = names.max(counting.0);
        }
        let here = self.here();
        here.names = here.names.max(names);
        let sets = grouping_sets(&select.group_by);
        if GROUPING_SETS_MAX < sets {
            return too_large("grouping sets", GROUPING_SETS_MAX, sets);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        let mut size = Size { relations: 1, ..Size::default() };
        if let TableFactor::Table { name, args: None, .. } = factor
            && let Some(named) = plain(name).and_then(|name| self.named.get(&name))
        {
            size = *named;
        }
        self.here().read_from(size)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        if let Expr::Function(function) = expr
            && function.over.is_some()
            && plain(&function.name).is_some_and(|name| GROWING.contains(&name.as_str()))
        {
            let message =
                format!("{} OVER is not answered: each row would hold many", function.name);
            return ControlFlow::Break(QueryError::Invalid { message, spot: None });
        }
        ControlFlow::Continue(())
    }
}

/// The name, if it has one part.
fn plain(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(one)] => Some(one.value.to_lowercase()),
        _ => None,
    }
}

/// Counts column names.
struct Names(u64);

impl Visitor for Names {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            self.0 += 1;
        }
        ControlFlow::Continue(())
    }
}
