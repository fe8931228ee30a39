//! [`AvroSchemas`]: payloads in Avro behind the id of their schema, as JSON.
//!
//! Invariant: what is wrong is told without a value of the record. An id stands for one schema for ever, as in a schema registry, so a record reads the same
//! whenever it is read; what a payload claims never takes more room than [`RECORD_BYTES_MAX`], nor nests
//! deeper than [`DEPTH_MAX`].
//!
//! Values come out as other formats have them: a union is the value itself, a moment is RFC 3339, a
//! decimal a number in a text, bytes are their text or else Base64.
//!
//! Source: Apache Avro 1.12, *Specification*: schema declaration, binary encoding, logical types.

mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemas::Timestamp;

use self::schema::{Logical, Schema, Type};
use super::{DEPTH_MAX, RECORD_BYTES_MAX};

/// Schemas by their ids.
#[derive(Clone, Debug, Default)]
pub struct AvroSchemas(BTreeMap<u32, Schema>);

/// Why a folder of schemas cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AvroSchemaError {
    #[error("cannot read {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Its name is that of no id.
    #[error("{}: wanted a file named by its schema's id, such as 17.avsc", path.display())]
    Name { path: PathBuf },
    #[error("{}: {what}", path.display())]
    Schema { path: PathBuf, what: String },
}

impl AvroSchemas {
    /// The schemas in a folder: `17.avsc` is the one of id 17.
    ///
    /// # Errors
    ///
    /// [`AvroSchemaError`], with the file.
    pub fn read(folder: &Path) -> Result<Self, AvroSchemaError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |cause| AvroSchemaError::Io { path, cause }
        };
        let mut schemas = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(io(folder))? {
            let path = entry.map_err(io(folder))?.path();
            if path.extension().is_none_or(|kind| kind != "avsc") {
                continue;
            }
            let id = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            let Some(id) = id else { return Err(AvroSchemaError::Name { path }) };
            let text = fs::read_to_string(&path).map_err(io(&path))?;
            let schema = Schema::parse(&text);
            let schema = schema.map_err(|what| AvroSchemaError::Schema { path, what })?;
            schemas.insert(id, schema);
        }
        Ok(Self(schemas))
    }

    /// The payload as JSON; `None` if no schema has this id.
    ///
    /// # Errors
    ///
    /// What is wrong with the payload.
    pub(super) fn decode(&self, id: u32, payload: &[u8]) -> Option<Result<Vec<u8>, String>> {
        let schema = self.0.get(&id)?;
        let mut decoder = Decoder { schema, rest: payload, json: Vec::new() };
        Some(decoder.value(schema.root(), 0).and_then(|()| match decoder.rest.len() {
            0 => Ok(decoder.json),
            left => Err(format!("wanted its end, found {left} bytes more")),
        }))
    }
}

