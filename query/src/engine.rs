//! [`Engine`]: the lake's tables, the published views and the functions, behind SQL that only reads.
//!
//! Invariant (Q1): the only ways in are [`Engine::sql`] and [`Engine::trace`]; nothing registers a
//! table, a file or a setting after the engine is made.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::execution::SessionState;
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use lake::{Lake, LakeError};
use schemas::{AgentId, CredentialId, EventId, SponsorId, Table, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::answer::{Answer, Watch};
use crate::bounds;
use crate::error::{NameKind, Names, QueryError, explain, nearest};
use crate::json_get::JsonGet;
use crate::statement::{STACK_BYTES, Source};
use crate::trace::{Ledger, TraceAnswer, TraceFunction};
use crate::views::{DISPOSITIONS, EDGES, EDGES_OF_EVENTS, KEPT, VIEWS};

/// Plans that are made at once. Each has a stack of its own.
const PLANNERS_MAX: usize = 4;

/// The catalog of all tables and views, as `information_schema` names it.
const CATALOG: &str = "surety";

/// What all statements of an engine, or each of them, may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all statements together, in bytes. What does not fit is spilled or refused.
    pub memory_bytes_max: usize,
    /// Room on the temporary disk for what is spilled, in bytes.
    pub spill_bytes_max: u64,
    /// Rows of one answer.
    pub rows_max: u64,
    /// Bytes of one answer, as the engine holds it.
    pub bytes_max: u64,
    /// Time of one statement, reading the answer included.
    pub time_max: Duration,
    /// Threads that one statement is spread over; more than the machine has are the machine's.
    pub threads_max: usize,
}

impl Limits {
    /// One person at a terminal: 1 GiB of memory, 16 GiB of disk, any number of rows, one hour, the
    /// whole machine.
    pub const ONE_PERSON: Self = Self {
        memory_bytes_max: 1 << 30,
        spill_bytes_max: 16 << 30,
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        time_max: Duration::from_hours(1),
        threads_max: usize::MAX,
    };

    pub(crate) fn late(&self) -> QueryError {
        QueryError::Timeout { seconds: self.time_max.as_secs() }
    }
}

/// A column as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    pub name: String,
    pub data_type: DataType,
    /// Empty for a column of a view that no table has.
    pub doc: &'static str,
}

/// A table or a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub name: &'static str,
    pub doc: &'static str,
    pub is_view: bool,
    pub columns: Vec<RelationColumn>,
}

/// SQL over the lake as it was when the engine was made.
#[derive(Debug)]
pub struct Engine {
    state: SessionState,
    ledger: Arc<Ledger>,
    budget: Budget,
    relations: Vec<Relation>,
    names: Arc<Names>,
}

/// What engines share: the limits hold for the statements of all of them together.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    /// Memory and room for what is spilled.
    runtime: Arc<RuntimeEnv>,
    /// Threads that may plan. A plan cannot be interrupted, so its thread counts until it is done,
    /// also when nobody waits for it any more.
    planners: Arc<Semaphore>,
}

impl Budget {
    /// # Errors
    ///
    /// [`QueryError::Bug`] if there is no folder for temporary files.
    pub fn new(limits: Limits) -> Result<Self, QueryError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(limits.memory_bytes_max, 1.0)
            .with_max_temp_directory_size(limits.spill_bytes_max)
            .build_arc();
        let runtime = runtime.map_err(|error| bug(&error))?;
        Ok(Self { limits, runtime, planners: Arc::new(Semaphore::new(PLANNERS_MAX)) })
    }
}

type Tables = Vec<(Table, Option<Arc<dyn TableProvider>>)>;

impl Engine {
    /// An engine over the lake as it is now.
    ///
    /// # Errors
    ///
    /// [`QueryError::Lake`] if a table cannot be opened; [`QueryError::Bug`].
    pub async fn open(lake: &Lake, limits: Limits) -> Result<Self, QueryError> {
        Self::within(lake, Vec::new(), &Budget::new(limits)?).await
    }

    /// The same within a budget that other engines share, and with the events that a pipeline has
    /// read and not committed: those that the lake has by now are left out. An engine sees the lake
    /// of its time: make one for each question.
    ///
    /// # Errors
    ///
    /// As [`Engine::open`].
    pub async fn within(
        lake: &Lake,
        live: Vec<RecordBatch>,
        budget: &Budget,
    ) -> Result<Self, QueryError> {
        Self::over(tables_of(lake, live).await?, budget.clone()).await
    }

    /// An engine over `tables`; a table without a provider is empty.
    ///
    /// `counterparty_edges` holds what each commit adds to a pair; without it, the pairs are computed
    /// from the events.
    ///
    /// # Errors
    ///
    /// [`QueryError::Bug`] if a view does not fit the tables.
    pub async fn with_tables(
        tables: Vec<(Table, Option<Arc<dyn TableProvider>>)>,
        limits: Limits,
    ) -> Result<Self, QueryError> {
        Self::over(tables, Budget::new(limits)?).await
    }

