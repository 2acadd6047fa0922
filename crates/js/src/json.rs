//! JSON text, written straight into one `String`: no tree of values is made of what is only written.

use countersign_core::jose::json::{Number, Object, Value};

/// An array or object that is being written.
#[derive(Debug, Default)]
pub(crate) struct Json {
    text: String,
    /// Whether the next element needs a comma before it.
    follows: bool,
}

impl Json {
    /// An object, whose members `write` writes.
    pub(crate) fn object(write: impl FnOnce(&mut Self)) -> String {
        let mut json = Self { text: String::with_capacity(512), follows: false };
        json.nest('{', '}', write);
        json.text
    }

    /// An array, likewise.
    pub(crate) fn array_of<T>(
        elements: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> String {
        let mut json = Self::default();
        json.nest('[', ']', |json| elements.into_iter().for_each(|one| write(json, one)));
        json.text
    }

    /// A member's name; its value is to follow.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.text.push(':');
        self.follows = false;
        self
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.begin();
        quote(&mut self.text, text);
    }

    pub(crate) fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.literal("null"),
            Some(text) => self.text(text),
        }
    }

    pub(crate) fn unsigned(&mut self, number: u64) {
        self.begin();
        let mut digits = [0; 20];
        let mut rest = number;
        let mut from = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            from -= 1;
            if rest == 0 {
                break;
            }
        }
        self.text.extend(digits.iter().skip(from).map(|digit| char::from(*digit)));
    }

    pub(crate) fn array<T>(
        &mut self,
        elements: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.nest('[', ']', |json| elements.into_iter().for_each(|one| write(json, one)));
    }

    pub(crate) fn members(&mut self, write: impl FnOnce(&mut Self)) {
        self.nest('{', '}', write);
    }

    /// The nesting of what was read is bounded ([`countersign_core::jose::json::MAX_DEPTH`]).
    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.literal("null"),
            Value::Bool(true) => self.literal("true"),
            Value::Bool(false) => self.literal("false"),
            Value::Number(Number::Unsigned(number)) => self.unsigned(*number),
            Value::Number(_) => self.literal(&value.to_string()),
            Value::String(text) => self.text(text),
            Value::Array(elements) => self.array(elements, Self::value),
            Value::Object(members) => self.claims(members),
        }
    }

    pub(crate) fn claims(&mut self, members: &Object) {
        self.members(|json| {
            for (name, value) in members {
                json.name(name).value(value);
            }
        });
    }

    fn nest(&mut self, open: char, close: char, write: impl FnOnce(&mut Self)) {
        self.begin();
        self.text.push(open);
        self.follows = false;
        write(self);
        self.text.push(close);
        self.follows = true;
    }

    fn literal(&mut self, text: &str) {
        self.begin();
        self.text.push_str(text);
    }

    fn begin(&mut self) {
        if self.follows {
            self.text.push(',');
        }
        self.follows = true;
    }
}

/// Most texts have nothing to escape (RFC 8259 §7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().any(needs_escape) {
        for character in text.chars() {
            match u8::try_from(character) {
                Ok(byte) if needs_escape(byte) => escape(out, byte),
                _ => out.push(character),
            }
        }
    } else {
        out.push_str(text);
    }
    out.push('"');
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape(out: &mut String, byte: u8) {
    if byte >= 0x20 {
        out.push('\\');
        out.push(char::from(byte));
        return;
    }
    out.push_str("\\u00");
    for digit in [byte >> 4, byte & 15] {
        out.extend(char::from_digit(digit.into(), 16));
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::jose::json;

    use super::*;

    #[test]
    fn is_what_the_reader_reads() {
        let source = r#"{"a":[null,true,false,1,-1,0.5,1e300,18446744073709551615,0,10],
            "b":{"c":{},"d":[],"e":[[],{}]},"\u0000\n\"\\":"\u001f\u007f ü € \ud834\udd1e","__proto__":""}"#;
        let value = json::parse(source.as_bytes()).unwrap();
        let text = Json::object(|json| json.name("all").value(&value));
        let read = json::parse(text.as_bytes()).unwrap();
        assert_eq!(read.as_object().unwrap()["all"], value);
    }

    #[test]
    fn commas_stand_between() {
        let text = Json::object(|json| {
            json.name("none").optional(None);
            json.name("list").array([1, 2], Json::unsigned);
            json.name("object").members(|json| json.name("x").text("\"y"));
            json.name("last").optional(Some(""));
        });
        assert_eq!(text, r#"{"none":null,"list":[1,2],"object":{"x":"\"y"},"last":""}"#);
        assert_eq!(Json::array_of(["a", "b"], Json::text), r#"["a","b"]"#);
        assert_eq!(Json::array_of([], Json::text), "[]");
    }
}
