//! What the rows of all tables are built and read with.
//!
//! Invariant: nothing is taken on trust when reading: a value that our types do not allow is an
//! error that names its column and row.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, Decimal128Builder, ListBuilder, MapBuilder, MapFieldNames,
    PrimitiveArray, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, TimestampMicrosecondType,
};
use schemas::{Amount, KafkaPartition, Offset, Part, Position, Table, Timestamp, Topic};

/// Why rows are not values of our types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("column {column}: wanted {wanted}, found {found}")]
    Column { column: &'static str, wanted: &'static str, found: String },
    #[error("column {column}, row {row}: {reason}")]
    Value { column: &'static str, row: usize, reason: String },
}

/// Bytes that a text of an id or word has, for a first guess of a column's size.
const TEXT_BYTES: usize = 24;

pub(super) fn texts(rows: usize) -> StringBuilder {
    StringBuilder::with_capacity(rows, rows * TEXT_BYTES)
}

/// The room that builders of a table begin with. One that grows copies what it has, into memory that nobody has
/// touched.
#[derive(Clone, Copy)]
pub(super) enum Room<'a> {
    /// For so many rows, whatever their texts are.
    Rows(usize),
    /// That of these rows, and an eighth more.
    Like(&'a RecordBatch),
}

impl Room<'_> {
    pub(super) fn rows(self) -> usize {
        match self {
            Self::Rows(rows) => rows,
            Self::Like(batch) => with_an_eighth(batch.num_rows()),
        }
    }

    fn column(&self, name: &str) -> Option<&ArrayRef> {
        match self {
            Self::Rows(_) => None,
            Self::Like(batch) => batch.column_by_name(name),
        }
    }

    pub(super) fn texts(self, name: &str) -> StringBuilder {
        let like = self.column(name).and_then(|column| column.as_string_opt());
        like.map_or_else(|| texts(self.rows()), roomy)
    }

    pub(super) fn text_lists(self, name: &str) -> ListBuilder<StringBuilder> {
        let like = self.column(name).and_then(|column| column.as_list_opt::<i32>());
        let like = like.and_then(|lists| lists.values().as_string_opt());
        text_lists_of(self.rows(), like.map(roomy).unwrap_or_default())
    }

    pub(super) fn text_maps(self, name: &str) -> MapBuilder<StringBuilder, StringBuilder> {
        let like = self.column(name).and_then(|column| column.as_map_opt());
        let room = |texts: &ArrayRef| texts.as_string_opt().map(roomy).unwrap_or_default();
        let [keys, values] = match like {
            Some(maps) => [maps.keys(), maps.values()].map(room),
            None => [StringBuilder::new(), StringBuilder::new()],
        };
        let names = MapFieldNames {
            entry: "key_value".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        MapBuilder::with_capacity(Some(names), keys, values, self.rows())
            .with_values_field(Field::new("value", DataType::Utf8, false))
    }
}

fn roomy(texts: &StringArray) -> StringBuilder {
    let bytes = with_an_eighth(texts.value_data().len());
    StringBuilder::with_capacity(with_an_eighth(texts.len()), bytes)
}

fn with_an_eighth(count: usize) -> usize {
    count + count / 8
}

/// Bytes of the texts in these columns.
pub(super) fn text_bytes<const COLUMNS: usize>(columns: [&StringBuilder; COLUMNS]) -> usize {
    columns.iter().map(|column| column.values_slice().len()).sum()
}

pub(super) fn times(rows: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")
}

pub(super) fn money(rows: usize) -> Decimal128Builder {
    Decimal128Builder::with_capacity(rows).with_data_type(DataType::Decimal128(18, 2))
}

pub(super) fn text_lists(rows: usize) -> ListBuilder<StringBuilder> {
    text_lists_of(rows, StringBuilder::new())
}

fn text_lists_of(rows: usize, texts: StringBuilder) -> ListBuilder<StringBuilder> {
    let element = Field::new("element", DataType::Utf8, false);
    ListBuilder::with_capacity(texts, rows).with_field(element)
}

/// Appends a text that is only there as something to print, without a copy in between.
pub(super) fn append_printed(column: &mut StringBuilder, value: impl Display) {
    use std::fmt::Write as _;
    write!(column, "{value}").expect("writing to a builder");
    column.append_value("");
}

/// Appends an address. One of four bytes is written without the machinery of printing, which takes 60 ns for it.
pub(super) fn append_address(column: &mut StringBuilder, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        append_printed(column, address);
        return;
    };
    let (mut text, mut len) = ([b'.'; 15], 0);
    for (at, octet) in address.octets().into_iter().enumerate() {
        len += usize::from(0 < at);
        for digit in [100, 10, 1].into_iter().filter(|unit| *unit == 1 || *unit <= octet) {
            text[len] = b'0' + octet / digit % 10;
            len += 1;
        }
    }
    column.append_value(str::from_utf8(&text[..len]).expect("digits and dots"));
}

