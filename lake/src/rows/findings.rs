//! Rows of the table `findings`.

use arrow::array::{
    Decimal128Builder, Float32Builder, Float64Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    Decimal128Type, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use schemas::{
    AgentClass, AgentId, CounterpartyId, CredentialId, Currency, DetectorKind, EventId, Finding,
    FindingId, Maturity, MaturityLevel, Severity, SponsorId, Table, Timestamp, TraceStatus,
};

use super::columns::{
    Columns, MonthText, PositionColumns, Positions, RowError, append_list, batch, finished, money,
    text_bytes, text_lists, texts, times,
};

/// Bytes that a row has beside its texts.
const FIXED_BYTES: usize = 200;

/// Rows of `findings` while they are collected.
#[derive(Debug)]
pub struct FindingRows {
    finding_id: StringBuilder,
    time: TimestampMicrosecondBuilder,
    detected_at: TimestampMicrosecondBuilder,
    detector: StringBuilder,
    severity: StringBuilder,
    agent_id: StringBuilder,
    agent_class: StringBuilder,
    credential_id: StringBuilder,
    sponsor_id: StringBuilder,
    trace_status: StringBuilder,
    event_id: StringBuilder,
    action: StringBuilder,
    counterparty_id: StringBuilder,
    score: Float64Builder,
    false_findings_per_agent_day: Float64Builder,
    summary: StringBuilder,
    features: StringBuilder,
    maturity: StringBuilder,
    maturity_events: Int64Builder,
    maturity_days: Float32Builder,
    evidence: ListBuilder<StringBuilder>,
    money_at_risk: Decimal128Builder,
    currency: StringBuilder,
    tags: ListBuilder<StringBuilder>,
    position: PositionColumns,
    month: StringBuilder,
    month_text: MonthText,
    rows: usize,
}

impl Default for FindingRows {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl FindingRows {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            finding_id: texts(rows),
            time: times(rows),
            detected_at: times(rows),
            detector: texts(rows),
            severity: texts(rows),
            agent_id: texts(rows),
            agent_class: texts(rows),
            credential_id: texts(rows),
            sponsor_id: texts(rows),
            trace_status: texts(rows),
            event_id: texts(rows),
            action: texts(rows),
            counterparty_id: texts(rows),
            score: Float64Builder::with_capacity(rows),
            false_findings_per_agent_day: Float64Builder::with_capacity(rows),
            summary: texts(rows),
            features: texts(rows),
            maturity: texts(rows),
            maturity_events: Int64Builder::with_capacity(rows),
            maturity_days: Float32Builder::with_capacity(rows),
            evidence: text_lists(rows),
            money_at_risk: money(rows),
            currency: texts(rows),
            tags: text_lists(rows),
            position: PositionColumns::with_capacity(rows),
            month: texts(rows),
            month_text: MonthText::default(),
            rows: 0,
        }
    }

    /// `detected_at` is when Surety found it.
    pub fn push(&mut self, finding: &Finding, detected_at: Timestamp) {
        self.finding_id.append_value(&finding.finding_id);
        self.time.append_value(finding.time.as_micros());
        self.detected_at.append_value(detected_at.as_micros());
        self.detector.append_value(finding.detector.as_str());
        self.severity.append_value(finding.severity.as_str());
        self.agent_id.append_value(&finding.agent_id);
        self.agent_class.append_option(finding.agent_class.as_ref());
        self.credential_id.append_value(&finding.credential_id);
        self.sponsor_id.append_option(finding.sponsor_id.as_ref());
        self.trace_status.append_value(finding.trace_status.as_str());
        self.event_id.append_value(&finding.event_id);
        self.action.append_value(&finding.action);
        self.counterparty_id.append_option(finding.counterparty_id.as_ref());
        self.score.append_value(finding.score);
        self.false_findings_per_agent_day.append_value(finding.false_findings_per_agent_day);
        self.summary.append_value(&finding.summary);
        let features = serde_json::to_string(&finding.features);
        self.features.append_value(features.expect("features are names and numbers"));
        self.maturity.append_value(finding.maturity.level.as_str());
        let events = i64::try_from(finding.maturity.events).unwrap_or(i64::MAX);
        self.maturity_events.append_value(events);
        self.maturity_days.append_value(finding.maturity.days);
        append_list(&mut self.evidence, finding.evidence.iter().map(EventId::as_str));
        let cents = finding.money_at_risk.map(|amount| i128::from(amount.as_cents()));
        self.money_at_risk.append_option(cents);
        self.currency.append_option(finding.currency.as_ref().map(Currency::as_str));
        append_list(&mut self.tags, finding.tags.iter().map(String::as_str));
        self.position.push(&finding.position);
        self.month.append_value(self.month_text.of(finding.time));
        self.rows += 1;
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About how much memory the rows take, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = text_bytes([
            &self.finding_id,
            &self.detector,
            &self.severity,
            &self.agent_id,
            &self.agent_class,
            &self.credential_id,
            &self.sponsor_id,
            &self.trace_status,
            &self.event_id,
            &self.action,
            &self.counterparty_id,
            &self.summary,
            &self.features,
            &self.maturity,
            self.evidence.values_ref(),
            &self.currency,
            self.tags.values_ref(),
            &self.position.topic,
            &self.month,
        ]);
        self.rows * FIXED_BYTES + texts
    }

    /// The rows as columns of [`Table::Findings`]; none are left here.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns = finished![
            self.finding_id,
            self.time,
            self.detected_at,
            self.detector,
            self.severity,
            self.agent_id,
            self.agent_class,
            self.credential_id,
            self.sponsor_id,
            self.trace_status,
            self.event_id,
            self.action,
            self.counterparty_id,
            self.score,
            self.false_findings_per_agent_day,
            self.summary,
            self.features,
            self.maturity,
            self.maturity_events,
            self.maturity_days,
            self.evidence,
            self.money_at_risk,
            self.currency,
            self.tags,
            self.position.topic,
            self.position.partition,
            self.position.offset,
            self.month,
            self.position.part,
        ];
        batch(Table::Findings, columns)
    }
}

