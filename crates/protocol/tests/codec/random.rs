//! Writes random bodies from the schema files: a second, independent encoder. What it writes is canonical (tagged
//! fields only when they differ from their defaults), so that decoding and encoding must give the same bytes.

use std::path::Path;
use std::sync::LazyLock;

use crate::schema::{Field, File, Primitive, Struct, Type, Versions};

/// All schema files.
pub static SCHEMAS: LazyLock<Vec<File>> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| File::parse(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
});

/// The file and the struct of a message.
pub fn find(name: &str) -> (&'static File, &'static Struct) {
    SCHEMAS.iter().find_map(|file| file.find(name).map(|s| (file, s))).unwrap_or_else(|| panic!("no schema for {name}"))
}

/// SplitMix64: the same seed gives the same messages on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Any number that no field has as its default: not 0, not -1, neither extreme.
    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = std::array::from_fn(|_| self.next() as u8);
        bytes[0] = [0x00, 0x11, 0xee][self.below(3) as usize];
        bytes[N - 1] = bytes[N - 1] & 0x7f | 0x02;
        bytes
    }
}

/// A random body of `message` in `version`. `nulls` says whether nullable fields may be null.
pub fn body(message: &str, version: i16, random: &mut Random, nulls: bool) -> Vec<u8> {
    let (file, s) = find(message);
    let mut body = Body { file, version, flexible: version >= s.flexible, random, nulls, bytes: Vec::new() };
    body.fields(s);
    body.bytes
}

struct Body<'a> {
    file: &'static File,
    version: i16,
    flexible: bool,
    random: &'a mut Random,
    nulls: bool,
    bytes: Vec<u8>,
}

impl Body<'_> {
    fn present(&self, versions: Versions) -> bool {
        (versions.first..=versions.last).contains(&self.version)
    }

    fn fields(&mut self, s: &'static Struct) {
        // A struct shared between messages is defined with the versions of the first.
        let whole = |field: &Field| field.versions == s.versions;
        let fields: Vec<&Field> = s.fields.iter().filter(|f| whole(f) || self.present(f.versions)).collect();
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            self.field(field, s);
        }
        if !self.flexible {
            return;
        }
        let tagged: Vec<(u32, &&Field)> = fields.iter().filter_map(|field| Some((field.tag?, field))).collect();
        let tagged: Vec<_> = tagged.into_iter().filter(|_| self.random.below(4) > 0).collect();
        self.uvarint(tagged.len() as u32);
        for (tag, field) in tagged {
            self.uvarint(tag);
            let outside = std::mem::take(&mut self.bytes);
            self.value(&field.ty, field.null.is_some(), true);
            let content = std::mem::replace(&mut self.bytes, outside);
            self.uvarint(content.len() as u32);
            self.bytes.extend(content);
        }
    }

    fn field(&mut self, field: &'static Field, s: &Struct) {
        let nullable = field.null.is_some_and(|null| null == s.versions || self.present(null));
        if nullable && self.nulls && self.random.below(3) == 0 {
            match (&field.ty, self.flexible) {
                (Type::Struct(_), _) => self.bytes.push(0xff),
                (_, true) => self.bytes.push(0),
                (Type::Primitive(Primitive::String), false) => self.bytes.extend([0xff; 2]),
                (_, false) => self.bytes.extend([0xff; 4]),
            }
        } else {
            self.value(&field.ty, nullable, false);
        }
    }

    /// A value that is not null, and not empty if `filled`.
    fn value(&mut self, ty: &'static Type, nullable: bool, filled: bool) {
        match ty {
            Type::Primitive(primitive) => self.primitive(*primitive, filled),
            Type::Struct(name) => {
                if nullable {
                    self.bytes.push(1);
                }
                self.fields(self.file.find(name).unwrap());
            }
            Type::Array(element) => {
                let count = self.random.below(3) + u64::from(filled);
                self.length(count as usize, 4);
                (0..count).for_each(|_| self.value(element, false, false));
            }
        }
    }

    fn primitive(&mut self, primitive: Primitive, filled: bool) {
        match primitive {
            Primitive::Bool => {
                let value = filled || self.random.below(2) == 0;
                self.bytes.push(u8::from(value));
            }
            Primitive::Int8 => self.number::<1>(),
            Primitive::Int16 | Primitive::Uint16 => self.number::<2>(),
            Primitive::Int32 | Primitive::Uint32 => self.number::<4>(),
            Primitive::Int64 | Primitive::Float64 => self.number::<8>(),
            Primitive::Uuid => self.number::<16>(),
            Primitive::String => {
                let text: String = (0..self.random.below(12) + u64::from(filled))
                    .map(|_| ['a', 'Z', '9', '-', 'ö', '漢', '🦀'][self.random.below(7) as usize])
                    .collect();
                self.length(text.len(), 2);
                self.bytes.extend(text.bytes());
            }
            Primitive::Bytes | Primitive::Records => {
                // Now and then long enough to be written by reference.
                let long = if self.random.below(4) == 0 { 3000 } else { 20 };
                let length = self.random.below(long) + u64::from(filled);
                self.length(length as usize, 4);
                for _ in 0..length {
                    self.bytes.push(self.random.next() as u8);
                }
            }
        }
    }

    fn number<const N: usize>(&mut self) {
        let bytes = self.random.number::<N>();
        self.bytes.extend(bytes);
    }

    fn length(&mut self, length: usize, fixed: usize) {
        match (self.flexible, fixed) {
            (true, _) => self.uvarint(length as u32 + 1),
            (false, 2) => self.bytes.extend((length as u16).to_be_bytes()),
            (false, _) => self.bytes.extend((length as u32).to_be_bytes()),
        }
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