pub(super) fn append_list<'a>(
    column: &mut ListBuilder<StringBuilder>,
    texts: impl IntoIterator<Item = &'a str>,
) {
    texts.into_iter().for_each(|text| column.values().append_value(text));
    column.append(true);
}

/// The month of the row before, so that its text is made once a day of data and not once a row.
#[derive(Debug, Default)]
pub(super) struct MonthText {
    day: Option<i64>,
    text: String,
}

impl MonthText {
    pub(super) fn of(&mut self, time: Timestamp) -> &str {
        if self.day != Some(time.day()) {
            self.day = Some(time.day());
            self.text = time.month().to_string();
        }
        &self.text
    }
}

/// The columns of a table as a batch.
pub(super) fn batch(table: Table, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(table.arrow_schema(), columns)
        .expect("built in the order and with the types of the table's columns, tested for each")
}

/// Finishes builders as columns.
macro_rules! finished {
    ($($builder:expr),+ $(,)?) => {
        vec![$(std::sync::Arc::new($builder.finish()) as arrow::array::ArrayRef),+]
    };
}
pub(super) use finished;

/// The columns of a batch by name, with their types checked.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a>(pub(super) &'a RecordBatch);

/// A column of texts to read.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    name: &'static str,
    array: &'a StringArray,
}

/// A column of numbers to read.
pub(super) struct Numbers<'a, T: ArrowPrimitiveType> {
    name: &'static str,
    array: &'a PrimitiveArray<T>,
}

/// A column of lists of texts to read.
pub(super) struct TextLists<'a> {
    name: &'static str,
    array: &'a arrow::array::ListArray,
}

