//! Values of records as Kafka's tool shows them: JSON with the fields in Kafka's order, spelled as Jackson does.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use raftsman_protocol::{DecodeError, Reader};
use raftsman_types::Uuid;

use super::schema::{Field, Schema, Type};

/// The least bytes an array's element is taken for: an array cannot be longer than what is left.
const ELEMENT_BYTES_MIN: usize = 1;

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(i64),
    Float(f64),
    Text(String),
    Bytes(Bytes),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// A field of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let Json::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        let Json::Object(fields) = self else { return None };
        fields.iter_mut().find(|(field, _)| *field == name).map(|(_, value)| value)
    }
}

impl Schema {
    /// Reads a key or value of this shape. Tagged fields that have their defaults are left out, as in Kafka.
    ///
    /// # Errors
    /// The bytes are of another shape, or of a version that Kafka does not have.
    pub fn read(&self, r: &mut Reader, version: i16) -> Result<Json, DecodeError> {
        if !self.versions.contain(version) {
            return Err(DecodeError::UnsupportedVersion { message: self.name, version });
        }
        fields(&self.fields, r, version, version >= self.flexible)
    }
}

fn fields(fields: &[Field], r: &mut Reader, version: i16, flexible: bool) -> Result<Json, DecodeError> {
    let present: Vec<&Field> = fields.iter().filter(|field| field.versions.contain(version)).collect();
    let mut values = vec![None; present.len()];
    for (field, value) in present.iter().zip(&mut values).filter(|(field, _)| field.tag.is_none()) {
        *value = Some(field.read(r, version, flexible)?);
    }
    for _ in 0..if flexible { r.tagged_field_count()? } else { 0 } {
        let (tag, end) = r.tagged_field()?;
        match present.iter().position(|field| field.tag == Some(tag)) {
            Some(i) => {
                let value = present[i].read(r, version, flexible)?;
                values[i] = (value != present[i].default(version)).then_some(value);
            }
            None => r.skip_tagged_field(end)?,
        }
        r.end_tagged_field(tag, end)?;
    }
    let named = present.iter().zip(values).filter_map(|(field, value)| Some((field.name, value?)));
    Ok(Json::Object(named.collect()))
}

impl Field {
    fn read(&self, r: &mut Reader, version: i16, flexible: bool) -> Result<Json, DecodeError> {
        let nullable = self.null.is_some_and(|versions| versions.contain(version));
        if let (Some(_), Type::Struct(of), true) = (self.tag, &self.ty, nullable) {
            // Marked in another way than one that is not tagged.
            return if r.uvarint()? == 0 { Ok(Json::Null) } else { fields(of, r, version, flexible) };
        }
        read(&self.ty, r, version, flexible, nullable)
    }

    /// What a tagged field that is not there stands for.
    fn default(&self, version: i16) -> Json {
        match (self.default, &self.ty) {
            (Some("null"), _) => Json::Null,
            (Some(number), Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Int64) => {
                Json::Number(number.parse().unwrap_or(0))
            }
            (text, Type::Text) => Json::Text(text.unwrap_or_default().to_owned()),
            (word, Type::Bool) => Json::Bool(word == Some("true")),
            (_, Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Int64) => Json::Number(0),
            (_, Type::Float64) => Json::Float(0.0),
            (_, Type::Uuid) => Json::Text(Uuid::ZERO.to_string()),
            (_, Type::Bytes) => Json::Bytes(Bytes::new()),
            (_, Type::Array(_)) => Json::List(Vec::new()),
            (_, Type::Struct(fields)) => {
                let present = fields.iter().filter(|field| field.versions.contain(version) && field.tag.is_none());
                Json::Object(present.map(|field| (field.name, field.default(version))).collect())
            }
        }
    }
}

