//! [`SealKey`], [`PublicKey`]: signed notes.
//!
//! Invariant: a signature is over the whole text of a note, to its last newline.
//!
//! Source: C2SP signed-note v1, <https://c2sp.org/signed-note>: an Ed25519 signature (type 1), key ids of four
//! bytes, and keys for verifiers as `name+id+key`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::merkle::sha256;

/// The type of an Ed25519 signature.
const ED25519_TYPE: u8 = 1;
/// What begins a line of a signature.
const DASH: &str = "\u{2014} ";

/// A private key, and the name under which it signs.
pub struct SealKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// What a verifier needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: [u8; 32],
}

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    #[error("wanted 32 bytes of an Ed25519 key, found {bytes}")]
    Bytes { bytes: usize },
    #[error("wanted a key's name of visible characters but +, found another")]
    Name,
    #[error("wanted a key as name+id+base64, as `surety seal key` prints it")]
    Form,
    #[error("wanted a key whose id fits to it, found another id")]
    Id,
}

/// Why a note is not what its signer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("it is no signed note")]
    Form,
    #[error("it is not signed by this key")]
    Unsigned,
    #[error("its signature is wrong")]
    Signature,
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SealKey {
    /// The key made of these 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`].
    pub fn new(name: &str, seed: &[u8]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| InvalidKey::Bytes { bytes: seed.len() })?;
        let key = pair.public_key().as_ref().try_into().expect("such a key has 32 bytes");
        let public = PublicKey::new(name, key)?;
        Ok(Self { pair, public })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `text`, which ends with a newline, with its signature.
    pub(crate) fn sign(&self, text: &str) -> String {
        assert!(text.ends_with('\n'), "a note's text is lines");
        let mut signature = self.public.id().to_vec();
        signature.extend(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{DASH}{} {}\n", self.public.name, STANDARD.encode(signature))
    }
}

/// The text of a note, whoever signed it.
///
/// # Errors
///
/// [`NoteError::Form`].
pub(crate) fn text_of(note: &str) -> Result<&str, NoteError> {
    let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
    Ok(&note[..=at])
}

impl PublicKey {
    fn new(name: &str, key: [u8; 32]) -> Result<Self, InvalidKey> {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '+');
        if is_name { Ok(Self { name: name.to_owned(), key }) } else { Err(InvalidKey::Name) }
    }

    /// Reads a key as [`Display`](fmt::Display) writes it.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let (name, rest) = text.trim().split_once('+').ok_or(InvalidKey::Form)?;
        let (id, key) = rest.split_once('+').ok_or(InvalidKey::Form)?;
        let key = STANDARD.decode(key).map_err(|_| InvalidKey::Form)?;
        let Some((&ED25519_TYPE, key)) = key.split_first() else { return Err(InvalidKey::Form) };
        let key = key.try_into().map_err(|_| InvalidKey::Bytes { bytes: key.len() })?;
        let public = Self::new(name, key)?;
        if public.id_text() == id { Ok(public) } else { Err(InvalidKey::Id) }
    }

    fn id(&self) -> [u8; 4] {
        let hash = sha256(&[self.name.as_bytes(), &[b'\n', ED25519_TYPE], &self.key]);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    fn id_text(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id()))
    }

    /// The text of a note that this key signed.
    ///
    /// # Errors
    ///
    /// [`NoteError`].
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let mut lines = signatures.strip_suffix('\n').ok_or(NoteError::Form)?.split('\n');
        let wanted = format!("{DASH}{} ", self.name);
        let found = lines.find_map(|line| line.strip_prefix(&wanted)).ok_or(NoteError::Unsigned)?;
        let found = STANDARD.decode(found).map_err(|_| NoteError::Form)?;
        let signature = found.strip_prefix(&self.id()).ok_or(NoteError::Unsigned)?;
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        key.verify(text.as_bytes(), signature).map_err(|_| NoteError::Signature)?;
        Ok(text)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend(self.key);
        write!(f, "{}+{}+{}", self.name, self.id_text(), STANDARD.encode(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_the_specification_is_opened_by_its_key() {
        // Source: golang.org/x/mod/sumdb/note, its documentation's example.
        let key =
            PublicKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

        let key = key.unwrap();

        assert!(key.open(note).unwrap().starts_with("If you think"));
        assert_eq!(key.open(&note.replacen("you", "we", 1)), Err(NoteError::Signature));
    }

    #[test]
    fn what_is_signed_is_opened_and_any_change_is_found() {
        let key = SealKey::new("surety.example", &[7; 32]).unwrap();
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        let note = key.sign("surety/lake\n3\nroot\n");

        assert_eq!(public.open(&note), Ok("surety/lake\n3\nroot\n"));
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut changed = note.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                assert!(public.open(&changed).is_err(), "bit {bit} of byte {at}");
            }
        }
        let other = SealKey::new("surety.example", &[8; 32]).unwrap();
        assert_eq!(other.public().open(&note), Err(NoteError::Unsigned));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "a",
            "a+b",
            "a+00000000+AAAA",
            "a+00000000+",
            "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(PublicKey::parse(text).is_err(), "{text}");
        }
        assert!(SealKey::new("a", &[1; 31]).is_err());
        assert!(SealKey::new("a b", &[1; 32]).is_err());
    }
}
