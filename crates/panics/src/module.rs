//! A module's functions, their names, its constants, and every direct call.

use std::collections::BTreeMap;

use wasmparser::{DataKind, KnownCustom, Name, Operator, Parser, Payload, TypeRef};

use crate::Failure;

/// What is read of a module.
pub(crate) struct Module<'a> {
    pub(crate) calls: Vec<Call>,
    names: BTreeMap<u32, &'a str>,
    /// Constants by their address.
    data: BTreeMap<u32, &'a [u8]>,
}

/// A direct call.
pub(crate) struct Call {
    pub(crate) caller: u32,
    pub(crate) callee: u32,
    /// Its last argument, where that is a constant.
    pub(crate) last: Option<u32>,
}

impl<'a> Module<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Failure> {
        let mut module = Self { calls: Vec::new(), names: BTreeMap::new(), data: BTreeMap::new() };
        let mut function = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                // Imported functions come first in the numbering.
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        function += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let operators = body.get_operators_reader()?.into_iter();
                    module.read_calls(function, operators)?;
                    function += 1;
                }
                Payload::DataSection(segments) => {
                    for segment in segments {
                        let segment = segment?;
                        if let DataKind::Active { offset_expr, .. } = segment.kind
                            && let Operator::I32Const { value } =
                                offset_expr.get_operators_reader().read()?
                        {
                            module.data.insert(value.cast_unsigned(), segment.data);
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        for name in names {
                            if let Name::Function(functions) = name? {
                                for function in functions {
                                    let function = function?;
                                    module.names.insert(function.index, function.name);
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        if module.names.is_empty() {
            return Err("the module has no names".into());
        }
        Ok(module)
    }

    fn read_calls(
        &mut self,
        caller: u32,
        operators: impl Iterator<Item = wasmparser::Result<Operator<'a>>>,
    ) -> Result<(), Failure> {
        let mut last = None;
        for operator in operators {
            match operator? {
                Operator::I32Const { value } => last = Some(value.cast_unsigned()),
                Operator::Call { function_index: callee }
                | Operator::ReturnCall { function_index: callee } => {
                    self.calls.push(Call { caller, callee, last: last.take() });
                }
                _ => last = None,
            }
        }
        Ok(())
    }

    /// A function's name as it is written in Rust, without the hash.
    pub(crate) fn name(&self, function: u32) -> String {
        let mangled = self.names.get(&function).copied().unwrap_or("?");
        format!("{:#}", rustc_demangle::demangle(mangled))
    }

    /// The `core::panic::Location` at an address: file, line and column.
    pub(crate) fn location(&self, address: u32) -> Option<(&'a str, u32, u32)> {
        let number = |index: u32| -> Option<u32> {
            let bytes = self.bytes(address.checked_add(index * 4)?, 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        // The length is without the zero that ends the text.
        let file = core::str::from_utf8(self.bytes(number(0)?, number(1)?)?).ok()?;
        file.ends_with(".rs").then_some((file, number(2)?, number(3)?))
    }

    fn bytes(&self, address: u32, length: u32) -> Option<&'a [u8]> {
        let (start, data) = self.data.range(..=address).next_back()?;
        let from = usize::try_from(address - start).ok()?;
        data.get(from..from.checked_add(usize::try_from(length).ok()?)?)
    }
}
