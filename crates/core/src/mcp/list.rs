//! Answers to `tools/list` and its like: entries are cut out of the text, and all else stays as the
//! server wrote it.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use super::{
    message::{MAX_NAME, is_lookalike},
    scan::{Kind, Scan, Sink},
};
use crate::Reason;

/// The lists that a server gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Prompts,
    Resources,
    Templates,
    Tools,
}

/// Why an answer cannot be read: for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) &'static str);

impl List {
    /// The list that a method asks for.
    pub(crate) fn of_method(method: &str) -> Option<Self> {
        Some(match method {
            "prompts/list" => Self::Prompts,
            "resources/list" => Self::Resources,
            "resources/templates/list" => Self::Templates,
            "tools/list" => Self::Tools,
            _ => return None,
        })
    }

    /// The list that a member of a result is.
    fn of_member(name: &str) -> Option<Self> {
        Some(match name {
            "prompts" => Self::Prompts,
            "resourceTemplates" => Self::Templates,
            "resources" => Self::Resources,
            "tools" => Self::Tools,
            _ => return None,
        })
    }

    /// The member of an entry that rules speak of.
    const fn key(self) -> &'static str {
        match self {
            Self::Prompts | Self::Tools => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

/// Reads a message, and takes the entries out of its lists that `permits` does not want. A result
/// with a list gets `"cacheScope":"private"` (MCP 2026-07-28): it is for this caller only. `None` when
/// the message has no list.
///
/// # Errors
/// The message is no strict JSON object ([`crate::jose::json::parse`]), has members that differ from
/// those that count in case only, or has a list that is none, or entries without a name.
pub(crate) fn edit(
    text: &[u8],
    permits: impl FnMut(List, &str) -> bool,
) -> Result<Option<Vec<u8>>, Unreadable> {
    let reader = Reader { permits, found: Found::default() };
    let mut scan = Scan::new(reader);
    let found = match scan.push(text).and_then(|()| scan.finish()) {
        Ok(reader) => reader.found,
        Err(Reason::MessageExcessive) => {
            return Err(Unreadable("it has names or numbers beyond all use"));
        }
        Err(_) => {
            return Err(Unreadable("it is not one strict JSON object with lists of named entries"));
        }
    };
    if found.lists.is_empty() {
        return Ok(None);
    }
    let scope = match found.cache_scope {
        Some((start, end)) => Edit { start, end, text: b"\"private\"".to_vec() },
        None => {
            let at = found.inside_result;
            Edit { start: at, end: at, text: b"\"cacheScope\":\"private\",".to_vec() }
        }
    };
    // Those of the lists are in the order of the text.
    let lists = found.lists.iter().filter_map(|entries| without_removed(text, entries));
    let (mut edits, behind): (Vec<Edit>, Vec<Edit>) =
        lists.partition(|edit| edit.start <= scope.start);
    edits.push(scope);
    edits.extend(behind);
    Ok(Some(apply(text, edits)))
}

/// A part of the text is replaced.
#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: Vec<u8>,
}

/// The entries that stay, put together anew; `None` when all do.
fn without_removed(text: &[u8], entries: &[Entry]) -> Option<Edit> {
    let (first, last) = (entries.first()?, entries.last()?);
    if entries.iter().all(|entry| entry.stays) {
        return None;
    }
    let kept = entries.iter().filter(|entry| entry.stays);
    let kept: Vec<&[u8]> = kept.filter_map(|entry| text.get(entry.start..entry.end)).collect();
    Some(Edit { start: first.start, end: last.end, text: kept.join(&b',') })
}

/// Does edits that are in the order of the text.
fn apply(text: &[u8], edits: Vec<Edit>) -> Vec<u8> {
    let mut edited = Vec::with_capacity(text.len() + 32);
    let mut at = 0;
    for edit in edits {
        edited.extend_from_slice(text.get(at..edit.start).unwrap_or_default());
        edited.extend_from_slice(&edit.text);
        at = edit.end;
    }
    edited.extend_from_slice(text.get(at..).unwrap_or_default());
    edited
}

struct Reader<P> {
    permits: P,
    found: Found,
}

/// What was found so far. Offsets are counted from the text's first byte.
#[derive(Debug, Default)]
struct Found {
    in_result: bool,
    /// Behind the brace that the result begins with.
    inside_result: usize,
    /// The list that is being read.
    list: Option<List>,
    /// The entries of all lists so far.
    lists: Vec<Vec<Entry>>,
    /// Where the entry that is being read begins.
    entry: usize,
    /// Whether it stays; `None` while it has no name.
    stays: Option<bool>,
    /// The value that is being read is its name.
    at_name: bool,
    at_cache_scope: bool,
    cache_scope: Option<(usize, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    end: usize,
    stays: bool,
}

const RESULT_MEMBERS: [&str; 5] =
    ["cacheScope", "prompts", "resourceTemplates", "resources", "tools"];

impl<P: FnMut(List, &str) -> bool> Sink for Reader<P> {
    const DEPTH: usize = 4;

