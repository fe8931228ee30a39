//! [`TraceFunction`]: the SQL table function `trace('<event id>')`, one row for each hop.
//!
//! Invariant: its rows are those of [`TraceAnswer`](super::TraceAnswer): a gap is a row of its own.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, ScalarValue, plan_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use schemas::{EventId, Timestamp, Trace};

use super::Ledger;
use crate::error::QueryError;

/// `trace('<event id>')` and `trace('<event id>', '<known at>')`.
#[derive(Debug)]
pub(crate) struct TraceFunction {
    ledger: Arc<Ledger>,
}

impl TraceFunction {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }
}

impl TableFunctionImpl for TraceFunction {
    fn call_with_args(
        &self,
        args: TableFunctionArgs<'_, '_>,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let (event, known_at) = match args.exprs() {
            [event] => (text(event)?, None),
            [event, known_at] => (text(event)?, Some(text(known_at)?)),
            _ => return plan_err!("trace wants an event's id, and perhaps a time"),
        };
        let Ok(event_id) = EventId::try_from(event) else {
            return plan_err!("trace wants an event's id of 1 to 512 visible characters");
        };
        let known_at = match known_at.map(|text| Timestamp::parse(&text)).transpose() {
            Ok(known_at) => known_at,
            Err(error) => return plan_err!("trace: {error}"),
        };
        Ok(Arc::new(TraceRows {
            ledger: Arc::clone(&self.ledger),
            event_id,
            known_at,
            schema: schema(),
        }))
    }
}

fn text(expr: &Expr) -> Result<String, DataFusionError> {
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr {
        return Ok(text.clone());
    }
    plan_err!("trace wants its arguments as texts in quotes")
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("hop", DataType::Int32, false),
        Field::new("hop_from", DataType::Utf8, false),
        Field::new("hop_to", DataType::Utf8, true),
        Field::new("method", DataType::Utf8, true),
        Field::new("confidence", DataType::Float32, true),
        Field::new(
            "valid_from",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("evidence", DataType::Utf8, true),
        Field::new("gap_reason", DataType::Utf8, true),
    ]))
}

/// The hops of one event. Computed when the statement runs.
#[derive(Debug)]
struct TraceRows {
    ledger: Arc<Ledger>,
    event_id: EventId,
    known_at: Option<Timestamp>,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for TraceRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let answer = match self.ledger.trace(&self.event_id, self.known_at).await {
            Ok(answer) => answer,
            Err(QueryError::Lake(cause)) => return Err(DataFusionError::External(cause)),
            Err(error) => return plan_err!("{error}"),
        };
        let batch = rows(&answer.trace, Arc::clone(&self.schema))?;
        let plan = MemorySourceConfig::try_new_exec(
            &[vec![batch]],
            Arc::clone(&self.schema),
            projection.cloned(),
        )?;
        Ok(plan)
    }
}

fn rows(trace: &Trace, schema: SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let (hops, gap) = (&trace.hops, trace.gap.as_ref());
    let count = hops.len() + usize::from(gap.is_some());
    let numbers: Int32Array = (1..).take(count).collect();
    // The gap's row has no hop's columns; each hop's row has no reason.
    let no_gap = hops.iter().map(|_| None);
    let from: StringArray = hops
        .iter()
        .map(|hop| Some(hop.from.as_str()))
        .chain(gap.map(|gap| Some(gap.at.as_str())))
        .collect();
    let to: StringArray =
        hops.iter().map(|hop| Some(hop.to.as_str())).chain(gap.map(|_| None)).collect();
    let methods: StringArray =
        hops.iter().map(|hop| Some(hop.method.as_str())).chain(gap.map(|_| None)).collect();
    let confidences: Float32Array =
        hops.iter().map(|hop| Some(hop.confidence)).chain(gap.map(|_| None)).collect();
    let times =
        hops.iter().map(|hop| hop.valid_from.map(Timestamp::as_micros)).chain(gap.map(|_| None));
    let times: TimestampMicrosecondArray = times.collect();
    let evidence: StringArray =
        hops.iter().map(|hop| Some(hop.evidence.as_str())).chain(gap.map(|_| None)).collect();
    let reasons: StringArray = no_gap.chain(gap.map(|gap| Some(gap.reason.as_str()))).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(numbers),
        Arc::new(from),
        Arc::new(to),
        Arc::new(methods),
        Arc::new(confidences),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(evidence),
        Arc::new(reasons),
    ];
    Ok(RecordBatch::try_new(schema, columns)?)
}
