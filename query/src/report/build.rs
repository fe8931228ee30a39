//! [`write_report`]: from the lake to an evidence pack.
//!
//! Invariant: memory does not grow with the rows: they are read seal by seal, proven, and written to
//! temporary files. A row is written only once the seal that it is in was made again from the stored
//! records and is the one that was signed.

mod sealed_rows;

use std::collections::BTreeMap;
use std::io::Write;

use lake::seal::PublicKey;
use lake::{Lake, LakeError};
use schemas::{EventId, Timestamp};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::facts::{Facts, HopOfTrace, TraceOfAgent};
use super::html;
use super::pdf::pdf;
use super::rows::RowFiles;
use super::statements::{Statement, Statements};
use super::tally::Tally;
use crate::format::{Destination, Format, WriteError, write_answer};
use crate::pack::chain::{Chain, Link};
use crate::pack::manifest::{FORMAT, FileHash, Head, Manifest, Subject};
use crate::pack::member::{Finished, Member, Method};
use crate::pack::proof::hex;
use crate::pack::{name, zip};
use crate::{Engine, Limits, QueryError};
use sealed_rows::{Counted, SealedRows};

/// Agents whose last event is traced hop by hop.
const TRACES_MAX: usize = 30;
/// Rows of small tables that the report for people may name.
const LISTED_MAX: usize = 40;

/// What a report is about, and by which key its seals must be signed.
#[derive(Clone, Debug)]
pub struct Request {
    pub subject: Subject,
    /// The first moment of the range.
    pub from: Timestamp,
    /// The end of the range: not in it.
    pub to: Timestamp,
    pub key: PublicKey,
}

