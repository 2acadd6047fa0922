//! Server-sent events (WHATWG HTML, §9.2), taken apart as they come and put together again.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use super::list::Unreadable;

/// A stream of events of which some was read. It keeps the event that has not ended, and of that no
/// more than its limit.
#[derive(Debug)]
pub(crate) struct Events {
    /// The event's lines with their ends.
    event: Vec<u8>,
    /// Most bytes of one event.
    limit: usize,
    /// It is longer than that, and its beginning was dropped.
    is_longer: bool,
    /// Whether anything was read of the line.
    in_line: bool,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// Whether this is the first event: it may begin with a byte order mark.
    is_first: bool,
}

/// One event that has ended.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    lines: Vec<Line<'a>>,
    raw: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// `Some` for a line of data: its value.
    data: Option<&'a [u8]>,
    /// Line feed, carriage return, or both.
    end: &'a [u8],
    raw: &'a [u8],
}

impl Events {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            event: Vec::new(),
            limit,
            is_longer: false,
            in_line: false,
            after_return: false,
            is_first: true,
        }
    }

    /// Reads the next part, and writes what goes on of it. `edit` is asked what becomes of an event:
    /// of one that cannot be read, or is longer than the limit, it is told that.
    pub(crate) fn push(
        &mut self,
        part: &[u8],
        out: &mut Vec<u8>,
        edit: &mut impl FnMut(Result<&Event<'_>, Unreadable>, &mut Vec<u8>),
    ) {
        for &byte in part {
            let continues_end = byte == b'\n' && core::mem::take(&mut self.after_return);
            if continues_end && self.event.is_empty() && !self.is_longer {
                // The event that it ends is out already.
                out.push(byte);
                continue;
            }
            if self.event.len() == self.limit {
                self.event = Vec::new();
                self.is_longer = true;
            }
            if !self.is_longer {
                self.event.push(byte);
            }
            if continues_end {
                continue;
            }
            self.after_return = byte == b'\r';
            if !matches!(byte, b'\r' | b'\n') {
                self.in_line = true;
            } else if !core::mem::take(&mut self.in_line) {
                self.end_event(out, edit);
            }
        }
    }

    /// The stream has ended. Browsers drop an event that has not; other readers do not.
    pub(crate) fn finish(
        &mut self,
        out: &mut Vec<u8>,
        edit: &mut impl FnMut(Result<&Event<'_>, Unreadable>, &mut Vec<u8>),
    ) {
        if self.is_longer || !self.event.is_empty() {
            self.end_event(out, edit);
        }
    }

    fn end_event(
        &mut self,
        out: &mut Vec<u8>,
        edit: &mut impl FnMut(Result<&Event<'_>, Unreadable>, &mut Vec<u8>),
    ) {
        let is_first = core::mem::take(&mut self.is_first);
        if core::mem::take(&mut self.is_longer) {
            edit(Err(Unreadable("an event is longer than limits.body_bytes")), out);
        } else {
            match Event::read(&self.event, is_first) {
                Ok(event) => edit(Ok(&event), out),
                Err(unreadable) => edit(Err(unreadable), out),
            }
        }
        self.event.clear();
    }
}

impl<'a> Event<'a> {
    fn read(raw: &'a [u8], is_first: bool) -> Result<Self, Unreadable> {
        let mut lines = Vec::new();
        let mut rest = raw;
        while !rest.is_empty() {
            let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (text, after) = rest.split_at(length.unwrap_or(rest.len()));
            let end = if after.starts_with(b"\r\n") { 2 } else { after.len().min(1) };
            let (end, after) = after.split_at_checked(end).unwrap_or((after, &[]));
            let line = rest.get(..text.len() + end.len()).unwrap_or_default();
            let text = match text.strip_prefix(b"\xef\xbb\xbf") {
                Some(text) if is_first && lines.is_empty() => text,
                _ => text,
            };
            lines.push(Line { data: data(text)?, end, raw: line });
            rest = after;
        }
        Ok(Self { lines, raw })
    }

    /// The event as it came.
    pub(crate) const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Its data: all lines of it, with line feeds between them. `None` if there are none.
    pub(crate) fn data(&self) -> Option<Vec<u8>> {
        let lines: Vec<&[u8]> = self.lines.iter().filter_map(|line| line.data).collect();
        (!lines.is_empty()).then(|| lines.join(&b'\n'))
    }

    /// The event with other data.
    pub(crate) fn write_with(&self, data: &[u8], out: &mut Vec<u8>) {
        let mut left = Some(data);
        for line in &self.lines {
            if line.data.is_none() {
                out.extend_from_slice(line.raw);
            } else if let Some(data) = left.take() {
                let end = if line.end.is_empty() { b"\n" } else { line.end };
                for segment in data.split(|byte| *byte == b'\n') {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(segment);
                    out.extend_from_slice(end);
                }
            }
        }
    }
}

/// The value of a line of data. A line that readers could take for one, and others not, is an error.
fn data(line: &[u8]) -> Result<Option<&[u8]>, Unreadable> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (field, value) = line.split_at(colon.unwrap_or(line.len()));
    if field == b"data" {
        let value = value.get(1..).unwrap_or_default();
        return Ok(Some(value.strip_prefix(b" ").unwrap_or(value)));
    }
    if is_almost_data(field) || other_lines(line).any(is_almost_data) {
        return Err(Unreadable("an event has a line that is almost one of data"));
    }
    Ok(None)
}

fn is_almost_data(field: &[u8]) -> bool {
    let name: Vec<u8> = field.iter().copied().filter(u8::is_ascii_alphabetic).collect();
    name.eq_ignore_ascii_case(b"data")
}

/// The field names of the further lines that some readers see in one: those that take all of Unicode's
/// line ends, like Python's `splitlines`, and not only the standard's.
fn other_lines(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    const ENDS: [&[u8]; 8] = [
        b"\x0b",
        b"\x0c",
        b"\x1c",
        b"\x1d",
        b"\x1e",
        "\u{85}".as_bytes(),
        "\u{2028}".as_bytes(),
        "\u{2029}".as_bytes(),
    ];
    (0..line.len()).filter_map(move |at| {
        let rest = line.get(at..)?;
        let rest = ENDS.iter().find_map(|end| rest.strip_prefix(*end))?;
        let name = |byte: &u8| !matches!(byte, b':' | 0x0b | 0x0c | 0x1c..=0x1e | 0x80..);
        let end = rest.iter().position(|byte| !name(byte)).unwrap_or(rest.len());
        rest.get(..end)
    })
}
