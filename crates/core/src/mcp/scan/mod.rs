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
            open: Vec::new(),
            names: Names::default(),
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
        if self.token == Token::Number {
            self.end_number(self.read)?;
        }
        let whole = self.token == Token::None && self.expect == Expect::Nothing;
        if whole && self.utf8.is_complete() { Ok(self.sink) } else { Err(Reason::MessageMalformed) }
    }

    fn whole_characters(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            let at = self.read + (bytes.len() - rest.len());
            rest = match self.token {
                Token::None => self.structural(first, at).map(|()| after)?,
                Token::Literal(literal) => self.literal(literal, rest, at)?,
                Token::Number => self.number(rest, at)?,
                Token::Text(text) => self.text(text, rest, at)?,
            };
        }
        self.read += bytes.len();
        Ok(())
    }

    fn structural(&mut self, byte: u8, at: usize) -> Result<(), Reason> {
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => Ok(()),
            (b'"', Expect::Name | Expect::NameOrEnd) => {
                self.token = Token::Text(Text::name());
                Ok(())
            }
            (b':', Expect::Colon) => {
                self.expect = Expect::Value;
                Ok(())
            }
            (b',', Expect::CommaOrEnd) => {
                self.expect = match self.open.last() {
                    Some(Open::Object(_)) => Expect::Name,
                    _ => Expect::Value,
                };
                Ok(())
            }
            (b'}', Expect::NameOrEnd | Expect::CommaOrEnd) => self.close(at, true),
            (b']', Expect::ValueOrEnd | Expect::CommaOrEnd) => self.close(at, false),
            (_, Expect::Value | Expect::ValueOrEnd) => self.begin(byte, at),
            _ => Err(Reason::MessageMalformed),
        }
    }

    fn begin(&mut self, byte: u8, at: usize) -> Result<(), Reason> {
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
        match kind {
            Kind::Object => {
                self.open.push(Open::Object(self.names.mark()));
                self.expect = Expect::NameOrEnd;
            }
            Kind::Array => {
                self.open.push(Open::Array);
                self.expect = Expect::ValueOrEnd;
            }
            Kind::String => self.token = Token::Text(Text::value(wanted)),
            Kind::Number => {
                self.kept.push(byte);
                self.token = Token::Number;
            }
            Kind::Literal => self.token = literal.map_or(Token::None, Token::Literal),
        }
        Ok(())
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
        let (digits, after) = rest.split_at(length);
        if digits.len() > MAX_NUMBER - self.kept.len() {
            return Err(Reason::MessageExcessive);
        }
        self.kept.extend_from_slice(digits);
        if !after.is_empty() {
            self.end_number(at + length)?;
        }
        Ok(after)
    }

    fn end_number(&mut self, at: usize) -> Result<(), Reason> {
        let text = core::str::from_utf8(&self.kept).map_err(|_| Reason::MessageMalformed)?;
        if !token::is_plain_number(text.as_bytes()) {
            // With an exponent: whether it is in range is for the one who knows all numbers.
            json::parse(text.as_bytes()).map_err(|_| Reason::MessageMalformed)?;
        }
        self.sink.number(self.open.len(), text)?;
        self.ended(at)
    }

    fn text<'a>(&mut self, mut text: Text, rest: &'a [u8], at: usize) -> Result<&'a [u8], Reason> {
        let kept = if text.is_name { self.names.buffer() } else { &mut self.kept };
        let (ended, after) = text.read(rest, kept)?;
        if !ended {
            self.token = Token::Text(text);
        } else if text.is_name {
            let name = self.names.end_name()?;
            self.token = Token::None;
            self.expect = Expect::Colon;
            self.sink.name(self.open.len(), name)?;
        } else {
            if let Some(kept) = text.kept(&self.kept)? {
                self.sink.text(self.open.len(), kept)?;
            }
            self.ended(at + (rest.len() - after.len()))?;
        }
        Ok(after)
    }
}
