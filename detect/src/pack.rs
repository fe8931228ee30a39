//! [`Pack`]: state to bytes and back, for checkpoints.
//!
//! Invariant: `unpack(pack(x)) == x`, bit for bit, floats included; the bytes of equal states are
//! equal (maps are written in the order of their keys); and unpacking any bytes at all ends with a
//! value or with `None`, never with a panic or an allocation larger than the input explains.

use std::hash::BuildHasher;

/// Something that is written to a checkpoint.
pub(crate) trait Pack: Sized {
    fn pack(&self, out: &mut Vec<u8>);
    /// `None` if the bytes are not such a value.
    fn unpack(input: &mut Unpacker<'_>) -> Option<Self>;
}

/// The bytes not yet unpacked.
#[derive(Debug)]
pub(crate) struct Unpacker<'a>(&'a [u8]);

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

macro_rules! pack_numbers {
    ($($number:ty),+) => {$(
        impl Pack for $number {
            fn pack(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
                let bytes = input.take(size_of::<Self>())?;
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )+};
}
pack_numbers!(u8, u16, u32, u64, i64, f32, f64);

/// Packs a struct field by field. A field that is forgotten does not compile.
macro_rules! pack_struct {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::pack::Pack for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($crate::pack::Pack::pack($field, out);)+
            }

            fn unpack(input: &mut $crate::pack::Unpacker<'_>) -> Option<Self> {
                Some(Self { $($field: $crate::pack::Pack::unpack(input)?),+ })
            }
        }
    };
}
pub(crate) use pack_struct;

impl<T: Pack + Default, const N: usize> Pack for [T; N] {
    fn pack(&self, out: &mut Vec<u8>) {
        for one in self {
            one.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let mut is_whole = true;
        let all = std::array::from_fn(|_| {
            let one = T::unpack(input);
            is_whole &= one.is_some();
            one.unwrap_or_default()
        });
        is_whole.then_some(all)
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        for one in self {
            one.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let len = usize::try_from(u64::unpack(input)?).ok()?;
        // Everything packed takes at least one byte: a longer list than that is a lie.
        if input.0.len() < len {
            return None;
        }
        (0..len).map(|_| T::unpack(input)).collect()
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        u8::from(self.is_some()).pack(out);
        if let Some(one) = self {
            one.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        match u8::unpack(input)? {
            0 => Some(None),
            1 => Some(Some(T::unpack(input)?)),
            _ => None,
        }
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        Some((A::unpack(input)?, B::unpack(input)?))
    }
}

impl<K, V, S> Pack for hashbrown::HashMap<K, V, S>
where
    K: Pack + Ord + std::hash::Hash,
    V: Pack,
    S: BuildHasher + Default,
{
    fn pack(&self, out: &mut Vec<u8>) {
        let mut sorted: Vec<(&K, &V)> = self.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        (sorted.len() as u64).pack(out);
        for (key, value) in sorted {
            key.pack(out);
            value.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        Some(Vec::<(K, V)>::unpack(input)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_bit_for_bit() {
        let floats = vec![0.1_f64, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];
        let mut bytes = Vec::new();
        floats.pack(&mut bytes);

        let back = Vec::<f64>::unpack(&mut Unpacker::new(&bytes)).unwrap();

        let bits = |all: &[f64]| all.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&floats));
    }

    #[test]
    fn a_length_that_the_input_cannot_hold_is_refused_before_memory_is_taken() {
        let bytes = u64::MAX.to_le_bytes();

        assert_eq!(Vec::<u64>::unpack(&mut Unpacker::new(&bytes)), None);
    }
}
