//! The shapes of Kafka's records: `schemas/*.txt`.
//!
//! ```text
//! value 1 OffsetCommitValue 0-4 4            what, its type's number, Kafka's name, versions, the first flexible one or none
//!   topicId uuid 4+ null=5+ tag=0 default=x  a field: name, type, versions, those in which it may be null, tag, default
//! ```
//! The fields are in Kafka's order, which is that of its JSON: tagged ones too, which stand last on the wire. Versions left out are
//! those of the struct, `null` alone is all of the field's. The fields of a struct are indented below the field.

use std::collections::BTreeMap;

/// From the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub fn contain(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    fn parse(text: &str, outer: Versions) -> Option<Versions> {
        if let Some(first) = text.strip_suffix('+') {
            return Some(Versions { first: first.parse().ok()?, last: outer.last });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(Versions { first: first.parse().ok()?, last: last.parse().ok()? })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Uuid,
    Text,
    Bytes,
    Array(Box<Type>),
    Struct(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub ty: Type,
    pub versions: Versions,
    pub null: Option<Versions>,
    pub tag: Option<u32>,
    /// As written; `None` is the type's own.
    pub default: Option<&'static str>,
}

/// What a record's key or value looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Kafka's name.
    pub name: &'static str,
    pub versions: Versions,
    /// The first version with compact encodings and tagged fields.
    pub flexible: i16,
    pub fields: Vec<Field>,
}

/// The schemas of one kind of log, by the number of their type.
#[derive(Debug, Default)]
pub struct Schemas {
    pub keys: BTreeMap<i16, Schema>,
    pub values: BTreeMap<i16, Schema>,
}

impl Schemas {
    /// Reads a file of `schemas`.
    ///
    /// # Errors
    /// The line that is none of a schema.
    pub fn parse(text: &'static str) -> Result<Schemas, String> {
        let mut schemas = Schemas::default();
        let mut lines = Lines { rest: text.lines().enumerate().peekable() };
        while let Some((number, line)) = lines.take(0) {
            let (is_key, id, schema) = lines.schema(line).ok_or_else(|| format!("line {number}: {line:?}"))?;
            let kind = if is_key { &mut schemas.keys } else { &mut schemas.values };
            kind.insert(id, schema);
        }
        match lines.rest.next() {
            None => Ok(schemas),
            Some((number, line)) => Err(format!("line {}: {line:?}", number + 1)),
        }
    }
}

struct Lines<I: Iterator<Item = (usize, &'static str)>> {
    rest: std::iter::Peekable<I>,
}

impl<I: Iterator<Item = (usize, &'static str)>> Lines<I> {
    /// The next line, if it is of this level.
    fn take(&mut self, level: usize) -> Option<(usize, &'static str)> {
        while self.rest.next_if(|(_, line)| line.is_empty() || line.starts_with('#')).is_some() {}
        let indent = |line: &str| line.len() - line.trim_start().len();
        let (number, line) = self.rest.next_if(|(_, line)| indent(line) == 2 * level)?;
        Some((number + 1, line))
    }

    fn schema(&mut self, line: &'static str) -> Option<(bool, i16, Schema)> {
        let words: Vec<&'static str> = line.split_whitespace().collect();
        let [kind @ ("key" | "value"), id, name, versions, flexible] = words[..] else { return None };
        let versions = Versions::parse(versions, Versions { first: 0, last: i16::MAX })?;
        let flexible = if flexible == "none" { i16::MAX } else { flexible.parse().ok()? };
        let fields = self.fields(1, versions)?;
        Some((kind == "key", id.parse().ok()?, Schema { name, versions, flexible, fields }))
    }

    fn fields(&mut self, level: usize, outer: Versions) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        while let Some((_, line)) = self.take(level) {
            let mut words = line.split_whitespace();
            let (name, ty) = (words.next()?, words.next()?);
            let (mut versions, mut null, mut tag, mut default) = (outer, None, None, None);
            for word in words {
                match (word, word.split_once('=')) {
                    ("null", _) => null = Some(versions),
                    (_, Some(("null", range))) => null = Some(Versions::parse(range, versions)?),
                    (_, Some(("tag", number))) => tag = Some(number.parse().ok()?),
                    (_, Some(("default", value))) => default = Some(value),
                    (range, _) => versions = Versions::parse(range, outer)?,
                }
            }
            let ty = self.ty(ty, level, versions)?;
            fields.push(Field { name, ty, versions, null, tag, default });
        }
        Some(fields)
    }

    fn ty(&mut self, name: &str, level: usize, versions: Versions) -> Option<Type> {
        Some(match name {
            "bool" => Type::Bool,
            "int8" => Type::Int8,
            "int16" => Type::Int16,
            "uint16" => Type::Uint16,
            "int32" => Type::Int32,
            "int64" => Type::Int64,
            "float64" => Type::Float64,
            "uuid" => Type::Uuid,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            _ => match name.strip_prefix("[]") {
                Some(element) => Type::Array(Box::new(self.ty(element, level, versions)?)),
                None => Type::Struct(self.fields(level + 1, versions).filter(|fields| !fields.is_empty())?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_all_that_is_said_of_them() {
        let text = "# Of a test.\n\nvalue 3 ThingValue 0-2 1\n  one int32 1+\n  parts []Part 1+ null=2+ tag=4 default=null\n    id uuid\n  last string 0-1 null\n";
        let schemas = Schemas::parse(text).expect("a good schema");
        let schema = &schemas.values[&3];
        assert_eq!((schema.name, schema.versions, schema.flexible), ("ThingValue", Versions { first: 0, last: 2 }, 1));
        let [one, parts, last] = &schema.fields[..] else { panic!("{:?}", schema.fields) };
        assert_eq!((one.versions, one.null), (Versions { first: 1, last: 2 }, None));
        assert_eq!(
            (parts.null, parts.tag, parts.default),
            (Some(Versions { first: 2, last: 2 }), Some(4), Some("null"))
        );
        let Type::Array(part) = &parts.ty else { panic!("{:?}", parts.ty) };
        assert!(matches!(&**part, Type::Struct(fields) if fields[0].ty == Type::Uuid));
        assert_eq!((last.versions, last.null), (Versions { first: 0, last: 1 }, Some(Versions { first: 0, last: 1 })));
    }

    #[test]
    fn what_is_no_schema_is_told_of_by_its_line() {
        for (text, line) in [
            ("thing 3 ThingValue 0 0\n", "line 1"),
            ("value 3 ThingValue 0 0\n  one int33\n", "line 1"),
            ("value 3 ThingValue 0 0\n    one int32\n", "line 2"),
        ] {
            assert!(Schemas::parse(text).is_err_and(|error| error.starts_with(line)), "{text}");
        }
    }
}
