//! What stands around a record's JSON in its bytes: the frame of a schema registry, a compression, a
//! byte order mark.
//!
//! Invariant: what is opened is at most [`BATCH_BYTES_MAX`] long, whatever it pretends to be; and a
//! payload that begins with `{` is left as it is.
//!
//! Sources: Confluent, *Schema Registry: wire format*; RFC 1952 (gzip); RFC 8878 (zstd); Apache Avro
//! 1.12, *Object container files*; the LZ4 and Snappy frame formats.

use std::borrow::Cow;
use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;
use schemas::RejectReason;

use super::avro::AvroSchemas;
use super::{BATCH_BYTES_MAX, Fault};

/// How many layers are taken off: a frame, a compression and a mark.
const LAYERS_MAX: usize = 3;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Decompressing never needs more memory than 2 to the power of this for its window.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Behind a byte 0 stands the number of a schema, behind a byte 1 its UUID.
const FRAME_ID_BYTES: usize = 4;
const LONG_FRAME_ID_BYTES: usize = 16;

/// What begins so is in a format that is not read here.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"Obj\x01", "an Avro container"),
    (b"PAR1", "Parquet"),
    (&[0x04, 0x22, 0x4d, 0x18], "LZ4"),
    (&[0xff, 0x06, 0x00, 0x00, b's', b'N', b'a', b'P'], "Snappy"),
    (b"BZh", "bzip2"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (&[0xff, 0xfe], "UTF-16"),
    (&[0xfe, 0xff], "UTF-16"),
];

/// A payload that cannot be opened, and as much of what is in it as could be: its bytes as they came
/// would hide a secret from the redactor.
pub(super) struct Unopened<'a> {
    pub(super) fault: Fault,
    pub(super) shown: Cow<'a, [u8]>,
}

/// The record's text, as bytes.
pub(super) fn opened<'a>(
    payload: &'a [u8],
    avro: &AvroSchemas,
) -> Result<Cow<'a, [u8]>, Unopened<'a>> {
    let mut bytes = Cow::Borrowed(payload);
    for _ in 0..LAYERS_MAX {
        let layer = match &bytes {
            Cow::Borrowed(bytes) => layer(bytes, avro).map(|inner| inner.map(Cow::Borrowed)),
            Cow::Owned(bytes) => {
                layer(bytes, avro).map(|inner| inner.map(|bytes| Cow::Owned(bytes.to_vec())))
            }
        };
        bytes = match layer {
            Ok(Layer::None) => return Ok(bytes),
            Ok(Layer::Plain(inner)) => inner,
            Ok(Layer::Decoded(json)) => return Ok(Cow::Owned(json)),
            Ok(Layer::Compressed(name, inner)) => Cow::Owned(decompressed(name, &inner)?),
            Err(fault) => return Err(Unopened { fault, shown: bytes }),
        };
    }
    Ok(bytes)
}

/// What stands around some bytes.
enum Layer<T> {
    None,
    Plain(T),
    /// JSON that was made of what stood there.
    Decoded(Vec<u8>),
    /// By the name of the compression.
    Compressed(&'static str, T),
}

impl<T> Layer<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Layer<U> {
        match self {
            Self::None => Layer::None,
            Self::Plain(inner) => Layer::Plain(change(inner)),
            Self::Decoded(json) => Layer::Decoded(json),
            Self::Compressed(name, inner) => Layer::Compressed(name, change(inner)),
        }
    }
}

fn layer<'a>(bytes: &'a [u8], avro: &AvroSchemas) -> Result<Layer<&'a [u8]>, Fault> {
    if let Some(rest) = bytes.strip_prefix(BYTE_ORDER_MARK) {
        return Ok(Layer::Plain(rest));
    }
    for (magic, name) in [(GZIP, "gzip"), (ZSTD, "zstd")] {
        if bytes.starts_with(magic) {
            return Ok(Layer::Compressed(name, bytes));
        }
    }
    match bytes {
        [0, id @ ..] if FRAME_ID_BYTES < id.len() => {
            let (id, rest) = id.split_at(FRAME_ID_BYTES);
            return framed(id, rest, avro);
        }
        [1, id @ ..] if LONG_FRAME_ID_BYTES < id.len() && is_text(&id[LONG_FRAME_ID_BYTES..]) => {
            return Ok(Layer::Plain(&id[LONG_FRAME_ID_BYTES..]));
        }
        _ => {}
    }
    match FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, name)) => Err(unsupported(format!("wanted JSON, found {name}"))),
        None => Ok(Layer::None),
    }
}

/// JSON behind the id of its schema, or Avro of a schema that is known.
fn framed<'a>(id: &[u8], rest: &'a [u8], avro: &AvroSchemas) -> Result<Layer<&'a [u8]>, Fault> {
    if is_text(rest) {
        return Ok(Layer::Plain(rest));
    }
    let id = id.iter().fold(0_u32, |id, byte| (id << 8) | u32::from(*byte));
    match avro.decode(id, rest) {
        Some(Ok(json)) => Ok(Layer::Decoded(json)),
        Some(Err(what)) => Err(unsupported(format!("wanted Avro of schema {id}: {what}"))),
        None => Err(unsupported(format!(
            "wanted JSON behind the schema id {id}, or Avro and {id}.avsc in `kafka.avro-schemas`; found another encoding"
        ))),
    }
}

/// Whether JSON begins here, or something around it that is opened.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    [b"{".as_slice(), b"[", BYTE_ORDER_MARK, GZIP, ZSTD]
        .iter()
        .any(|magic| start.starts_with(magic))
}

fn unsupported(detail: String) -> Fault {
    Fault::new(RejectReason::UnsupportedEncoding, detail)
}

fn decompressed(name: &str, bytes: &[u8]) -> Result<Vec<u8>, Unopened<'static>> {
    let most = BATCH_BYTES_MAX as u64 + 1;
    let mut plain = Vec::new();
    let read = match name {
        "gzip" => MultiGzDecoder::new(bytes).take(most).read_to_end(&mut plain),
        _ => zstd_decoder(bytes).and_then(|decoder| decoder.take(most).read_to_end(&mut plain)),
    };
    let fault = match read {
        Ok(_) if plain.len() <= BATCH_BYTES_MAX => return Ok(plain),
        Ok(_) => {
            let detail =
                format!("wanted at most {BATCH_BYTES_MAX} bytes, found more inside {name}");
            Fault::new(RejectReason::TooLarge, detail)
        }
        Err(_) => {
            let at = plain.len();
            unsupported(format!("wanted {name} to its end, found it broken after {at} bytes"))
        }
    };
    Err(Unopened { fault, shown: Cow::Owned(plain) })
}

fn zstd_decoder(
    bytes: &[u8],
) -> io::Result<zstd::stream::read::Decoder<'static, io::BufReader<&[u8]>>> {
    let mut decoder = zstd::stream::read::Decoder::new(bytes)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}
