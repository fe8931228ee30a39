//! [`Schema`]: an Avro schema, read once.
//!
//! Invariant: every name in it is one that it declares, and every type is known: what cannot be decoded
//! is found here, with its place, and not in a record.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How deep a schema may nest.
const DEPTH_MAX: usize = 64;

/// A type and those that it names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Schema {
    root: Type,
    named: Vec<Type>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    /// `int` and `long`, which are written alike.
    Long(Logical),
    Float,
    Double,
    Bytes(Logical),
    String,
    Fixed(usize, Logical),
    Enum(Vec<String>),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(Vec<(String, Type)>),
    /// By its place in [`Schema::named`].
    Named(usize),
}

/// What a number or bytes stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    None,
    Date,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    /// With so many digits behind the point.
    Decimal(usize),
}

impl Schema {
    /// # Errors
    ///
    /// What is wrong, with the place.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json = serde_json::from_str(text)
            .map_err(|error| format!("wanted the JSON of an Avro schema: {error}"))?;
        let mut reader = Reader::default();
        let root = reader.read(&json, "", 0)?;
        let mut named = Vec::new();
        for (name, kind) in reader.places.iter().zip(reader.named) {
            named.push(kind.ok_or_else(|| format!("{name}: its declaration has no end"))?);
        }
        Ok(Self { root, named })
    }

    pub(super) fn root(&self) -> &Type {
        &self.root
    }

    pub(super) fn named(&self, at: usize) -> &Type {
        &self.named[at]
    }
}

#[derive(Default)]
struct Reader {
    /// Full names and their places.
    names: BTreeMap<String, usize>,
    places: Vec<String>,
    /// `None` while it is being read.
    named: Vec<Option<Type>>,
}

impl Reader {
    fn read(&mut self, json: &Value, space: &str, depth: usize) -> Result<Type, String> {
        if DEPTH_MAX < depth {
            return Err(format!("wanted at most {DEPTH_MAX} levels, found more"));
        }
        match json {
            Value::String(name) => self.of_name(name, Logical::None, space),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, space, depth + 1));
                branches.collect::<Result<_, _>>().map(Type::Union)
            }
            Value::Object(object) => self.object(object, space, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err("wanted a type, found another value".to_owned())
            }
        }
    }

    fn of_name(&self, name: &str, logical: Logical, space: &str) -> Result<Type, String> {
        let known = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" | "long" => Type::Long(logical),
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes(logical),
            "string" => Type::String,
            other => {
                let full = full_name(other, space);
                let found = self.names.get(&full).or_else(|| self.names.get(other));
                let found = found.ok_or_else(|| format!("wanted a known type, found `{other}`"))?;
                Type::Named(*found)
            }
        };
        Ok(known)
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        space: &str,
        depth: usize,
    ) -> Result<Type, String> {
        let kind = object.get("type").ok_or("wanted a `type`, found none")?;
        let Value::String(kind) = kind else { return self.read(kind, space, depth + 1) };
        let part = |name: &str| {
            object.get(name).ok_or_else(|| format!("{kind}: wanted `{name}`, found none"))
        };
        match kind.as_str() {
            "array" => Ok(Type::Array(Box::new(self.read(part("items")?, space, depth + 1)?))),
            "map" => Ok(Type::Map(Box::new(self.read(part("values")?, space, depth + 1)?))),
            "record" | "error" | "enum" | "fixed" => {
                let (full, space) = declared(object, space)?;
                let at = self.named.len();
                if self.names.insert(full.clone(), at).is_some() {
                    return Err(format!("wanted `{full}` once, found it again"));
                }
                self.places.push(full.clone());
                self.named.push(None);
                let read = self.declaration(kind, object, &space, depth);
                self.named[at] = Some(read.map_err(|what| format!("{full}: {what}"))?);
                Ok(Type::Named(at))
            }
            other => self.of_name(other, logical(object)?, space),
        }
    }

    fn declaration(
        &mut self,
        kind: &str,
        object: &Map<String, Value>,
        space: &str,
        depth: usize,
    ) -> Result<Type, String> {
        let list = |name: &str| {
            let list = object.get(name).and_then(Value::as_array);
            list.ok_or_else(|| format!("wanted a list `{name}`, found none"))
        };
        match kind {
            "enum" => {
                let symbols = list("symbols")?.iter().map(|one| one.as_str().map(str::to_owned));
                let symbols: Option<Vec<String>> = symbols.collect();
                symbols.map(Type::Enum).ok_or_else(|| "wanted names in `symbols`".to_owned())
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64);
                let size = size.and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("wanted a number `size`, found none")?;
                Ok(Type::Fixed(size, logical(object)?))
            }
            _ => {
                let mut fields = Vec::new();
                for field in list("fields")? {
                    let name = field.get("name").and_then(Value::as_str);
                    let name = name.ok_or("wanted a `name` of each field, found none")?;
                    let kind = field.get("type").ok_or("wanted a `type`, found none");
                    let kind = kind.map_err(str::to_owned);
                    let kind = kind.and_then(|kind| self.read(kind, space, depth + 1));
                    fields.push((name.to_owned(), kind.map_err(|what| format!("{name}: {what}"))?));
                }
                Ok(Type::Record(fields))
            }
        }
    }
}

/// The full name that an object declares, and the namespace within it.
fn declared(object: &Map<String, Value>, space: &str) -> Result<(String, String), String> {
    let name = object.get("name").and_then(Value::as_str).ok_or("wanted a `name`, found none")?;
    let own = object.get("namespace").and_then(Value::as_str).unwrap_or(space);
    let full = full_name(name, own);
    let within = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
    Ok((full, within))
}

fn full_name(name: &str, space: &str) -> String {
    if space.is_empty() || name.contains('.') { name.to_owned() } else { format!("{space}.{name}") }
}

/// A logical type that is not known is left out, as the specification wants it.
fn logical(object: &Map<String, Value>) -> Result<Logical, String> {
    let scale = || match object.get("scale") {
        None => Ok(0),
        Some(scale) => scale
            .as_u64()
            .and_then(|scale| usize::try_from(scale).ok())
            .filter(|scale| *scale <= 38)
            .ok_or("wanted a `scale` of 0 to 38"),
    };
    Ok(match object.get("logicalType").and_then(Value::as_str) {
        Some("date") => Logical::Date,
        Some("timestamp-millis") => Logical::TimestampMillis,
        Some("timestamp-micros") => Logical::TimestampMicros,
        Some("timestamp-nanos") => Logical::TimestampNanos,
        Some("decimal") => Logical::Decimal(scale()?),
        _ => Logical::None,
    })
}