/// What is in a pack that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    /// Rows that are in no seal yet.
    pub unsealed: u64,
    pub findings: u64,
    /// Seals from the oldest that the pack rests on to the newest.
    pub seals: u64,
    pub files: usize,
    /// SHA-256 of the pack, in hexadecimal digits.
    pub sha256: String,
}

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("wanted a range that ends after it begins, found {from} to {to}")]
    Range { from: Timestamp, to: Timestamp },
    /// The lake has no seal to rest on.
    #[error("the lake has no seal: run `surety seal catch-up`")]
    NoSeal,
    /// The lake is not as it was sealed: `surety verify LAKE` says more.
    #[error("seal {seal}: {what}: run `surety verify` on the lake")]
    Broken { seal: i64, what: String },
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the lake cannot be read")]
    Lake(#[from] LakeError),
    /// The rows or the pack cannot be written.
    #[error("the pack cannot be written")]
    Write(#[from] WriteError),
}

impl From<std::io::Error> for ReportError {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Writes the evidence pack of `request` to `out`. Nothing is written before everything was read.
///
/// `progress` is told how many rows are done, and of how many.
///
/// # Errors
///
/// [`ReportError`].
pub async fn write_report(
    lake: &Lake,
    request: &Request,
    out: &mut impl Write,
    progress: impl Fn(u64, u64),
) -> Result<Written, ReportError> {
    let Request { subject, from, to, .. } = request;
    if to <= from {
        return Err(ReportError::Range { from: *from, to: *to });
    }
    // The seals first: what is committed after them is none of this report's.
    let (links, chain) = read_chain(lake, &request.key).await?;
    let engine = Engine::open(lake, Limits::ONE_PERSON).await?;
    let statements = Statements::of(subject, *from, *to);
    let mut report = Building { engine, statements, members: Vec::new(), tally: Tally::default() };
    let counted = Counted::of(&report.engine, request, &chain).await?;
    let used = chain.used(counted.first_seal(), *from);
    let links = &links[links.len() - used.seals.len()..];
    if *subject != Subject::Coverage {
        let mut rows = SealedRows::new(lake, request, &used, &counted)?;
        rows.write(&mut report.tally, progress).await?;
        report.members.extend(rows.finish()?);
    }
    let facts = report.facts(request, &used, counted.unsealed()).await?;
    report.write_tables().await?;
    report.write_texts(&facts, links)?;
    let mut written = Written {
        rows: facts.tally.events,
        unsealed: facts.unsealed,
        findings: facts.findings.iter().map(|count| count.findings).sum(),
        seals: facts.completeness.seals,
        files: report.members.len() + 1,
        sha256: String::new(),
    };
    let mut hashed = Hashed { out, hash: Sha256::new() };
    report.assemble(&facts, &mut hashed)?;
    written.sha256 = hex(&hashed.hash.finalize().into());
    Ok(written)
}

/// All seals of the lake, as notes and as what they say.
async fn read_chain(lake: &Lake, key: &PublicKey) -> Result<(Vec<Link>, Chain), ReportError> {
    let rows = lake.read_seals_from(0).await?;
    let links: Vec<Link> =
        rows.into_iter().map(|row| Link { sequence: row.sequence, note: row.note }).collect();
    let mut broken = None;
    let chain = Chain::follow(links.iter().cloned(), key, |seal, what| {
        broken.get_or_insert(ReportError::Broken { seal, what });
    });
    match broken {
        Some(broken) => Err(broken),
        None if chain.seals.is_empty() => Err(ReportError::NoSeal),
        None => Ok((links, chain)),
    }
}

/// A pack while it is made.
struct Building {
    engine: Engine,
    statements: Statements,
    members: Vec<Finished>,
    tally: Tally,
}

impl Building {
    async fn facts(
        &mut self,
        request: &Request,
        chain: &Chain,
        unsealed: u64,
    ) -> Result<Facts, ReportError> {
        let newest = chain.seals.last().ok_or(ReportError::NoSeal)?;
        let traces = self.traces().await?;
        let mut people = self.rows_of("people").await?;
        people.truncate(LISTED_MAX);
        let mut unowned = self.rows_of("unowned").await?;
        unowned.truncate(LISTED_MAX);
        Ok(Facts {
            format: FORMAT.to_owned(),
            subject: request.subject.clone(),
            from: request.from,
            to: request.to,
            lake: newest.lake.clone(),
            head: Head { sequence: newest.sequence, time: newest.time, sha256: hex(&chain.head) },
            key: request.key.to_string(),
            tally: std::mem::take(&mut self.tally),
            unsealed,
            completeness: chain.completeness(),
            people,
            findings: self.rows_of("finding_counts").await?,
            worst: self.rows_of("worst_findings").await?,
            traces,
            elsewhere: self.rows_of("elsewhere").await?,
            coverage: self.rows_of("coverage").await?,
            unowned,
            rejects: self.rows_of("rejects").await?,
        })
    }

    /// The rows of a statement; none where the report has no such statement.
    async fn rows_of<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, ReportError> {
        let Some(statement) = self.statements.get(name) else { return Ok(Vec::new()) };
        let (mut answer, mut json) = (self.engine.sql(&statement.sql).await?, Vec::new());
        write_answer(&mut answer, Format::Json, Destination::File, &mut json).await?;
        serde_json::from_slice(&json).map_err(|error| {
            QueryError::Bug { message: format!("the rows of {name} are not as wanted: {error}") }
                .into()
        })
    }

    /// The trace of the last event of those agents that did the most.
    async fn traces(&self) -> Result<Vec<TraceOfAgent>, ReportError> {
        let mut agents: Vec<_> = self.tally.agents.iter().collect();
        agents.sort_by_key(|(id, agent)| (std::cmp::Reverse(agent.outcomes.all()), *id));
        let mut traces = Vec::new();
        for (agent_id, agent) in agents.into_iter().take(TRACES_MAX) {
            let Ok(event) = EventId::try_from(agent.last_event.clone()) else { continue };
            let answer = self.engine.trace(&event, None).await?;
            let hop = |hop: &schemas::Hop| HopOfTrace {
                from: hop.from.clone(),
                to: hop.to.clone(),
                method: hop.method.to_string(),
                confidence: hop.confidence,
                evidence: hop.evidence.clone(),
            };
            let gap = answer.trace.gap.as_ref();
            traces.push(TraceOfAgent {
                agent_id: agent_id.clone(),
                event_id: agent.last_event.clone(),
                time: answer.event.time,
                status: answer.trace.status.to_string(),
                sponsor_id: answer.trace.sponsor_id.as_ref().map(ToString::to_string),
                confidence: answer.trace.confidence,
                hops: answer.trace.hops.iter().map(hop).collect(),
                gap: gap.map(|gap| format!("at {}: {}", gap.at, gap.reason)),
            });
        }
        Ok(traces)
    }

    /// The statements whose rows are files.
    async fn write_tables(&mut self) -> Result<(), ReportError> {
        let mut written = Vec::new();
        for Statement { name, sql, .. } in self.statements.0.iter().filter(|one| one.has_files) {
            let mut answer = self.engine.sql(sql).await?;
            let mut files = RowFiles::new(&format!("rows/{name}"), &answer.schema())?;
            while let Some(batch) = answer.next().await? {
                files.write(&batch)?;
            }
            written.extend(files.finish()?);
        }
        self.members.extend(written);
        Ok(())
    }

    fn write_texts(&mut self, facts: &Facts, links: &[Link]) -> Result<(), ReportError> {
        let json = |value: &Facts| {
            let text = serde_json::to_string_pretty(value);
            text.map(|text| text + "\n").map_err(std::io::Error::other)
        };
        let page = html::page(facts);
        self.members.extend([
            Member::of(name::README, html::readme(facts).as_bytes())?,
            Member::of(name::REPORT, page.as_bytes())?,
            Member::of(name::REPORT_PDF, &pdf(&page))?,
            Member::of(name::FACTS, json(facts)?.as_bytes())?,
            Member::of(name::KEY, format!("{}\n", facts.key).as_bytes())?,
            Member::of(name::QUERIES, self.statements.text().as_bytes())?,
        ]);
        let mut chain = Member::new(name::CHAIN, Method::Deflated)?;
        for link in links {
            serde_json::to_writer(&mut chain, link).map_err(std::io::Error::from)?;
            chain.write_all(b"\n")?;
        }
        self.members.push(chain.finish()?);
        Ok(())
    }

    fn assemble(mut self, facts: &Facts, out: &mut impl Write) -> Result<(), ReportError> {
        self.members.sort_by(|one, next| one.name.cmp(&next.name));
        let hash = |member: &Finished| FileHash {
            path: member.name.clone(),
            bytes: member.bytes,
            sha256: hex(&member.sha256),
        };
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            made_by: super::RELEASE.to_owned(),
            subject: facts.subject.clone(),
            from: facts.from,
            to: facts.to,
            lake: facts.lake.clone(),
            head: facts.head.clone(),
            files: self.members.iter().map(hash).collect(),
        };
        let text = serde_json::to_string_pretty(&manifest).map_err(std::io::Error::other)?;
        self.members.insert(0, Member::of(name::MANIFEST, format!("{text}\n").as_bytes())?);
        Ok(zip::assemble(self.members, out)?)
    }
}

/// Counts the hash of what is written.
struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Ranges of offsets by partition, adjacent ones as one.
type Ranges = BTreeMap<(schemas::Topic, schemas::KafkaPartition), (i64, i64)>;
