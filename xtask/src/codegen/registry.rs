//! A table of all messages for the protocol's tests.

use std::collections::BTreeMap;

use super::NOTICE;
use super::schema::File;

pub fn source(schemas: &BTreeMap<String, File>) -> String {
    let mut entries = String::new();
    for (module, file) in schemas {
        for message in &file.messages {
            entries += &format!("Entry::of::<{module}::{}>(),\n", message.name);
        }
    }
    format!(
        "{NOTICE}use raftsman_protocol::messages::*;\n\nuse super::entry::Entry;\n\n\
         /// Every message.\npub const ENTRIES: &[Entry] = &[\n{entries}];\n"
    )
}