fn read(ty: &Type, r: &mut Reader, version: i16, flexible: bool, nullable: bool) -> Result<Json, DecodeError> {
    Ok(match ty {
        Type::Bool => Json::Bool(r.bool()?),
        Type::Int8 => Json::Number(r.i8()?.into()),
        Type::Int16 => Json::Number(r.i16()?.into()),
        Type::Uint16 => Json::Number(r.u16()?.into()),
        Type::Int32 => Json::Number(r.i32()?.into()),
        Type::Int64 => Json::Number(r.i64()?),
        Type::Float64 => Json::Float(r.f64()?),
        Type::Uuid => Json::Text(r.uuid()?.to_string()),
        Type::Text if nullable => r.nullable_string(flexible)?.map_or(Json::Null, |text| Json::Text(text.to_string())),
        Type::Text => Json::Text(r.string(flexible)?.to_string()),
        Type::Bytes if nullable => r.nullable_bytes(flexible)?.map_or(Json::Null, Json::Bytes),
        Type::Bytes => Json::Bytes(r.bytes(flexible)?),
        Type::Array(element) => {
            let each = |r: &mut Reader| read(element, r, version, flexible, false);
            match nullable {
                true => r.nullable_array(flexible, ELEMENT_BYTES_MIN, each)?.map_or(Json::Null, Json::List),
                false => Json::List(r.array(flexible, ELEMENT_BYTES_MIN, each)?),
            }
        }
        Type::Struct(of) if nullable => r.nullable_struct(|r| fields(of, r, version, flexible))?.unwrap_or(Json::Null),
        Type::Struct(of) => fields(of, r, version, flexible)?,
    })
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(value) => write!(f, "{value}"),
            Json::Float(value) => float(f, *value),
            Json::Text(text) => quoted(f, text),
            Json::Bytes(bytes) => quoted(f, &STANDARD.encode(bytes)),
            Json::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Json::Object(fields) => {
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, r#"{}"{name}":{value}"#, if i == 0 { "" } else { "," })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// With Jackson's escapes, whose hexadecimal digits are large.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            '\u{8}' => f.write_str("\\b"),
            '\u{c}' => f.write_str("\\f"),
            '\0'..='\u{1f}' => write!(f, "\\u{:04X}", c as u32),
            _ => write!(f, "{c}"),
        }?;
    }
    f.write_str("\"")
}

/// As Java's `Double.toString`, with quotes around what JSON has no number for.
fn float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    match value.abs() {
        size if size.is_nan() => f.write_str("\"NaN\""),
        f64::INFINITY => write!(f, "\"{}Infinity\"", if value < 0.0 { "-" } else { "" }),
        size if size == 0.0 || (1e-3..1e7).contains(&size) => write!(f, "{value:?}"),
        _ => {
            let text = format!("{value:E}");
            let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
            write!(f, "{digits}{}E{exponent}", if digits.contains('.') { "" } else { ".0" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_jackson_does() {
        for (value, spelled) in [
            (Json::Text("a\"\\\n\u{1f}é/".to_owned()), "\"a\\\"\\\\\\n\\u001Fé/\""),
            (Json::Float(1.0), "1.0"),
            (Json::Float(-1234.5), "-1234.5"),
            (Json::Float(1e7), "1.0E7"),
            (Json::Float(1.5e-4), "1.5E-4"),
            (Json::Float(f64::NEG_INFINITY), "\"-Infinity\""),
            (Json::Bytes(Bytes::from_static(&[255, 254, 1, 2])), "\"//4BAg==\""),
            (
                Json::Object(vec![("b", Json::Null), ("a", Json::List(vec![Json::Number(1), Json::Bool(true)]))]),
                r#"{"b":null,"a":[1,true]}"#,
            ),
        ] {
            assert_eq!(value.to_string(), spelled);
        }
    }

    #[test]
    fn tagged_structs_and_plain_ones_say_in_their_own_ways_that_they_are_null() {
        let text = "value 0 ThingValue 0 0\n  plain Part null\n    id int8\n  tagged Part null tag=0\n    id int8\n";
        let schemas = crate::dump_log::schema::Schemas::parse(text).expect("a good schema");
        let shown = |bytes: &'static [u8]| {
            let read = schemas.values[&0].read(&mut Reader::new(Bytes::from_static(bytes)), 0);
            read.map(|json| json.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(shown(&[255, 1, 0, 1, 0]).as_deref(), Ok(r#"{"plain":null,"tagged":null}"#));
        // 7 with no tagged fields of its own; the other one is not there.
        assert_eq!(shown(&[1, 7, 0, 0]).as_deref(), Ok(r#"{"plain":{"id":7}}"#));
        assert_eq!(shown(&[255, 1, 0, 3, 1, 7, 0]).as_deref(), Ok(r#"{"plain":null,"tagged":{"id":7}}"#));
        assert!(shown(&[255, 1, 0, 3, 1, 7]).is_err(), "it ends within the struct");
    }
}
