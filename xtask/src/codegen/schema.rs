//! The language of `crates/protocol/schema/*.txt`.
//!
//! ```text
//! # Comment; the file's first one becomes the module's documentation.
//! request XRequest key=3 versions=0-13 flexible=9+
//!   name type [versions] [null[=versions]] [tag=N] [default=V] [ignorable]
//! ```
//! `request`, `response` or `data` starts a message. Two spaces of indentation are one level: the fields below a
//! field of struct type are its struct's, given at the struct's first mention. A type is a primitive, a struct's name,
//! or either behind `[]`. Versions (`3+`, `0-12`, `1`) are the message's; left out, they are those of the enclosing struct.
//! The wire order is the order of the lines, tagged fields last by tag.
//!
//! The protocol's tests compile this file too, to write random messages without the generated code.

use std::collections::HashMap;

/// The versions from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    fn parse(text: &str, outer: Versions) -> Result<Versions, String> {
        let number = |text: &str| text.parse::<i16>().map_err(|_| format!("{text:?} is no version"));
        let versions = if let Some(first) = text.strip_suffix('+') {
            Versions { first: number(first)?, last: outer.last }
        } else if let Some((first, last)) = text.split_once('-') {
            Versions { first: number(first)?, last: number(last)? }
        } else {
            Versions { first: number(text)?, last: number(text)? }
        };
        let inside = versions.first >= outer.first && versions.last <= outer.last && versions.first <= versions.last;
        if inside { Ok(versions) } else { Err(format!("versions {text} are not within {outer:?}")) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primitive {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
}

impl Primitive {
    fn parse(text: &str) -> Option<Primitive> {
        Some(match text {
            "bool" => Primitive::Bool,
            "int8" => Primitive::Int8,
            "int16" => Primitive::Int16,
            "uint16" => Primitive::Uint16,
            "int32" => Primitive::Int32,
            "uint32" => Primitive::Uint32,
            "int64" => Primitive::Int64,
            "float64" => Primitive::Float64,
            "uuid" => Primitive::Uuid,
            "string" => Primitive::String,
            "bytes" => Primitive::Bytes,
            "records" => Primitive::Records,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Primitive(Primitive),
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> Type {
        match (text.strip_prefix("[]"), Primitive::parse(text)) {
            (Some(element), _) => Type::Array(Box::new(Type::parse(element))),
            (None, Some(primitive)) => Type::Primitive(primitive),
            (None, None) => Type::Struct(text.to_owned()),
        }
    }

    /// The struct the type is made of, if any.
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Type::Struct(name) => Some(name),
            Type::Array(element) => element.struct_name(),
            Type::Primitive(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    /// The versions in which null is allowed.
    pub null: Option<Versions>,
    pub tag: Option<u32>,
    /// As written; `None` is the type's own: zero, false, empty.
    pub default: Option<String>,
    pub ignorable: bool,
}

impl Field {
    pub fn default_is_null(&self) -> bool {
        self.default.as_deref() == Some("null")
    }
}

#[derive(Debug, Clone)]
pub struct Struct {
    pub name: String,
    /// The message it was first mentioned in.
    pub message: String,
    pub versions: Versions,
    /// The first version with compact encodings; beyond the last version when there is none.
    pub flexible: i16,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    Data,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub kind: Kind,
    pub key: Option<i16>,
    /// Of the same name in [`File::structs`].
    pub name: String,
}

#[derive(Debug, Default)]
pub struct File {
    pub comment: String,
    pub messages: Vec<Message>,
    /// The messages and their parts, in order of first mention.
    pub structs: Vec<Struct>,
}

impl File {
    pub fn find(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|s| s.name == name)
    }

    /// Reads a schema file; an error names the line.
    pub fn parse(text: &str) -> Result<File, String> {
        let mut parser = Parser::default();
        for (number, line) in text.lines().enumerate() {
            parser.line(line).map_err(|problem| format!("line {}: {problem}", number + 1))?;
        }
        let file = parser.file;
        let names: HashMap<&str, usize> = file.structs.iter().map(|s| (s.name.as_str(), s.fields.len())).collect();
        for field in file.structs.iter().flat_map(|s| &s.fields) {
            if let Some(name) = field.ty.struct_name()
                && names.get(name).is_none_or(|fields| *fields == 0)
            {
                return Err(format!("{name} is mentioned but has no fields"));
            }
        }
        Ok(file)
    }
}

#[derive(Default)]
struct Parser {
    file: File,
    /// Indices of the structs whose fields may come next, by level.
    open: Vec<usize>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix('#') {
            if self.file.comment.is_empty() {
                self.file.comment = comment.trim().to_owned();
            }
            return Ok(());
        }
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let words: Vec<&str> = content.split_whitespace().collect();
        match (words.is_empty(), indent) {
            (true, _) => Ok(()),
            (false, 0) => self.message(&words),
            (false, _) if indent % 2 == 1 => Err("the indentation is odd".to_owned()),
            (false, _) => self.field(indent / 2, &words),
        }
    }

    fn message(&mut self, words: &[&str]) -> Result<(), String> {
        let [kind, name, attributes @ ..] = words else { return Err("a message needs a kind and a name".to_owned()) };
        let kind = match *kind {
            "request" => Kind::Request,
            "response" => Kind::Response,
            "data" => Kind::Data,
            other => return Err(format!("{other:?} starts no message")),
        };
        let (mut key, mut versions, mut flexible) = (None, None, None);
        let any = Versions { first: 0, last: i16::MAX };
        for attribute in attributes {
            match attribute.split_once('=') {
                Some(("key", number)) => key = Some(number.parse().map_err(|_| format!("{number:?} is no key"))?),
                Some(("versions", range)) => versions = Some(Versions::parse(range, any)?),
                Some(("flexible", "none")) => flexible = Some(i16::MAX),
                Some(("flexible", range)) => flexible = Some(Versions::parse(range, any)?.first),
                _ => return Err(format!("{attribute:?} is no attribute of a message")),
            }
        }
        let (Some(versions), Some(flexible)) = (versions, flexible) else {
            return Err("a message needs versions and flexible".to_owned());
        };
        let name = (*name).to_owned();
        if self.file.find(&name).is_some() {
            return Err(format!("{name} is already taken"));
        }
        self.open = vec![self.file.structs.len()];
        self.file.structs.push(Struct {
            name: name.clone(),
            message: name.clone(),
            versions,
            flexible,
            fields: Vec::new(),
        });
        self.file.messages.push(Message { kind, key, name });
        Ok(())
    }

    fn field(&mut self, level: usize, words: &[&str]) -> Result<(), String> {
        let Some(&owner) = level.checked_sub(1).and_then(|level| self.open.get(level)) else {
            return Err("this field is below no struct".to_owned());
        };
        let [name, ty, attributes @ ..] = words else { return Err("a field needs a name and a type".to_owned()) };
        self.open.truncate(level);
        let outer = self.file.structs[owner].clone();
        let mut field = Field {
            name: (*name).to_owned(),
            ty: Type::parse(ty),
            versions: outer.versions,
            null: None,
            tag: None,
            default: None,
            ignorable: false,
        };
        for attribute in attributes {
            match (*attribute, attribute.split_once('=')) {
                ("ignorable", _) => field.ignorable = true,
                ("null", _) => field.null = Some(field.versions),
                (_, Some(("null", range))) => field.null = Some(Versions::parse(range, field.versions)?),
                (_, Some(("tag", tag))) => field.tag = Some(tag.parse().map_err(|_| format!("{tag:?} is no tag"))?),
                (_, Some(("default", value))) => field.default = Some(value.to_owned()),
                (range, None) => field.versions = Versions::parse(range, outer.versions)?,
                _ => return Err(format!("{attribute:?} is no attribute of a field")),
            }
        }
        self.check(&outer, &field)?;
        if let Some(name) = field.ty.struct_name() {
            let known = self.file.structs.iter().position(|s| s.name == name);
            if known.is_none() {
                self.open.push(self.file.structs.len());
                self.file.structs.push(Struct {
                    name: name.to_owned(),
                    message: outer.message.clone(),
                    versions: field.versions,
                    flexible: outer.flexible,
                    fields: Vec::new(),
                });
            }
        }
        self.file.structs[owner].fields.push(field);
        Ok(())
    }

    fn check(&self, outer: &Struct, field: &Field) -> Result<(), String> {
        let name = &field.name;
        if outer.fields.iter().any(|other| other.name == *name) {
            return Err(format!("{name} is there twice"));
        }
        if field.tag.is_some() && field.versions.first < outer.flexible {
            return Err(format!("{name} is tagged in a version without tags"));
        }
        let highest_tag = outer.fields.iter().filter_map(|other| other.tag).max();
        if field.tag <= highest_tag && highest_tag.is_some() {
            return Err(format!("{name} is out of order: tagged fields go last, by ascending tag"));
        }
        if field.default_is_null() && field.null.is_none() {
            return Err(format!("{name} is null by default but never nullable"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "request XRequest key=3 versions=0-4 flexible=2+\n";

    fn problem(fields: &str) -> String {
        File::parse(&format!("{HEAD}{fields}")).expect_err("the schema is wrong")
    }

    #[test]
    fn reads_nested_structs_and_attributes() {
        let fields =
            "  parts []Part 1+ null=2+ default=null ignorable\n    id int32 default=-1\n  last Part 3+ tag=0\n";
        let file = File::parse(&format!("# About.\n{HEAD}{fields}")).expect("a good schema");
        assert_eq!((file.comment.as_str(), file.structs.len()), ("About.", 2));
        let parts = &file.structs[0].fields[0];
        assert_eq!(parts.versions, Versions { first: 1, last: 4 });
        assert_eq!(parts.null, Some(Versions { first: 2, last: 4 }));
        assert!(parts.ignorable && parts.default_is_null());
        assert_eq!(file.find("Part").map(|part| part.versions.first), Some(1));
        assert_eq!(file.structs[0].fields[1].tag, Some(0));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(problem("  a int32 9+\n"), "line 2: versions 9+ are not within Versions { first: 0, last: 4 }");
        assert_eq!(problem("  a int32 1+ tag=0\n"), "line 2: a is tagged in a version without tags");
        assert_eq!(problem("  a int32\n  a int32\n"), "line 3: a is there twice");
        assert_eq!(problem("  a Part\n"), "Part is mentioned but has no fields");
        assert_eq!(problem("  a string default=null\n"), "line 2: a is null by default but never nullable");
        assert_eq!(problem("  a int32\n    b int32\n"), "line 3: this field is below no struct");
        assert_eq!(problem("  a int32 colour=1\n"), "line 2: \"colour=1\" is no attribute of a field");
    }
}
