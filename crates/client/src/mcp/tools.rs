//! What a server lists as its tools, and the arguments that are mirrored in headers.

#[cfg(test)]
mod tests;

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use super::headers::{encode, value};
use crate::Error;

/// What a property is annotated with so that its value is mirrored.
const ANNOTATION: &str = "x-mcp-header";

/// What a server's tools are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Those that can be called, as the server describes them.
    pub tools: Vec<Tool>,
    /// Those that must not be called, since their `x-mcp-header` are not in order (2026-07-28).
    pub excluded: Vec<Excluded>,
}

/// A tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// All that the server says of it: `description`, `inputSchema` and more.
    pub definition: Map<String, Value>,
    mirrors: Vec<Mirror>,
}

/// A tool that must not be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// An argument that stands in a header, too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    /// The names of the properties that lead to it.
    path: Vec<String>,
    header: HeaderName,
}

impl Tools {
    /// Adds a page of the list. Before revision 2026-07-28 `x-mcp-header` means nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, page: &Value, has_mirrors: bool) -> Result<(), &'static str> {
        let listed = page.as_array().ok_or("a list of tools without tools")?;
        for tool in listed {
            let definition = tool.as_object().ok_or("a tool that is none")?;
            let name = definition.get("name").and_then(Value::as_str);
            let name = name.ok_or("a tool without a name")?.to_owned();
            let schema = definition.get("inputSchema").filter(|_| has_mirrors);
            match schema.map_or_else(|| Ok(Vec::new()), mirrors) {
                Ok(mirrors) => {
                    self.tools.push(Tool { name, definition: definition.clone(), mirrors });
                }
                Err(why) => self.excluded.push(Excluded { name, why }),
            }
        }
        Ok(())
    }

    /// The headers of a call. A tool that is not listed has none: servers may hide tools.
    ///
    /// # Errors
    /// [`Error::ToolExcluded`], [`Error::Request`].
    pub(super) fn headers(&self, params: &Map<String, Value>) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(Excluded { name, why }) = self.excluded.iter().find(|tool| tool.name == name) {
            return Err(Error::ToolExcluded { name: name.clone(), why });
        }
        let Some(tool) = self.tools.iter().find(|tool| tool.name == name) else {
            return Ok(headers);
        };
        for Mirror { path, header } in &tool.mirrors {
            let arguments = params.get("arguments");
            let argument = path.iter().fold(arguments, |value, name| value?.get(name));
            if let Some(text) = argument.map_or(Ok(None), as_text)? {
                headers.insert(header.clone(), value(&encode(&text))?);
            }
        }
        Ok(headers)
    }
}

/// An argument as it is written in a header (value encoding, type conversion); `None` for null, which
/// is left out.
fn as_text(argument: &Value) -> Result<Option<String>, Error> {
    const WRONG: Error = Error::Request(
        "an argument that the tool mirrors in a header has to be a text, a boolean, or an integer \
         between -(2^53-1) and 2^53-1",
    );
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    match argument {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::String(text) => Ok(Some(text.clone())),
        // Numbers beyond the bound are beyond it as floats, too.
        Value::Number(number) => match number.as_f64() {
            // 42.0 is an integer to JSON Schema. So small, it is written without an exponent.
            Some(value) if value.abs() <= LARGEST && value.fract() == 0.0 => {
                Ok(Some(format!("{}", value + 0.0)))
            }
            _ => Err(WRONG),
        },
        Value::Array(_) | Value::Object(_) => Err(WRONG),
    }
}

/// The annotations of a schema (2026-07-28, schema extension).
///
/// # Errors
/// Which constraint they break: then the tool must not be used.
fn mirrors(schema: &Value) -> Result<Vec<Mirror>, &'static str> {
    let mut found = Vec::new();
    if schema.get(ANNOTATION).is_some() {
        return Err("x-mcp-header is not at a property");
    }
    collect(schema, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn collect(
    schema: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<Mirror>,
) -> Result<(), &'static str> {
    let Some(members) = schema.as_object() else { return Ok(()) };
    if members.iter().any(|(keyword, value)| keyword != "properties" && hides(keyword, value)) {
        return Err("x-mcp-header is at a property that is not always there");
    }
    let Some(properties) = members.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(annotation) = property.get(ANNOTATION) {
            let header = header(annotation, property.get("type"))?;
            if found.iter().any(|mirror| mirror.header == header) {
                return Err("two x-mcp-header are the same");
            }
            found.push(Mirror { path: path.clone(), header });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// The header of an annotation.
fn header(annotation: &Value, kind: Option<&Value>) -> Result<HeaderName, &'static str> {
    const WRONG: &str = "an x-mcp-header is no name for a header";
    if !matches!(kind.and_then(Value::as_str), Some("boolean" | "integer" | "string")) {
        return Err("x-mcp-header is at a property that is no string, integer or boolean");
    }
    let name = annotation.as_str().filter(|name| !name.is_empty()).ok_or(WRONG)?;
    HeaderName::try_from(format!("mcp-param-{name}")).map_err(|_| WRONG)
}

/// Whether there is an annotation in a keyword's value: in a schema that no chain of `properties`
/// leads to.
fn hides(keyword: &str, value: &Value) -> bool {
    match (keyword, value) {
        // Values, in which the word is a word.
        ("const" | "default" | "enum" | "examples", _) => false,
        // Names that are the schema's own, each with a schema.
        (
            "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties",
            Value::Object(schemas),
        ) => schemas.values().any(is_annotated),
        (_, Value::Array(schemas)) => schemas.iter().any(is_annotated),
        (_, schema) => is_annotated(schema),
    }
}

fn is_annotated(schema: &Value) -> bool {
    schema.as_object().is_some_and(|members| {
        members.contains_key(ANNOTATION)
            || members.iter().any(|(keyword, value)| hides(keyword, value))
    })
}
