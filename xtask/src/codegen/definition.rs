//! The structs: fields, their documentation and their defaults.

use super::schema::{Field, File, Message, Primitive, Struct, Type, Versions};

pub fn source(s: &Struct, file: &File) -> String {
    let derived = s.fields.iter().all(derived_default);
    let default = if derived { ", Default" } else { "" };
    let what = match file.messages.iter().find(|message| message.name == s.name) {
        Some(Message { key: Some(key), .. }) => format!("API {key}, {}.", range(s.versions)),
        Some(_) => format!("{}.", capitalized(&range(s.versions))),
        None => format!("Part of `{}`.", s.message),
    };
    let mut text = format!("/// {what}\n#[derive(Debug, Clone, PartialEq{default})]\npub struct {} {{\n", s.name);
    for field in &s.fields {
        text += &format!("/// {}\npub {}: {},\n", documentation(field), name(field), rust_type(field));
    }
    text += "}\n\n";
    if !derived {
        let values: String =
            s.fields.iter().map(|field| format!("{}: {},\n", name(field), default_value(field, file))).collect();
        text += &format!("impl Default for {} {{\nfn default() -> Self {{\nSelf {{\n{values}}}\n}}\n}}\n\n", s.name);
    }
    text
}

/// The field's name as a Rust identifier.
pub fn name(field: &Field) -> String {
    match field.name.as_str() {
        "type" | "match" | "ref" | "move" | "use" | "mod" => format!("r#{}", field.name),
        plain => plain.to_owned(),
    }
}

fn range(versions: Versions) -> String {
    if versions.first == versions.last {
        format!("version {}", versions.first)
    } else {
        format!("versions {}-{}", versions.first, versions.last)
    }
}

fn capitalized(text: &str) -> String {
    text.replacen('v', "V", 1)
}

fn documentation(field: &Field) -> String {
    let mut text = capitalized(&range(field.versions));
    if let Some(tag) = field.tag {
        text += &format!(", tag {tag}");
    }
    match field.null {
        Some(null) if null == field.versions => text += ", nullable",
        Some(null) => text += &format!(", nullable in {}", range(null)),
        None => {}
    }
    if let Some(default) = &field.default {
        text += &format!(", default {default}");
    }
    if field.ignorable {
        text += ", dropped in others";
    }
    text + "."
}

fn rust_type(field: &Field) -> String {
    let ty = plain_type(&field.ty);
    if field.null.is_some() { format!("Option<{ty}>") } else { ty }
}

fn plain_type(ty: &Type) -> String {
    match ty {
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", plain_type(element)),
        Type::Primitive(primitive) => match primitive {
            Primitive::Bool => "bool",
            Primitive::Int8 => "i8",
            Primitive::Int16 => "i16",
            Primitive::Uint16 => "u16",
            Primitive::Int32 => "i32",
            Primitive::Uint32 => "u32",
            Primitive::Int64 => "i64",
            Primitive::Float64 => "f64",
            Primitive::Uuid => "Uuid",
            Primitive::String => "Str",
            Primitive::Bytes => "Bytes",
            Primitive::Records => "Records",
        }
        .to_owned(),
    }
}

/// Whether `#[derive(Default)]` gives the schema's default: everything but numbers set apart and nullables that start empty.
fn derived_default(field: &Field) -> bool {
    match (&field.default, field.null) {
        (Some(default), _) => default == "null",
        (None, null) => null.is_none(),
    }
}

/// The schema's default, also what a version without the field decodes to.
pub fn default_value(field: &Field, file: &File) -> String {
    if field.default_is_null() {
        return "None".to_owned();
    }
    let plain = match (&field.ty, &field.default) {
        (Type::Primitive(primitive), Some(value)) => match (primitive, value.as_str()) {
            (Primitive::Int32, "2147483647") => "i32::MAX".to_owned(),
            (Primitive::Int32, "-2147483648") => "i32::MIN".to_owned(),
            (Primitive::Int64, "9223372036854775807") => "i64::MAX".to_owned(),
            (Primitive::String, text) => format!("Str::from({text:?})"),
            (_, number) => number.to_owned(),
        },
        (Type::Primitive(primitive), None) => match primitive {
            Primitive::Bool => "false".to_owned(),
            Primitive::Uuid => "Uuid::ZERO".to_owned(),
            Primitive::String => "Str::default()".to_owned(),
            Primitive::Bytes => "Bytes::new()".to_owned(),
            Primitive::Records => "Records::default()".to_owned(),
            Primitive::Float64 => "0.0".to_owned(),
            _ => "0".to_owned(),
        },
        (Type::Array(_), _) => "Vec::new()".to_owned(),
        (Type::Struct(name), _) => {
            debug_assert!(file.find(name).is_some(), "the parser checks that every struct has fields");
            format!("{name}::default()")
        }
    };
    if field.null.is_some() { format!("Some({plain})") } else { plain }
}
