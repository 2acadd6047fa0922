//! Strict JSON read in parts of any size, with nothing kept but what its reader asks for.
//!
//! What is refused is what [`crate::jose::json::parse`] refuses, in whatever parts the text comes: a
//! reader that stops at a part's end and goes on with the next never sees another value. Memory is
//! bounded whatever is sent: by the depth, by [`MAX_NUMBER`], by the names of the objects that are
//! open ([`names`]), and by what the reader ([`Sink`]) keeps.

mod names;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod utf8;

use alloc::vec::Vec;

use names::Names;
use text::Text;
use token::Literal;
use utf8::Utf8;

use crate::{
    Reason,
    jose::json::{self, MAX_DEPTH},
};

/// The longest number that is read, in bytes. Longer ones than about 310 are out of range, or have
/// more fractional digits than anything that calculates.
const MAX_NUMBER: usize = 1024;

/// What a value is, as its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    /// `true`, `false` or `null`.
    Literal,
    Number,
    Object,
    String,
}

/// Who reads. `depth` is the number of arrays and objects around what is told; offsets are counted
/// from the text's first byte. What it refuses ends the reading.
pub(crate) trait Sink {
    /// The greatest depth at which it wants to be told names and numbers.
    const DEPTH: usize;

    /// The name of the member that follows.
    fn name(&mut self, depth: usize, name: &str) -> Result<(), Reason>;

    /// A value begins. For a string: the longest one, in bytes, that [`Self::text`] wants to have;
    /// `None` to be told nothing.
    fn begin(&mut self, depth: usize, kind: Kind, at: usize) -> Result<Option<usize>, Reason>;

    /// A string that was asked for; `None` when it is longer.
    fn text(&mut self, depth: usize, text: Option<&str>) -> Result<(), Reason>;

    /// A number, as it is written.
    fn number(&mut self, depth: usize, text: &str) -> Result<(), Reason>;

    /// The value that began last at this depth has ended before this offset.
    fn end(&mut self, depth: usize, at: usize) -> Result<(), Reason>;
}

/// A text of which some parts were read.
#[derive(Debug)]
pub(crate) struct Scan<S> {
    sink: S,
    utf8: Utf8,
    open: Vec<Open>,
    names: Names,
    expect: Expect,
    token: Token,
    /// The string value that is kept, unescaped, or the number.
    kept: Vec<u8>,
    /// Bytes read in earlier parts.
    read: usize,
}

/// An array or object that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Array,
    Object(names::Mark),
}

/// What may stand next between two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
    /// The text's end.
    Nothing,
}

/// What a part may end in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    None,
    Literal(Literal),
    Number,
    Text(Text),
}

impl<S: Sink> Scan<S> {
    pub(crate) fn new(sink: S) -> Self {
        Self {
            sink,
            utf8: Utf8::default(),
            open: Vec::with_capacity(8),
            names: Names::new(),
            expect: Expect::Value,
            token: Token::None,
            kept: Vec::new(),
            read: 0,
        }
    }

