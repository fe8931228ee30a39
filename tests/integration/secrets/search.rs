//! [`Needles`]: whether a piece of a secret stands anywhere in bytes.
//!
//! Invariant: a piece of [`PIECE`] bytes of a secret is found wherever it stands (of [`DIGITS`] where all are
//! hexadecimal digits, which fingerprints and hashes have many of; of twice as many where they stand for
//! hexadecimal digits themselves: bytes of rejects are shown so).

use std::collections::HashMap;

use super::places::Spelled;

/// Bytes of a secret that are a leak.
const PIECE: usize = 12;
const DIGITS: usize = 16;
/// Bytes that are looked up at once: each piece holds such a key at one of every fifth places.
const KEY: usize = 8;
const STEP: usize = PIECE - KEY + 1;
/// Bits of what is asked before the map.
const BITS: u32 = 27;

#[derive(Debug)]
pub(crate) struct Needles {
    texts: Vec<Spelled>,
    keys: HashMap<u64, (u32, u32)>,
    may_be: Vec<u64>,
}

impl Needles {
    pub(crate) fn new() -> Self {
        Self { texts: Vec::new(), keys: HashMap::new(), may_be: vec![0; 1 << (BITS - 6)] }
    }

    /// Adds a text; the answer of [`found`](Self::found) names it by its number.
    pub(crate) fn add(&mut self, text: Spelled) {
        let number = u32::try_from(self.texts.len()).unwrap();
        let last = text.text.len().saturating_sub(KEY - 1);
        for at in (0..last).step_by(STEP) {
            let hidden =
                text.is_hidden[at..at + KEY].iter().filter(|is_hidden| **is_hidden).count();
            if hidden + 2 < KEY {
                continue;
            }
            let key = key(&text.text.as_bytes()[at..]);
            let bit = bit(key);
            self.may_be[bit / 64] |= 1 << (bit % 64);
            self.keys.insert(key, (number, u32::try_from(at).unwrap()));
        }
        self.texts.push(text);
    }

    /// The numbers of the texts of which a piece stands in `bytes`, each with the piece.
    pub(crate) fn found(&self, bytes: &[u8]) -> Vec<(usize, String)> {
        let mut found: Vec<(usize, String)> = Vec::new();
        for at in 0..bytes.len().saturating_sub(KEY - 1) {
            let key = key(&bytes[at..]);
            let bit = bit(key);
            if (self.may_be[bit / 64] >> (bit % 64)) & 1 == 0 {
                continue;
            }
            let Some((number, of_text)) = self.keys.get(&key) else { continue };
            let (number, of_text) = (*number as usize, *of_text as usize);
            if let Some(piece) = self.piece(number, of_text, bytes, at)
                && found.last().is_none_or(|(last, _)| *last != number)
            {
                found.push((number, piece));
            }
        }
        found
    }

    /// The longest piece of a text around this place in both, if it is long enough and tells something.
    fn piece(&self, number: usize, of_text: usize, bytes: &[u8], at: usize) -> Option<String> {
        let Spelled { text, is_hidden } = &self.texts[number];
        let text = text.as_bytes();
        let is_same = |(a, b): &(&u8, &u8)| a == b;
        let after = text[of_text..].iter().zip(&bytes[at..]).take_while(is_same).count();
        let before = text[..of_text].iter().rev().zip(bytes[..at].iter().rev());
        let before = before.take_while(is_same).count();
        let piece = of_text - before..of_text + after;
        let hidden = is_hidden[piece.clone()].iter().filter(|is_hidden| **is_hidden).count();
        let digits = &text[piece.clone()];
        let wanted = if !digits.iter().all(u8::is_ascii_hexdigit) {
            PIECE
        } else if stand_for_digits(digits) {
            2 * DIGITS
        } else {
            DIGITS
        };
        (wanted <= hidden).then(|| String::from_utf8_lossy(&text[piece]).into_owned())
    }
}

/// Whether every second of these is what the code of a hexadecimal digit begins with.
fn stand_for_digits(digits: &[u8]) -> bool {
    (0..2).any(|first| digits.iter().skip(first).step_by(2).all(|digit| b"346".contains(digit)))
}

fn key(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..KEY].try_into().expect("a key has eight bytes"))
}

fn bit(key: u64) -> usize {
    usize::try_from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS))
        .expect("it has few bits")
}
