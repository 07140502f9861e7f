//! The bodies of `encode`.

use super::definition::name;
use super::schema::{Field, Primitive, Struct, Type, Versions};
use super::{condition, flexible, flexible_variable};

pub fn body(s: &Struct) -> String {
    let mut text = String::new();
    for field in &s.fields {
        if field.tag.is_some() {
            text += &refuse_where_absent(field, s);
        } else {
            text += &untagged(field, s);
        }
    }
    let tags = tagged(s);
    match flexible(s.versions, s.flexible) {
        "true" => text += &tags,
        "false" => {}
        flexible => text += &format!("if {flexible} {{\n{tags}}}\n"),
    }
    flexible_variable(s, &text) + &text + "Ok(())\n"
}

fn label(field: &Field, s: &Struct) -> String {
    format!("\"{}.{}\"", s.name, field.name)
}

fn refusal(field: &Field, s: &Struct) -> String {
    format!("return Err(EncodeError::UnsupportedField {{ field: {}, version }});\n", label(field, s))
}

/// For a tagged field that must not be lost: an error in versions without it.
fn refuse_where_absent(field: &Field, s: &Struct) -> String {
    match condition(field.versions, s.versions) {
        Some(present) if !field.ignorable => {
            format!("if {} && {} {{\n{}}}\n", negated(&present), differs(field), refusal(field, s))
        }
        _ => String::new(),
    }
}

fn negated(condition: &str) -> String {
    match (condition.strip_prefix("version >= "), condition.strip_prefix("version <= ")) {
        (Some(first), _) => format!("version < {first}"),
        (_, Some(last)) => format!("version > {last}"),
        _ => format!("!({condition})"),
    }
}

fn untagged(field: &Field, s: &Struct) -> String {
    let write = nullable_write(field, s);
    match condition(field.versions, s.versions) {
        None => write,
        Some(present) if field.ignorable => format!("if {present} {{\n{write}}}\n"),
        Some(present) => {
            format!("if {present} {{\n{write}}} else if {} {{\n{}}}\n", differs(field), refusal(field, s))
        }
    }
}

/// The count of the tagged fields that are there, then the fields.
fn tagged(s: &Struct) -> String {
    let flexible_versions = Versions { first: s.versions.first.max(s.flexible), last: s.versions.last };
    let fields: Vec<&Field> = s.fields.iter().filter(|field| field.tag.is_some()).collect();
    if fields.is_empty() {
        return "w.uvarint(0);\n".to_owned();
    }
    let present = |field: &Field| match condition(field.versions, flexible_versions) {
        Some(condition) => format!("{condition} && {}", differs(field)),
        None => differs(field),
    };
    let mut text: String =
        fields.iter().map(|field| format!("let has_{} = {};\n", field.name, present(field))).collect();
    let count: Vec<String> = fields.iter().map(|field| format!("u32::from(has_{})", field.name)).collect();
    text += &format!("w.uvarint({});\n", count.join(" + "));
    for field in fields {
        let tag = field.tag.unwrap_or_default();
        let write = as_result(&nullable_write(field, s));
        text += &format!("if has_{} {{\nw.tagged_field({tag}, |w| {write})?;\n}}\n", field.name);
    }
    text
}

/// A statement as the closure body that gives its result.
fn as_result(statement: &str) -> String {
    match statement.strip_suffix("?;\n") {
        Some(expression) if !expression.contains(";\n") => expression.to_owned(),
        _ => format!("{{\n{statement}Ok(())\n}}"),
    }
}

/// Whether the field has something else than its default.
fn differs(field: &Field) -> String {
    let place = format!("self.{}", name(field));
    if field.default_is_null() {
        return format!("{place}.is_some()");
    }
    if field.null.is_some() {
        return format!("!{place}.as_ref().is_some_and(|value| value.is_empty())");
    }
    match (&field.ty, field.default.as_deref()) {
        (Type::Primitive(Primitive::Bool), Some("true")) => format!("!{place}"),
        (Type::Primitive(Primitive::Bool), _) => place,
        (Type::Primitive(Primitive::Uuid), _) => format!("!{place}.is_zero()"),
        (Type::Primitive(Primitive::Int32), Some("2147483647")) => format!("{place} != i32::MAX"),
        (Type::Primitive(Primitive::Int32), Some("-2147483648")) => format!("{place} != i32::MIN"),
        (Type::Primitive(Primitive::Int64), Some("9223372036854775807")) => format!("{place} != i64::MAX"),
        (Type::Primitive(Primitive::String), Some(text)) => format!("{place}.as_str() != {text:?}"),
        (Type::Primitive(Primitive::String | Primitive::Bytes | Primitive::Records) | Type::Array(_), _) => {
            format!("!{place}.is_empty()")
        }
        (Type::Primitive(_), Some(number)) => format!("{place} != {number}"),
        (Type::Primitive(Primitive::Float64), None) => format!("{place} != 0.0"),
        (Type::Primitive(_), None) => format!("{place} != 0"),
        (Type::Struct(name), _) => format!("{place} != {name}::default()"),
    }
}

/// Writes the field in a version that has it.
fn nullable_write(field: &Field, s: &Struct) -> String {
    let place = format!("self.{}", name(field));
    let Some(null) = field.null else { return write(field, s, &place, false) };
    let by_reference = match field.ty {
        Type::Array(_) => format!("{place}.as_deref()"),
        _ => format!("{place}.as_ref()"),
    };
    let nullable = write(field, s, &by_reference, true);
    let Some(condition) = condition(null, field.versions) else { return nullable };
    let label = label(field, s);
    let required = write(field, s, "value", false);
    format!(
        "if {condition} {{\n{nullable}}} else {{\n\
         let value = {by_reference}.ok_or(EncodeError::Null {{ field: {label}, version }})?;\n{required}}}\n"
    )
}

fn write(field: &Field, s: &Struct, place: &str, nullable: bool) -> String {
    let prefix = if nullable { "nullable_" } else { "" };
    let flexible = if field.tag.is_some() { "true" } else { flexible(field.versions, s.flexible) };
    // `place` is already a reference where the field is nullable.
    let reference = if nullable || place == "value" { place.to_owned() } else { format!("&{place}") };
    match &field.ty {
        Type::Primitive(primitive) => match primitive {
            Primitive::String => format!("w.{prefix}string({reference}, {flexible})?;\n"),
            Primitive::Bytes => format!("w.{prefix}bytes({reference}, {flexible})?;\n"),
            Primitive::Records => format!("w.nullable_records({reference}, {flexible})?;\n"),
            primitive => format!("w.{}({place});\n", method(*primitive)),
        },
        Type::Struct(_) if nullable => format!("w.nullable_struct({place}, |w, value| value.encode(w, version))?;\n"),
        Type::Struct(_) => format!("{place}.encode(w, version)?;\n"),
        Type::Array(element) => {
            let element = match element.as_ref() {
                Type::Primitive(Primitive::String) => format!("|w, value| w.string(value, {flexible})"),
                Type::Primitive(Primitive::Bytes) => format!("|w, value| w.bytes(value, {flexible})"),
                Type::Primitive(primitive) => format!("|w, value| {{\nw.{}(*value);\nOk(())\n}}", method(*primitive)),
                _ => "|w, value| value.encode(w, version)".to_owned(),
            };
            format!("w.{prefix}array({reference}, {flexible}, {element})?;\n")
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
        Primitive::String | Primitive::Bytes | Primitive::Records => {
            unreachable!("strings, bytes and records are written by length")
        }
    }
}
