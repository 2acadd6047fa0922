//! Headers as the host hands them over: one piece of memory, that is kept as it came.

/// Names and values, in order, as bytes.
#[derive(Debug, Default)]
pub(crate) struct HeaderMap {
    bytes: Vec<u8>,
    /// Where each name begins, and the lengths of name and value: all within `bytes`.
    places: Vec<(usize, usize, usize)>,
}

impl HeaderMap {
    /// The ABI's form: count, then the lengths of each name and value, then both with a NUL behind.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let number = |at: usize| -> Option<usize> {
            let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let count = number(0)?;
        let lengths_end = count.checked_mul(8)?.checked_add(4)?;
        if lengths_end > bytes.len() {
            return None;
        }
        let mut at = lengths_end;
        let mut places = Vec::with_capacity(count);
        for index in 0..count {
            let lengths = 4 + index * 8;
            let (name, value) = (number(lengths)?, number(lengths + 4)?);
            places.push((at, name, value));
            at = at.checked_add(name)?.checked_add(value)?.checked_add(2)?;
        }
        (at <= bytes.len()).then_some(Self { bytes, places })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|(at, name, value)| {
            let rest = self.bytes.get(*at..).unwrap_or_default();
            let (name, rest) = rest.split_at_checked(*name).unwrap_or_default();
            (name, rest.get(1..=*value).unwrap_or_default())
        })
    }

    /// The first value of this name; lower case, as Envoy has them all.
    pub(crate) fn get(&self, wanted: &str) -> Option<&[u8]> {
        self.iter().find(|(name, _)| *name == wanted.as_bytes()).map(|(_, value)| value)
    }
}
