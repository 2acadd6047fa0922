//! Server-sent events (WHATWG HTML, §9.2), read as they come.

#[cfg(test)]
mod tests;

use std::mem::take;

/// One event with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type: `message` where the server names none.
    pub(super) name: String,
    /// Its lines of data, with line feeds between them.
    pub(super) data: String,
}

/// A stream of events of which some was read. What it keeps is bounded by what is pushed: whoever
/// pushes counts. An event that the stream's end cuts off is none, as the standard has it.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The line that has not ended.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// A line has ended: no byte order mark can come any more.
    has_begun: bool,
    name: String,
    data: Option<String>,
    id: Option<String>,
    last_id: Option<String>,
    retry: Option<u64>,
}

impl Events {
    /// Reads the next part, of any length, and appends the events that end in it.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub(super) fn push(&mut self, part: &[u8], into: &mut Vec<Event>) -> Result<(), &'static str> {
        let mut rest = part;
        while let Some((first, others)) = rest.split_first() {
            if take(&mut self.after_return) && *first == b'\n' {
                rest = others;
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.line.extend_from_slice(text);
            let Some((end, after)) = after.split_first() else { return Ok(()) };
            self.after_return = *end == b'\r';
            rest = after;
            let line = take(&mut self.line);
            into.extend(self.end_line(&line)?);
        }
        Ok(())
    }

    /// The identifier of the last event that ended, to go on from there.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How many milliseconds the server asks to wait before that.
    pub(super) const fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The stream has ended, and another one goes on with what it was.
    pub(super) fn reconnect(&mut self) {
        let (last_id, retry) = (self.last_id.take(), self.retry);
        *self = Self { id: last_id.clone(), last_id, retry, ..Self::default() };
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<Event>, &'static str> {
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(line) if !self.has_begun => line,
            _ => line,
        };
        self.has_begun = true;
        let line = str::from_utf8(line).map_err(|_| "the event stream is not UTF-8")?;
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().or(self.retry);
            }
            // A comment, or nothing that the standard knows.
            _ => {}
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id);
        let name = take(&mut self.name);
        let data = self.data.take()?;
        Some(Event { name: if name.is_empty() { "message".to_owned() } else { name }, data })
    }
}