    /// Reads the next part.
    ///
    /// # Errors
    /// What the text is refused for. The scan is of no use after that.
    pub(crate) fn push(&mut self, part: &[u8]) -> Result<(), Reason> {
        let mut rest = part;
        while !self.utf8.is_complete()
            && let Some((&byte, after)) = rest.split_first()
        {
            rest = after;
            if let Some(character) = self.utf8.push(byte)? {
                self.whole_characters(character.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        // What stands before a mistake is read first: the answer does not depend on the parts.
        let (whole, checked) = self.utf8.whole(rest);
        self.whole_characters(whole)?;
        checked
    }

    /// The text has ended.
    ///
    /// # Errors
    /// What the text is refused for.
    pub(crate) fn finish(mut self) -> Result<S, Reason> {
        if matches!(self.token, Token::Number) {
            self.end_kept_number(self.read)?;
        }
        let whole = matches!(self.token, Token::None) && self.expect == Expect::Nothing;
        if whole && self.utf8.is_complete() { Ok(self.sink) } else { Err(Reason::MessageMalformed) }
    }

    fn whole_characters(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = self.read + (bytes.len() - rest.len());
            rest = match self.token {
                Token::None => self.structural(rest, at)?,
                Token::Literal(literal) => self.literal(literal, rest, at)?,
                Token::Number => self.number(rest, at)?,
                Token::Text(text) => self.text(text, rest, at)?,
            };
        }
        self.read += bytes.len();
        Ok(())
    }

    /// Reads what stands between two tokens, and the token that begins with it.
    fn structural<'a>(&mut self, bytes: &'a [u8], at: usize) -> Result<&'a [u8], Reason> {
        let Some((&byte, rest)) = bytes.split_first() else { return Ok(bytes) };
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'"', Expect::Name | Expect::NameOrEnd) => {
                return self.begin_text(Text::name(), rest, at + 1);
            }
            (b':', Expect::Colon) => self.expect = Expect::Value,
            (b',', Expect::CommaOrEnd) => {
                self.expect = match self.open.last() {
                    Some(Open::Object(_)) => Expect::Name,
                    _ => Expect::Value,
                };
            }
            (b'}', Expect::NameOrEnd | Expect::CommaOrEnd) => self.close(at, true)?,
            (b']', Expect::ValueOrEnd | Expect::CommaOrEnd) => self.close(at, false)?,
            (_, Expect::Value | Expect::ValueOrEnd) => return self.begin(bytes, at),
            _ => return Err(Reason::MessageMalformed),
        }
        Ok(rest)
    }

    /// Reads the beginning of a value.
    fn begin<'a>(&mut self, bytes: &'a [u8], at: usize) -> Result<&'a [u8], Reason> {
        let Some((&byte, rest)) = bytes.split_first() else { return Ok(bytes) };
        let literal = Literal::beginning_with(byte);
        let kind = match byte {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ if literal.is_some() => Kind::Literal,
            _ => return Err(Reason::MessageMalformed),
        };
        let depth = self.open.len();
        if matches!(kind, Kind::Array | Kind::Object) && depth == MAX_DEPTH {
            return Err(Reason::MessageMalformed);
        }
        let wanted = self.sink.begin(depth, kind, at)?;
        self.kept.clear();
        match (kind, literal) {
            (Kind::Object, _) => {
                self.open.push(Open::Object(self.names.mark()));
                self.expect = Expect::NameOrEnd;
            }
            (Kind::Array, _) => {
                self.open.push(Open::Array);
                self.expect = Expect::ValueOrEnd;
            }
            (Kind::String, _) => return self.begin_text(Text::value(wanted), rest, at + 1),
            (_, Some(literal)) => return self.literal(literal, rest, at + 1),
            (_, None) => return self.number(bytes, at),
        }
        Ok(rest)
    }

    fn close(&mut self, at: usize, object: bool) -> Result<(), Reason> {
        match (self.open.pop(), object) {
            (Some(Open::Object(mark)), true) => self.names.close(mark)?,
            (Some(Open::Array), false) => {}
            _ => return Err(Reason::MessageMalformed),
        }
        self.ended(at + 1)
    }

    /// A value has ended.
    fn ended(&mut self, at: usize) -> Result<(), Reason> {
        self.token = Token::None;
        self.expect = if self.open.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
        self.sink.end(self.open.len(), at)
    }

    fn literal<'a>(
        &mut self,
        literal: Literal,
        rest: &'a [u8],
        at: usize,
    ) -> Result<&'a [u8], Reason> {
        let (literal, after) = literal.read(rest)?;
        match literal {
            Some(literal) => self.token = Token::Literal(literal),
            None => self.ended(at + (rest.len() - after.len()))?,
        }
        Ok(after)
    }

    fn number<'a>(&mut self, rest: &'a [u8], at: usize) -> Result<&'a [u8], Reason> {
        let length = rest.iter().position(|byte| !token::in_number(*byte)).unwrap_or(rest.len());
        let (digits, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        if digits.len() > MAX_NUMBER - self.kept.len() {
            return Err(Reason::MessageExcessive);
        }
        // One that ends before the part does need not be kept.
        if self.kept.is_empty() && !after.is_empty() {
            self.end_number(digits, at + length)?;
            return Ok(after);
        }
        self.token = Token::Number;
        self.kept.extend_from_slice(digits);
        if !after.is_empty() {
            self.end_kept_number(at + length)?;
        }
        Ok(after)
    }

    fn end_kept_number(&mut self, at: usize) -> Result<(), Reason> {
        let kept = core::mem::take(&mut self.kept);
        let ended = self.end_number(&kept, at);
        self.kept = kept;
        self.kept.clear();
        ended
    }

    fn end_number(&mut self, digits: &[u8], at: usize) -> Result<(), Reason> {
        if !token::is_plain_number(digits) {
            // With an exponent: whether it is in range is for the one who knows all numbers.
            json::parse(digits).map_err(|_| Reason::MessageMalformed)?;
        }
        if self.open.len() <= S::DEPTH {
            self.sink.number(self.open.len(), utf8(digits)?)?;
        }
        self.ended(at)
    }

    /// Reads a string from behind its opening quotation mark. Nearly all end in the same part and have
    /// nothing to unescape: those are not copied before they are looked at.
    fn begin_text<'a>(
        &mut self,
        text: Text,
        rest: &'a [u8],
        at: usize,
    ) -> Result<&'a [u8], Reason> {
        let (run, after) = rest.split_at_checked(text::plain(rest)).unwrap_or((rest, &[]));
        let Some(after) = after.strip_prefix(b"\"") else { return self.text(text, rest, at) };
        if text.is_name {
            self.names.add(run)?;
            self.expect = Expect::Colon;
            tell_name(&mut self.sink, self.open.len(), run)?;
            if let Some(after) = after.strip_prefix(b":") {
                self.expect = Expect::Value;
                return Ok(after);
            }
        } else {
            if let Some(limit) = text.limit {
                let whole = if run.len() <= limit { Some(utf8(run)?) } else { None };
                self.sink.text(self.open.len(), whole)?;
            }
            self.ended(at + run.len() + 1)?;
        }
        Ok(after)
    }

    /// Goes on to read a string.
    fn text<'a>(&mut self, mut text: Text, rest: &'a [u8], at: usize) -> Result<&'a [u8], Reason> {
        let kept = if text.is_name { self.names.buffer() } else { &mut self.kept };
        let (ended, after) = text.read(rest, kept)?;
        if !ended {
            self.token = Token::Text(text);
        } else if text.is_name {
            let name = self.names.end_name()?;
            self.token = Token::None;
            self.expect = Expect::Colon;
            tell_name(&mut self.sink, self.open.len(), name)?;
        } else {
            if let Some(kept) = text.kept(&self.kept)? {
                self.sink.text(self.open.len(), kept)?;
            }
            self.ended(at + (rest.len() - after.len()))?;
        }
        Ok(after)
    }
}

fn tell_name<S: Sink>(sink: &mut S, depth: usize, name: &[u8]) -> Result<(), Reason> {
    if depth <= S::DEPTH { sink.name(depth, utf8(name)?) } else { Ok(()) }
}

fn utf8(bytes: &[u8]) -> Result<&str, Reason> {
    core::str::from_utf8(bytes).map_err(|_| Reason::MessageMalformed)
}
