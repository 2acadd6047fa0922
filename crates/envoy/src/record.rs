//! What the workers tell each other of one URL: who is fetching it and how that ended, and what came.
//!
//! Two values in shared data, since the first is looked at again and again, and the second is large.

/// The state of one URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
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
}

/// What came the last time that something did. It says of itself what it is and how old: the state may be
/// another's by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// As in [`State`].
    pub(crate) name: Vec<u8>,
    /// When it was fetched.
    pub(crate) fetched_at: u64,
    /// Byte for byte.
    pub(crate) bytes: Vec<u8>,
}

/// Another version's values are not read.
const FORMAT: u8 = 2;

impl State {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = begin(&self.name, 0);
        for number in [self.lease_end, self.generation, self.ended_at] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(u8::from(self.succeeded));
        bytes
    }

    /// `None` for what this version did not write.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (name, mut rest) = read_name(bytes)?;
        let mut number = || -> Option<u64> {
            let (number, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*number))
        };
        let (lease_end, generation, ended_at) = (number()?, number()?, number()?);
        let succeeded = *rest.first()? == 1;
        Some(Self { name, lease_end, generation, ended_at, succeeded })
    }
}

impl Body {
    pub(crate) fn write(name: &[u8], fetched_at: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = begin(name, body.len());
        bytes.extend_from_slice(&fetched_at.to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// `None` for what this version did not write.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (name, rest) = read_name(bytes)?;
        let (fetched_at, rest) = rest.split_first_chunk()?;
        Some(Self { name, fetched_at: u64::from_le_bytes(*fetched_at), bytes: rest.to_vec() })
    }
}

fn begin(name: &[u8], more: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len().saturating_add(more).saturating_add(32));
    bytes.push(FORMAT);
    bytes.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(name);
    bytes
}

fn read_name(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (format, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk().filter(|_| *format == FORMAT)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (name, rest) = rest.split_at_checked(length)?;
    Some((name.to_vec(), rest))
}