struct Decoder<'a> {
    schema: &'a Schema,
    rest: &'a [u8],
    json: Vec<u8>,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, kind: &Type, depth: usize) -> Result<(), String> {
        if DEPTH_MAX < depth {
            return Err(format!("wanted at most {DEPTH_MAX} levels, found more"));
        }
        if RECORD_BYTES_MAX < self.json.len() {
            return Err(format!("wanted at most {RECORD_BYTES_MAX} bytes of JSON, found more"));
        }
        match kind {
            Type::Null => self.push("null"),
            Type::Boolean => self.boolean()?,
            Type::Long(logical) => {
                let number = self.long()?;
                self.integer(number, *logical)?;
            }
            Type::Float => {
                let number = f32::from_le_bytes(self.array()?);
                self.float(number.into());
            }
            Type::Double => {
                let number = f64::from_le_bytes(self.array()?);
                self.float(number);
            }
            Type::Bytes(logical) => {
                let length = self.length()?;
                let bytes = self.take(length)?;
                self.bytes(bytes, *logical);
            }
            Type::Fixed(length, logical) => {
                let bytes = self.take(*length)?;
                self.bytes(bytes, *logical);
            }
            Type::String => {
                let length = self.length()?;
                let bytes = self.take(length)?;
                let text = std::str::from_utf8(bytes).map_err(|_| "wanted UTF-8 in a string")?;
                self.text(text);
            }
            Type::Enum(symbols) => {
                let symbol = self.chosen(symbols, "symbols")?;
                self.text(symbol);
            }
            Type::Array(items) => {
                self.blocks([b'[', b']'], |decoder| decoder.value(items, depth + 1))?;
            }
            Type::Map(values) => self.blocks([b'{', b'}'], |decoder| {
                decoder.value(&Type::String, depth + 1)?;
                decoder.json.push(b':');
                decoder.value(values, depth + 1)
            })?,
            Type::Union(branches) => {
                let branch = self.chosen(branches, "branches")?;
                self.value(branch, depth + 1)?;
            }
            Type::Record(fields) => {
                self.json.push(b'{');
                for (at, (name, kind)) in fields.iter().enumerate() {
                    if 0 < at {
                        self.json.push(b',');
                    }
                    self.text(name);
                    self.json.push(b':');
                    self.value(kind, depth + 1).map_err(|what| format!("{name}: {what}"))?;
                }
                self.json.push(b'}');
            }
            Type::Named(at) => self.value(self.schema.named(*at), depth + 1)?,
        }
        Ok(())
    }

    fn boolean(&mut self) -> Result<(), String> {
        match self.take(1)? {
            [0] => self.push("false"),
            [1] => self.push("true"),
            _ => return Err("wanted a boolean, found another byte".to_owned()),
        }
        Ok(())
    }

    /// Items in blocks: a count, negative with the block's bytes behind it, then so many; 0 at the end.
    fn blocks(
        &mut self,
        [open, close]: [u8; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.json.push(open);
        let mut is_first = true;
        loop {
            let mut count = self.long()?;
            if count < 0 {
                self.long()?;
                count = count.checked_neg().ok_or("wanted a count, found the least number")?;
            }
            if count == 0 {
                self.json.push(close);
                return Ok(());
            }
            for _ in 0..count {
                if !std::mem::take(&mut is_first) {
                    self.json.push(b',');
                }
                item(self)?;
            }
        }
    }

    /// The next bytes.
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err("wanted more bytes than are left".to_owned());
        };
        self.rest = rest;
        Ok(taken)
    }

    /// A number of 1 to 10 bytes, 7 bits each, zigzag.
    fn long(&mut self) -> Result<i64, String> {
        let mut bits = 0_u64;
        for at in 0..10 {
            let byte = self.take(1)?[0];
            bits |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err("wanted a number of at most 10 bytes, found a longer one".to_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| format!("wanted {N} bytes"))
    }

    /// The one of which the number comes next.
    fn chosen<'t, T>(&mut self, from: &'t [T], what: &str) -> Result<&'t T, String> {
        let number = self.long()?;
        let chosen = usize::try_from(number).ok().and_then(|at| from.get(at));
        chosen.ok_or_else(|| format!("wanted one of {} {what}, found another number", from.len()))
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| "wanted a length, found less than 0".to_owned())
    }

    fn push(&mut self, json: &str) {
        self.json.extend_from_slice(json.as_bytes());
    }

    fn text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.json, text).expect("writing to memory");
    }

    fn float(&mut self, number: f64) {
        // JSON has no infinity and no not-a-number.
        serde_json::to_writer(&mut self.json, &number).expect("writing to memory");
    }

    fn integer(&mut self, number: i64, logical: Logical) -> Result<(), String> {
        let beyond = || "wanted a time of the years 1970 to 9999, found another".to_owned();
        let micros = match logical {
            Logical::Date => number.checked_mul(86_400_000_000),
            Logical::TimestampMillis => number.checked_mul(1_000),
            Logical::TimestampMicros => Some(number),
            Logical::TimestampNanos => Some(number.div_euclid(1_000)),
            Logical::Decimal(_) | Logical::None => {
                self.push(&number.to_string());
                return Ok(());
            }
        };
        let time = Timestamp::from_micros(micros.ok_or_else(beyond)?).map_err(|_| beyond())?;
        let text = time.to_string();
        self.text(if logical == Logical::Date { &text[..10] } else { &text });
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8], logical: Logical) {
        if let Logical::Decimal(scale) = logical
            && let Some(number) = decimal(bytes, scale)
        {
            return self.text(&number);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text),
            Err(_) => self.text(&BASE64_STANDARD.encode(bytes)),
        }
    }
}

/// A number in two's complement, big-endian, times ten to the power of minus `scale`; `None` beyond 128
/// bits.
fn decimal(bytes: &[u8], scale: usize) -> Option<String> {
    if bytes.is_empty() || 16 < bytes.len() {
        return None;
    }
    let mut wide = [if bytes[0] & 0x80 == 0 { 0 } else { 0xff }; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    let number = i128::from_be_bytes(wide);
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

#[cfg(test)]
mod tests;