/// The findings of a batch with the columns of [`Table::Findings`], each with when it was found.
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_findings(batch: &RecordBatch) -> Result<Vec<(Finding, Timestamp)>, RowError> {
    let columns = Columns(batch);
    let detected_at = columns.numbers::<TimestampMicrosecondType>("detected_at")?;
    let mut position = Positions::of(columns)?;
    let mut findings = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        findings.push((finding(columns, &mut position, row)?, detected_at.time(row)?));
    }
    Ok(findings)
}

/// Looks the columns up for each row: findings are few.
fn finding(
    columns: Columns<'_>,
    position: &mut Positions<'_>,
    row: usize,
) -> Result<Finding, RowError> {
    let own = |text: &str| Ok::<_, String>(text.to_owned());
    let maturity = Maturity {
        level: columns.texts("maturity")?.word(row, MaturityLevel::parse)?,
        events: columns.numbers::<Int64Type>("maturity_events")?.one(row, u64::try_from)?,
        days: columns.numbers::<Float32Type>("maturity_days")?.plain(row)?,
    };
    let floats = |name| columns.numbers::<Float64Type>(name)?.plain(row);
    Ok(Finding {
        finding_id: columns.texts("finding_id")?.one(row, FindingId::try_from)?,
        detector: columns.texts("detector")?.word(row, DetectorKind::parse)?,
        severity: columns.texts("severity")?.word(row, Severity::parse)?,
        time: columns.numbers::<TimestampMicrosecondType>("time")?.time(row)?,
        agent_id: columns.texts("agent_id")?.one(row, AgentId::try_from)?,
        agent_class: columns.texts("agent_class")?.maybe(row, AgentClass::try_from)?,
        credential_id: columns.texts("credential_id")?.one(row, CredentialId::try_from)?,
        sponsor_id: columns.texts("sponsor_id")?.maybe(row, SponsorId::try_from)?,
        trace_status: columns.texts("trace_status")?.word(row, TraceStatus::parse)?,
        event_id: columns.texts("event_id")?.one(row, EventId::try_from)?,
        position: position.get(row)?,
        action: columns.texts("action")?.plain(row)?,
        counterparty_id: columns.texts("counterparty_id")?.maybe(row, CounterpartyId::try_from)?,
        score: floats("score")?,
        false_findings_per_agent_day: floats("false_findings_per_agent_day")?,
        summary: columns.texts("summary")?.plain(row)?,
        features: columns.texts("features")?.one(row, serde_json::from_str)?,
        maturity,
        evidence: columns.text_lists("evidence")?.get(row, |text| EventId::try_from(text))?,
        money_at_risk: columns.numbers::<Decimal128Type>("money_at_risk")?.amount(row)?,
        currency: columns.texts("currency")?.maybe(row, Currency::try_from)?,
        tags: columns.text_lists("tags")?.get(row, own)?,
    })
}
