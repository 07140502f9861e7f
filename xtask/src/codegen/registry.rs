//! A table for the tests: reads and writes a message that is known by name only.

use std::collections::BTreeMap;

use super::NOTICE;
use super::schema::File;

pub fn source(schemas: &BTreeMap<String, File>) -> String {
    let mut arms = String::new();
    for (module, file) in schemas {
        for message in &file.messages {
            arms += &format!("\"{0}\" => recode::<messages::{module}::{0}>(body, version),\n", message.name);
        }
    }
    format!(
        "{NOTICE}//! Reads and writes a message that is known by name only.\n\n\
         use bytes::Bytes;\nuse raftsman_protocol::messages;\n\n\
         use super::{{Recoded, recode}};\n\n\
         /// Decodes `body` and encodes it again; `None` for a name that is no message.\n\
         pub fn recode_by_name(name: &str, body: Bytes, version: i16) -> Option<Recoded> {{\n\
         Some(match name {{\n{arms}_ => return None,\n}})\n}}\n"
    )
}
