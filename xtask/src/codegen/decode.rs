//! The bodies of `decode`.

use super::definition::{default_value, name};
use super::schema::{Field, File, Primitive, Struct, Type};
use super::{condition, flexible, flexible_variable};

pub fn body(s: &Struct, file: &File) -> String {
    let flexible = flexible(s.versions, s.flexible);
    let fields: String = s
        .fields
        .iter()
        .map(|field| {
            let value = if field.tag.is_some() { default_value(field, file) } else { untagged(field, s, file) };
            format!("{}: {value},\n", name(field))
        })
        .collect();
    let tagged: Vec<&Field> = s.fields.iter().filter(|field| field.tag.is_some()).collect();
    let construct = format!("Self {{\n{fields}}}");
    let text = if flexible == "false" {
        format!("Ok({construct})\n")
    } else if tagged.is_empty() {
        let skip = when(flexible, "r.skip_tagged_fields()?;\n");
        format!("let value = {construct};\n{skip}Ok(value)\n")
    } else {
        let arms: String = tagged.iter().map(|field| tagged_arm(field, s, file)).collect();
        let read = format!(
            "for _ in 0..r.tagged_field_count()? {{\n\
             let (tag, end) = r.tagged_field()?;\n\
             match tag {{\n{arms}_ => r.skip_tagged_field(end)?,\n}}\n\
             r.end_tagged_field(tag, end)?;\n}}\n"
        );
        format!("let mut value = {construct};\n{}Ok(value)\n", when(flexible, &read))
    };
    flexible_variable(s, &text) + &text
}

/// `code`, if the version is a flexible one.
fn when(flexible: &str, code: &str) -> String {
    if flexible == "true" { code.to_owned() } else { format!("if {flexible} {{\n{code}}}\n") }
}

fn untagged(field: &Field, s: &Struct, file: &File) -> String {
    let read = nullable_read(field, s, file);
    match condition(field.versions, s.versions) {
        None => read,
        Some(condition) => format!("if {condition} {{ {read} }} else {{ {} }}", default_value(field, file)),
    }
}

fn tagged_arm(field: &Field, s: &Struct, file: &File) -> String {
    let tag = field.tag.unwrap_or_default();
    let flexible_versions = super::Versions { first: s.versions.first.max(s.flexible), last: s.versions.last };
    let guard = condition(field.versions, flexible_versions).map_or(String::new(), |c| format!(" if {c}"));
    format!("{tag}{guard} => value.{} = {},\n", name(field), nullable_read(field, s, file))
}

/// Reads the field in a version that has it.
fn nullable_read(field: &Field, s: &Struct, file: &File) -> String {
    let Some(null) = field.null else { return read(field, s, file, false) };
    let nullable = read(field, s, file, true);
    match condition(null, field.versions) {
        None => nullable,
        Some(condition) => {
            format!("if {condition} {{ {nullable} }} else {{ Some({}) }}", read(field, s, file, false))
        }
    }
}

fn read(field: &Field, s: &Struct, file: &File, nullable: bool) -> String {
    let prefix = if nullable { "nullable_" } else { "" };
    let flexible = if field.tag.is_some() { "true" } else { flexible(field.versions, s.flexible) };
    match &field.ty {
        Type::Primitive(primitive) => match method(*primitive) {
            // Records are nullable in every version that has them.
            "records" => format!("r.nullable_records({flexible})?"),
            method @ ("string" | "bytes") => format!("r.{prefix}{method}({flexible})?"),
            method => format!("r.{method}()?"),
        },
        Type::Struct(name) if nullable => format!("r.nullable_struct(|r| {name}::decode(r, version))?"),
        Type::Struct(name) => format!("{name}::decode(r, version)?"),
        Type::Array(element) => {
            let (size, element) = match element.as_ref() {
                Type::Struct(name) => (min_size(name, file), format!("|r| {name}::decode(r, version)")),
                Type::Primitive(primitive) => {
                    let size = primitive_size(*primitive, s, field);
                    let element = match method(*primitive) {
                        method @ ("string" | "bytes") => format!("|r| r.{method}({flexible})"),
                        method => format!("Reader::{method}"),
                    };
                    (size, element)
                }
                Type::Array(_) => unreachable!("the protocol has no arrays of arrays"),
            };
            format!("r.{prefix}array({flexible}, {size}, {element})?")
        }
    }
}

fn method(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Bool => "bool",
        Primitive::Int8 => "i8",
        Primitive::Int16 => "i16",
        Primitive::Uint16 => "u16",
        Primitive::Int32 => "i32",
        Primitive::Uint32 => "u32",
        Primitive::Int64 => "i64",
        Primitive::Float64 => "f64",
        Primitive::Uuid => "uuid",
        Primitive::String => "string",
        Primitive::Bytes => "bytes",
        Primitive::Records => "records",
    }
}

/// The least bytes an element of this struct takes in any of its versions: a lower bound, to judge array lengths by.
fn min_size(name: &str, file: &File) -> usize {
    let Some(s) = file.find(name) else { return 1 };
    let everywhere = s.fields.iter().filter(|field| field.versions == s.versions && field.tag.is_none());
    let fields: usize = everywhere
        .map(|field| match &field.ty {
            Type::Primitive(primitive) => primitive_size(*primitive, s, field),
            Type::Struct(_) if field.null.is_some() => 1,
            Type::Struct(name) => min_size(name, file),
            Type::Array(_) => length_size(s, field, 4),
        })
        .sum();
    let tag_count = usize::from(s.versions.first >= s.flexible);
    (fields + tag_count).max(1)
}

fn primitive_size(primitive: Primitive, s: &Struct, field: &Field) -> usize {
    match primitive {
        Primitive::Bool | Primitive::Int8 => 1,
        Primitive::Int16 | Primitive::Uint16 => 2,
        Primitive::Int32 | Primitive::Uint32 => 4,
        Primitive::Int64 | Primitive::Float64 => 8,
        Primitive::Uuid => 16,
        Primitive::String => length_size(s, field, 2),
        Primitive::Bytes | Primitive::Records => length_size(s, field, 4),
    }
}

/// A length prefix: one byte where a compact form is possible.
fn length_size(s: &Struct, field: &Field, fixed: usize) -> usize {
    if field.versions.last >= s.flexible { 1 } else { fixed }
}