impl<'a> Columns<'a> {
    pub(super) fn array(self, name: &'static str) -> Result<&'a ArrayRef, RowError> {
        self.0.column_by_name(name).ok_or(RowError::Column {
            column: name,
            wanted: "the column",
            found: "none".to_owned(),
        })
    }

    pub(super) fn texts(self, name: &'static str) -> Result<Texts<'a>, RowError> {
        let array = self.array(name)?;
        match array.as_string_opt::<i32>() {
            Some(array) => Ok(Texts { name, array }),
            None => Err(mistyped(name, "text", array)),
        }
    }

    pub(super) fn numbers<T: ArrowPrimitiveType>(
        self,
        name: &'static str,
    ) -> Result<Numbers<'a, T>, RowError> {
        let array = self.array(name)?;
        match array.as_primitive_opt::<T>() {
            Some(array) => Ok(Numbers { name, array }),
            None => Err(mistyped(name, "numbers", array)),
        }
    }

    pub(super) fn text_lists(self, name: &'static str) -> Result<TextLists<'a>, RowError> {
        let array = self.array(name)?;
        match array.as_list_opt::<i32>() {
            Some(lists) if lists.values().as_string_opt::<i32>().is_some() => {
                Ok(TextLists { name, array: lists })
            }
            Some(_) | None => Err(mistyped(name, "lists of text", array)),
        }
    }
}

pub(super) fn mistyped(
    column: &'static str,
    wanted: &'static str,
    found: &Arc<dyn Array>,
) -> RowError {
    RowError::Column { column, wanted, found: found.data_type().to_string() }
}

impl<'a> Texts<'a> {
    /// The text of a row; `None` for null.
    pub(super) fn get(self, row: usize) -> Option<&'a str> {
        self.array.is_valid(row).then(|| self.array.value(row))
    }

    /// A value made of the text of a row.
    pub(super) fn maybe<T, E: Display>(
        self,
        row: usize,
        make: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<Option<T>, RowError> {
        let made = self.get(row).map(make).transpose();
        made.map_err(|error| bad(self.name, row, error))
    }

    /// As [`maybe`](Self::maybe), for a column without nulls.
    pub(super) fn one<T, E: Display>(
        self,
        row: usize,
        make: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, RowError> {
        self.maybe(row, make)?.ok_or_else(|| bad(self.name, row, "found null"))
    }

    /// One of a closed set of words.
    pub(super) fn word<T>(
        self,
        row: usize,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, RowError> {
        self.one(row, |text| parse(text).ok_or_else(|| format!("found {text:?}")))
    }

    /// A text of our own, without rules.
    pub(super) fn plain(self, row: usize) -> Result<String, RowError> {
        self.one(row, |text| Ok::<_, String>(text.to_owned()))
    }

    pub(super) fn maybe_plain(self, row: usize) -> Option<String> {
        self.get(row).map(str::to_owned)
    }
}

impl<T: ArrowPrimitiveType> Numbers<'_, T> {
    pub(super) fn maybe<V, E: Display>(
        &self,
        row: usize,
        make: impl FnOnce(T::Native) -> Result<V, E>,
    ) -> Result<Option<V>, RowError> {
        let value = self.array.is_valid(row).then(|| self.array.value(row));
        value.map(make).transpose().map_err(|error| bad(self.name, row, error))
    }

    pub(super) fn one<V, E: Display>(
        &self,
        row: usize,
        make: impl FnOnce(T::Native) -> Result<V, E>,
    ) -> Result<V, RowError> {
        self.maybe(row, make)?.ok_or_else(|| bad(self.name, row, "found null"))
    }

    pub(super) fn plain(&self, row: usize) -> Result<T::Native, RowError> {
        self.one(row, Ok::<_, String>)
    }
}

impl Numbers<'_, TimestampMicrosecondType> {
    pub(super) fn time(&self, row: usize) -> Result<Timestamp, RowError> {
        self.one(row, Timestamp::from_micros)
    }

    pub(super) fn maybe_time(&self, row: usize) -> Result<Option<Timestamp>, RowError> {
        self.maybe(row, Timestamp::from_micros)
    }
}

impl Numbers<'_, Decimal128Type> {
    pub(super) fn amount(&self, row: usize) -> Result<Option<Amount>, RowError> {
        self.maybe(row, |cents| match i64::try_from(cents) {
            Ok(cents) => Amount::from_cents(cents).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl TextLists<'_> {
    pub(super) fn get<V, E: Display>(
        &self,
        row: usize,
        make: impl Fn(&str) -> Result<V, E>,
    ) -> Result<Vec<V>, RowError> {
        let list = self.array.value(row);
        let texts = list.as_string::<i32>();
        let made: Result<_, _> = texts.iter().flatten().map(make).collect();
        made.map_err(|error| bad(self.name, row, error))
    }
}

pub(super) fn bad(column: &'static str, row: usize, reason: impl Display) -> RowError {
    RowError::Value { column, row, reason: reason.to_string() }
}

/// The columns of a record's place in Kafka, and of which one it is in its record: null for the first.
#[derive(Debug)]
pub(super) struct PositionColumns {
    pub(super) topic: StringBuilder,
    pub(super) partition: arrow::array::Int32Builder,
    pub(super) offset: arrow::array::Int64Builder,
    pub(super) part: arrow::array::Int32Builder,
}

impl PositionColumns {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            topic: texts(rows),
            partition: arrow::array::Int32Builder::with_capacity(rows),
            offset: arrow::array::Int64Builder::with_capacity(rows),
            // Most stand alone.
            part: arrow::array::Int32Builder::new(),
        }
    }

    pub(super) fn push(&mut self, position: &Position) {
        self.topic.append_value(position.topic.as_str());
        self.partition.append_value(position.partition.0);
        self.offset.append_value(position.offset.0);
        self.part.append_option(position.part.number());
    }
}

/// Reads a record's place in Kafka.
pub(super) struct Positions<'a> {
    topic: Texts<'a>,
    partition: Numbers<'a, arrow::datatypes::Int32Type>,
    offset: Numbers<'a, arrow::datatypes::Int64Type>,
    part: Numbers<'a, arrow::datatypes::Int32Type>,
    /// The topic of the row before: rows of one topic share its name.
    last: Option<Topic>,
}

impl<'a> Positions<'a> {
    pub(super) fn of(columns: Columns<'a>) -> Result<Self, RowError> {
        Ok(Self {
            topic: columns.texts("topic")?,
            partition: columns.numbers("kafka_partition")?,
            offset: columns.numbers("kafka_offset")?,
            part: columns.numbers("record_part")?,
            last: None,
        })
    }

    pub(super) fn get(&mut self, row: usize) -> Result<Position, RowError> {
        let known = self.last.as_ref().filter(|last| Some(last.as_str()) == self.topic.get(row));
        let topic = match known {
            Some(topic) => topic.clone(),
            None => self.topic.one(row, |text| Topic::try_from(text.to_owned()))?,
        };
        self.last = Some(topic.clone());
        Ok(Position {
            topic,
            partition: KafkaPartition(self.partition.plain(row)?),
            offset: Offset(self.offset.plain(row)?),
            part: self.part.maybe(row, |number| Part::of_number(Some(number)))?.unwrap_or_default(),
        })
    }
}
