//! What the workers tell each other of one URL: who is fetching it, how that ended, and what came.

/// The state of one URL, in shared data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The cluster and the URL: places in shared data are few, and may have belonged to another.
    pub(crate) name: Vec<u8>,
    /// A worker fetches it, and is waited for until this second.
    pub(crate) lease_end: u64,
    /// How many fetches have ended: the generation of what stands here.
    pub(crate) generation: u64,
    /// When the last of them ended.
    pub(crate) ended_at: u64,
    /// Whether it brought something of use.
    pub(crate) succeeded: bool,
    /// When `body` was fetched; 0 while there is none.
    pub(crate) fetched_at: u64,
    /// The answer's body, byte for byte.
    pub(crate) body: Vec<u8>,
}

/// Another version's records are not read.
const FORMAT: u8 = 1;

impl Record {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.name.len() + self.body.len());
        bytes.push(FORMAT);
        for number in [self.lease_end, self.generation, self.ended_at, self.fetched_at] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(u8::from(self.succeeded));
        let length = u32::try_from(self.name.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// `None` for what this version did not write.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (format, mut rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let mut number = || -> Option<u64> {
            let (number, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*number))
        };
        let (lease_end, generation) = (number()?, number()?);
        let (ended_at, fetched_at) = (number()?, number()?);
        let (succeeded, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (name, body) = rest.split_at_checked(length)?;
        Some(Self {
            name: name.to_vec(),
            lease_end,
            generation,
            ended_at,
            succeeded: *succeeded == 1,
            fetched_at,
            body: body.to_vec(),
        })
    }
}