    fn name(&mut self, depth: usize, name: &str) -> Result<(), Reason> {
        let found = &mut self.found;
        let known: &[&str] = match (depth, found.in_result, found.list) {
            (1, ..) => {
                found.in_result = name == "result";
                &["result"]
            }
            (2, true, _) => {
                found.list = List::of_member(name);
                found.at_cache_scope = name == "cacheScope";
                &RESULT_MEMBERS
            }
            (4, true, Some(list)) => {
                found.at_name = name == list.key();
                if is_lookalike(name, &[list.key()]) {
                    return Err(Reason::MessageMalformed);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        if is_lookalike(name, known) { Err(Reason::MessageMalformed) } else { Ok(()) }
    }

    fn begin(&mut self, depth: usize, kind: Kind, at: usize) -> Result<Option<usize>, Reason> {
        let found = &mut self.found;
        let fits = match (depth, found.in_result, found.list) {
            (0, ..) => kind == Kind::Object,
            (1, true, _) => {
                found.inside_result = at + 1;
                kind == Kind::Object
            }
            (2, true, Some(_)) => {
                if kind == Kind::Array {
                    found.lists.push(Vec::new());
                }
                // Some servers write `null` for an empty list.
                matches!(kind, Kind::Array | Kind::Literal)
            }
            (2, true, None) if found.at_cache_scope => {
                found.cache_scope = Some((at, at));
                true
            }
            (3, true, Some(_)) => {
                (found.entry, found.stays) = (at, None);
                kind == Kind::Object
            }
            (4, true, Some(_)) if found.at_name => {
                return if kind == Kind::String {
                    Ok(Some(MAX_NAME))
                } else {
                    Err(Reason::MessageMalformed)
                };
            }
            _ => true,
        };
        if fits { Ok(None) } else { Err(Reason::MessageMalformed) }
    }

    fn text(&mut self, _: usize, text: Option<&str>) -> Result<(), Reason> {
        // Only names are asked for. What nobody can ask for by its name nobody need see.
        if let Some(list) = self.found.list {
            self.found.stays = Some(text.is_some_and(|name| (self.permits)(list, name)));
        }
        Ok(())
    }

    fn number(&mut self, _: usize, _: &str) -> Result<(), Reason> {
        Ok(())
    }

    fn end(&mut self, depth: usize, at: usize) -> Result<(), Reason> {
        let found = &mut self.found;
        match (depth, found.in_result, found.list) {
            (2, true, None) if found.at_cache_scope => {
                found.cache_scope = found.cache_scope.map(|(start, _)| (start, at));
            }
            (3, true, Some(_)) => {
                let stays = found.stays.take().ok_or(Reason::MessageMalformed)?;
                let entry = Entry { start: found.entry, end: at, stays };
                found.lists.last_mut().ok_or(Reason::MessageMalformed)?.push(entry);
            }
            (4, true, Some(_)) => found.at_name = false,
            _ => {}
        }
        Ok(())
    }
}
