//! [`Table`]: the tables of the lake, each column with its type and its documentation.
//!
//! Invariant: `docs/tables.md` is generated from here, and the rows are built in the order of these
//! columns; a test fails on drift. A column is added at the end and never changes its type.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

mod columns;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Utf8,
    Binary,
    Int32,
    Int64,
    Float32,
    Float64,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    /// `Decimal128(18, 2)`.
    Money,
    Utf8List,
    Utf8Map,
}

impl ColumnType {
    pub fn arrow(self) -> DataType {
        match self {
            Self::Utf8 => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Money => DataType::Decimal128(18, 2),
            Self::Utf8List => {
                DataType::List(Arc::new(Field::new("element", DataType::Utf8, false)))
            }
            Self::Utf8Map => {
                let entries = Fields::from(vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", DataType::Utf8, false),
                ]);
                let entries = Field::new("key_value", DataType::Struct(entries), false);
                DataType::Map(Arc::new(entries), false)
            }
        }
    }

    /// The name used in `docs/tables.md`.
    const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "text",
            Self::Binary => "bytes",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Timestamp => "timestamp (us, UTC)",
            Self::Money => "decimal(18, 2)",
            Self::Utf8List => "list of text",
            Self::Utf8Map => "map of text to text",
        }
    }
}

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub column_type: ColumnType,
    pub is_nullable: bool,
    /// Whether lakes of earlier releases do not have it: there it is null. Such a column is nullable.
    pub is_later: bool,
    pub doc: &'static str,
}

/// The tables of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Events,
    Rejects,
    Findings,
    Deliveries,
    RegistryChanges,
    CounterpartyEdges,
    Dispositions,
    Seals,
    QueryLog,
}

impl Table {
    pub const ALL: &'static [Self] = &[
        Self::Events,
        Self::Rejects,
        Self::Findings,
        Self::Deliveries,
        Self::RegistryChanges,
        Self::CounterpartyEdges,
        Self::Dispositions,
        Self::Seals,
        Self::QueryLog,
    ];

    /// Its name in SQL and its folder in the lake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Rejects => "rejects",
            Self::Findings => "findings",
            Self::Deliveries => "deliveries",
            Self::RegistryChanges => "registry_changes",
            Self::CounterpartyEdges => "counterparty_edges",
            Self::Dispositions => "dispositions",
            Self::Seals => "seals",
            Self::QueryLog => "query_log",
        }
    }

    /// What a row is.
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Events => "One use of one credential by one agent.",
            Self::Rejects => {
                "One record, or one of several in a record, that could not become an event, with the reason."
            }
            Self::Findings => "One verdict of a detector on an event.",
            Self::Deliveries => "One attempt to deliver a finding to a webhook endpoint.",
            Self::RegistryChanges => {
                "One fact about agents, sponsors or credentials, with the time it holds."
            }
            Self::CounterpartyEdges => "First and last use of each (agent, counterparty) pair.",
            Self::Dispositions => "What a person said of a finding.",
            Self::Seals => "A signed Merkle root over the records of one commit.",
            Self::QueryLog => "One statement that was asked of the lake.",
        }
    }

    /// The column by whose values the table's files are put in folders: `month` or none.
    pub const fn month_column(self) -> Option<&'static str> {
        match self {
            Self::Events | Self::Rejects | Self::Findings => Some("month"),
            Self::Deliveries
            | Self::RegistryChanges
            | Self::CounterpartyEdges
            | Self::Dispositions
            | Self::Seals
            | Self::QueryLog => None,
        }
    }

    /// The columns by which the rows of a file are sorted.
    pub const fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events | Self::Findings => &["agent_id", "time"],
            Self::Rejects => &["topic", "kafka_partition", "kafka_offset"],
            Self::Deliveries | Self::Seals => &["sequence"],
            Self::RegistryChanges => &["subject", "valid_from"],
            Self::CounterpartyEdges => &["agent_id", "counterparty_id"],
            Self::Dispositions => &["finding_id"],
            Self::QueryLog => &["time"],
        }
    }

    /// The id columns that get a bloom filter.
    pub const fn bloom_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["event_id", "credential_id", "counterparty_id", "session_id"],
            Self::Findings => &["finding_id", "event_id"],
            Self::Deliveries => &["finding_id"],
            Self::RegistryChanges
            | Self::Rejects
            | Self::CounterpartyEdges
            | Self::Dispositions
            | Self::Seals
            | Self::QueryLog => &[],
        }
    }

    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Events => columns::EVENTS,
            Self::Rejects => columns::REJECTS,
            Self::Findings => columns::FINDINGS,
            Self::Deliveries => columns::DELIVERIES,
            Self::RegistryChanges => columns::REGISTRY_CHANGES,
            Self::CounterpartyEdges => columns::COUNTERPARTY_EDGES,
            Self::Dispositions => columns::DISPOSITIONS,
            Self::Seals => columns::SEALS,
            Self::QueryLog => columns::QUERY_LOG,
        }
    }

    pub fn arrow_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<Vec<SchemaRef>> = LazyLock::new(|| {
            let field = |c: &Column| Field::new(c.name, c.column_type.arrow(), c.is_nullable);
            let schema = |table: &Table| {
                Arc::new(Schema::new(table.columns().iter().map(field).collect::<Vec<_>>()))
            };
            Table::ALL.iter().map(schema).collect()
        });
        let at = Self::ALL.iter().position(|table| *table == self);
        SchemaRef::clone(&SCHEMAS[at.expect("ALL has every table")])
    }

    /// The whole of `docs/tables.md`.
    pub fn markdown() -> String {
        let mut text = String::from(
            "# Tables\n\nGenerated from `schemas/src/table/columns.rs` by `make docs`; a test fails when the two differ.\n\
             Every table is a Delta table in the lake's folder of the same name; Spark, Trino, DuckDB and Polars read them as they are.\n",
        );
        for table in Self::ALL {
            write!(text, "\n## `{}`\n\n{}", table.name(), table.doc())
                .expect("writing to a string");
            if let Some(column) = table.month_column() {
                write!(text, " In folders by `{column}`.").expect("writing to a string");
            }
            let sorted = table.sort_columns().join("`, `");
            write!(
                text,
                " Sorted by `{sorted}`.\n\n| column | type | null | meaning |\n|---|---|---|---|\n"
            )
            .expect("writing to a string");
            for Column { name, column_type, is_nullable, doc, .. } in table.columns() {
                let null = if *is_nullable { "yes" } else { "" };
                writeln!(text, "| `{name}` | {} | {null} | {doc} |", column_type.name())
                    .expect("writing to a string");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_column_stands_in_its_table() {
        for table in Table::ALL {
            let schema = table.arrow_schema();
            let named = table.sort_columns().iter().chain(table.bloom_columns());
            for name in named.copied().chain(table.month_column()) {
                assert!(schema.field_with_name(name).is_ok(), "{}.{name}", table.name());
            }
        }
    }

    #[test]
    fn no_table_has_a_column_twice_or_undocumented() {
        for table in Table::ALL {
            let mut names: Vec<_> = table.columns().iter().map(|c| c.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.columns().len(), "{}", table.name());
            assert!(table.columns().iter().all(|c| c.doc.ends_with('.')), "{}", table.name());
        }
    }

    #[test]
    fn a_later_column_stands_after_the_others_and_may_be_null() {
        for table in Table::ALL {
            let columns = table.columns();
            let first = columns.iter().position(|one| one.is_later).unwrap_or(columns.len());
            assert!(columns[first..].iter().all(|one| one.is_later && one.is_nullable));
        }
    }
}