    async fn over(tables: Tables, budget: Budget) -> Result<Self, QueryError> {
        let (runtime, threads) = (&budget.runtime, budget.limits.threads_max);
        let session = || SessionContext::new_with_config_rt(config(threads), Arc::clone(runtime));
        let (context, ledger) = (session(), Arc::new(Ledger::new(session())));
        let mut edges = EDGES_OF_EVENTS;
        for (table, provider) in tables {
            if table == Table::CounterpartyEdges {
                if let Some(provider) = provider {
                    keep(&context, table, provider).map_err(|error| bug(&error))?;
                    edges = EDGES;
                }
                continue;
            }
            let provider = provider.unwrap_or_else(|| lake::empty_provider(table));
            let registered = if table == Table::Dispositions {
                keep(&context, table, Arc::clone(&provider))
            } else {
                context.register_table(table.name(), Arc::clone(&provider)).map(|_| ())
            };
            registered.map_err(|error| bug(&error))?;
            ledger.register(table, provider).map_err(|error| bug(&error))?;
        }
        context.register_udf(ScalarUDF::from(JsonGet::new()));
        context.register_udtf("trace", Arc::new(TraceFunction::new(Arc::clone(&ledger))));
        let context = on_large_stack(async move {
            for view in [&edges, &DISPOSITIONS].into_iter().chain(VIEWS) {
                view.register(&context).await?;
            }
            Ok::<_, DataFusionError>(context)
        });
        let context = context.await?.map_err(|error| bug(&error))?;
        // After the views, which may use what statements may not.
        let context = bounds::keep(context).map_err(|error| bug(&error))?;
        let relations = relations(&context).await.map_err(|error| bug(&error))?;
        let state = context.state();
        let names = Arc::new(names(&state, &relations));
        Ok(Self { state, ledger, budget, relations, names })
    }

    /// Runs one statement.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub async fn sql(&self, text: &str) -> Result<Answer, QueryError> {
        let limits = &self.budget.limits;
        let deadline = Instant::now() + limits.time_max;
        let source = Arc::new(Source::new(text)?);
        let (state, names) = (self.state.clone(), Arc::clone(&self.names));
        let work = Box::pin(plan(state, Arc::clone(&source), names));
        let planners = Arc::clone(&self.budget.planners);
        let planned = async {
            let permit = planners.acquire_owned().await.expect("it is never closed");
            // Kept by the thread until the plan is made.
            on_large_stack(async move { (work.await, permit).0 }).await
        };
        let plan =
            tokio::time::timeout_at(deadline, planned).await.map_err(|_| limits.late())???;
        let stream = execute_stream(Arc::clone(&plan), self.state.task_ctx())
            .map_err(|error| explain(&error, &source, &self.names))?;
        let watch = Watch { plan, rows: Arc::new(AtomicU64::new(0)) };
        let (names, limits) = (Arc::clone(&self.names), limits.clone());
        Ok(Answer { stream, watch, source, names, deadline, limits, bytes: 0 })
    }

    /// Traces an event to its sponsor, by what was known at `known_at`, or is known now.
    ///
    /// # Errors
    ///
    /// [`QueryError::Unknown`] if there is no such event; [`QueryError::Timeout`];
    /// [`QueryError::Lake`].
    pub async fn trace(
        &self,
        event: &EventId,
        known_at: Option<Timestamp>,
    ) -> Result<TraceAnswer, QueryError> {
        let limits = &self.budget.limits;
        let traced = self.ledger.trace(event, known_at);
        tokio::time::timeout(limits.time_max, traced).await.map_err(|_| limits.late())?
    }

    /// The agents that may use a credential at a time, and who answers for each, by what is known now.
    pub(crate) async fn users_of(
        &self,
        credential: &CredentialId,
        time: Timestamp,
    ) -> Result<Vec<(AgentId, Option<SponsorId>)>, QueryError> {
        let limits = &self.budget.limits;
        let users = self.ledger.users_of(credential, time);
        tokio::time::timeout(limits.time_max, users).await.map_err(|_| limits.late())?
    }

    /// The tables and views, tables first, each kind by name.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// The table or view of this name.
    ///
    /// # Errors
    ///
    /// [`QueryError::Unknown`].
    pub fn relation(&self, name: &str) -> Result<&Relation, QueryError> {
        let found = self.relations.iter().find(|one| one.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| QueryError::Unknown {
            kind: NameKind::Table,
            name: name.to_owned(),
            nearest: nearest(name, self.names.relations.iter().map(String::as_str)),
            spot: None,
        })
    }

    /// The functions, by name.
    pub fn functions(&self) -> &[String] {
        &self.names.functions
    }
}

fn bug(error: &DataFusionError) -> QueryError {
    QueryError::Bug { message: error.to_string() }
}

/// Registers a table that a view of its name stands before.
fn keep(
    context: &SessionContext,
    table: Table,
    provider: Arc<dyn TableProvider>,
) -> Result<(), DataFusionError> {
    let catalog = context
        .catalog(CATALOG)
        .ok_or_else(|| DataFusionError::Internal("no catalog".to_owned()))?;
    if catalog.schema(KEPT).is_none() {
        catalog.register_schema(KEPT, Arc::new(MemorySchemaProvider::new()))?;
    }
    context.register_table(TableReference::partial(KEPT, table.name()), provider).map(drop)
}

/// The lake's tables at their newest versions; the storage is asked for all of them at once.
async fn tables_of(lake: &Lake, live: Vec<RecordBatch>) -> Result<Tables, QueryError> {
    let opened = Table::ALL.iter().map(|table| {
        let live = if *table == Table::Events { live.clone() } else { Vec::new() };
        async move {
            let provider = if live.is_empty() {
                lake.provider(*table).await?
            } else {
                Some(lake.events_with(live).await?)
            };
            Ok((*table, provider))
        }
    });
    let opened = futures::future::try_join_all(opened).await;
    opened.map_err(|error: LakeError| QueryError::Lake(Box::new(error)))
}

fn config(threads_max: usize) -> SessionConfig {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(threads_max);
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_target_partitions(threads)
        .with_default_catalog_and_schema(CATALOG, "public");
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.execution.parquet.enable_page_index = true;
    options.execution.parquet.bloom_filter_on_read = true;
    config
}

/// Parses, checks and plans a statement.
async fn plan(
    state: SessionState,
    source: Arc<Source>,
    names: Arc<Names>,
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let statement = source.parse()?;
    let named = |error: DataFusionError| explain(&error, &source, &names);
    let plan = state.statement_to_plan(statement).await.map_err(named)?;
    let reading =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    // The statement was checked already; this checks what the planner made of it.
    reading
        .verify_plan(&plan)
        .map_err(|_| QueryError::ReadOnly { statement: "this statement".to_owned() })?;
    let plan = state.optimize(&plan).map_err(named)?;
    bounds::check_constants(&plan).map_err(named)?;
    state.query_planner().create_physical_plan(&plan, &state).await.map_err(named)
}

/// Runs `work` on a thread with a large stack, so that deep statements do not overflow it. A panic
/// in it is a [`QueryError::Bug`].
async fn on_large_stack<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, QueryError> {
    let handle = Handle::current();
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        // Nobody waits any more: the caller has gone.
        drop(sender.send(handle.block_on(work)));
    };
    let spawned =
        thread::Builder::new().name("surety-plan".to_owned()).stack_size(STACK_BYTES).spawn(run);
    if let Err(error) = spawned {
        return Err(QueryError::Resources { message: format!("no thread to plan on: {error}") });
    }
    receiver.await.map_err(|_| QueryError::Bug { message: "the planner panicked".to_owned() })
}

async fn relations(context: &SessionContext) -> Result<Vec<Relation>, DataFusionError> {
    let tables = Table::ALL.iter().map(|table| (table.name(), table.doc(), false));
    let views = VIEWS.iter().map(|view| (view.name, view.doc, true));
    let mut relations = Vec::new();
    for (name, doc, is_view) in tables.chain(views) {
        let schema = context.table_provider(name).await?.schema();
        let columns = schema.fields().iter().map(|field| RelationColumn {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            doc: column_doc(name, field.name()),
        });
        relations.push(Relation { name, doc, is_view, columns: columns.collect() });
    }
    relations.sort_by_key(|relation| (relation.is_view, relation.name));
    Ok(relations)
}

/// A view's own word on a column, or else that of the first table that has it.
fn column_doc(relation: &str, column: &str) -> &'static str {
    let view = VIEWS.iter().find(|view| view.name == relation);
    if let Some(doc) = view.and_then(|view| view.column_doc(column)) {
        return doc;
    }
    let own = Table::ALL.iter().filter(|table| table.name() == relation);
    let others = Table::ALL.iter().filter(|_| view.is_some());
    let mut columns = own.chain(others).flat_map(|table| table.columns());
    columns.find(|one| one.name == column).map_or("", |one| one.doc)
}

fn names(state: &SessionState, relations: &[Relation]) -> Names {
    let mut functions: Vec<String> = state.scalar_functions().keys().cloned().collect();
    functions.extend(state.aggregate_functions().keys().cloned());
    functions.extend(state.window_functions().keys().cloned());
    functions.extend(state.table_functions().keys().cloned());
    functions.sort_unstable();
    functions.dedup();
    Names { relations: relations.iter().map(|one| one.name.to_owned()).collect(), functions }
}
