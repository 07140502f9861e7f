//! `cargo xtask codegen`: turns `crates/protocol/schema/*.txt` into `crates/protocol/src/messages/*.rs`.

mod decode;
mod definition;
mod encode;
mod registry;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schema::{File, Kind, Struct, Versions};

const NOTICE: &str =
    "// Written by `cargo xtask codegen` from crates/protocol/schema: change the schema, not this file.\n\n";

/// Writes the generated files, or with `--check` only compares them.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: cargo xtask codegen [--check]".to_owned()),
    };
    let protocol = crate::root::root().join("crates/protocol");
    let files = generate(&protocol)?;
    let mut stale = strays(&protocol.join("src/messages"), &files)?;
    if !check {
        for path in &stale {
            fs::remove_file(path).map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
        }
    }
    for (path, text) in &files {
        let formatted = rustfmt(text, &protocol).map_err(|e| format!("{}: {e}", path.display()))?;
        if fs::read_to_string(path).is_ok_and(|present| present == formatted) {
            continue;
        }
        if check {
            stale.push(path.clone());
        } else {
            fs::write(path, formatted).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
    }
    if check && !stale.is_empty() {
        let names: Vec<String> = stale.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("not what the schemas say; run `cargo xtask codegen`:\n  {}", names.join("\n  ")));
    }
    Ok(())
}

/// Generated files, by path, for all schema files.
fn generate(protocol: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
    let directory = protocol.join("schema");
    let entries = fs::read_dir(&directory).map_err(|e| format!("cannot list {}: {e}", directory.display()))?;
    let mut schemas = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|e| format!("cannot list {}: {e}", directory.display()))?.path();
        let Some(module) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let file = File::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        schemas.insert(module.to_owned(), file);
    }
    let messages = protocol.join("src/messages");
    let mut files: BTreeMap<PathBuf, String> =
        schemas.iter().map(|(name, file)| (messages.join(format!("{name}.rs")), module(file))).collect();
    files.insert(messages.join("mod.rs"), index(schemas.keys()));
    files.insert(protocol.join("tests/codec/registry.rs"), registry::source(&schemas));
    Ok(files)
}

/// Files of messages whose schema is gone.
fn strays(directory: &Path, files: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>, String> {
    let failed = |e| format!("cannot list {}: {e}", directory.display());
    let mut strays = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") && !files.contains_key(&path) {
            strays.push(path);
        }
    }
    Ok(strays)
}

fn index<'a>(modules: impl Iterator<Item = &'a String>) -> String {
    let list: String = modules.map(|module| format!("pub mod {module};\n")).collect();
    format!("{NOTICE}//! The messages: one module per API, with its request and its response.\n\n{list}")
}

fn module(file: &File) -> String {
    let body: String =
        file.structs.iter().map(|s| definition::source(s, file) + &conversion(s, file)).collect::<Vec<_>>().join("\n");
    let mut uses = String::new();
    if body.contains("Bytes") {
        uses += "use bytes::Bytes;\n";
    }
    if body.contains("Uuid") {
        uses += "use raftsman_types::Uuid;\n";
    }
    let mut names = vec!["DecodeError", "EncodeError", "Message", "Reader", "Writer"];
    let optional = [("ApiKey", "ApiKey::"), ("Request", "impl Request for"), ("Records", "<Records>"), ("Str", "Str")];
    names.extend(optional.iter().filter(|(name, mark)| word_in(&body, name, mark)).map(|(name, _)| *name));
    names.sort_unstable();
    format!(
        "{NOTICE}//! {}\n\n{uses}\nuse crate::message::{{check_decode_version, check_encode_version}};\nuse crate::{{{}}};\n\n{body}",
        file.comment,
        names.join(", ")
    )
}

/// Whether `mark` occurs in `body`, with `name` as a whole word.
fn word_in(body: &str, name: &str, mark: &str) -> bool {
    body.match_indices(mark).any(|(at, _)| {
        let start = at + mark.find(name).unwrap_or(0);
        let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        boundary(body[..start].chars().next_back()) && boundary(body[start + name.len()..].chars().next())
    })
}

/// Decoding and encoding: behind the trait for messages, inherent for their parts.
fn conversion(s: &Struct, file: &File) -> String {
    let (decode, encode) = (decode::body(s, file), encode::body(s));
    let name = &s.name;
    let (first, last) = (s.versions.first, s.versions.last);
    let Some(message) = file.messages.iter().find(|message| message.name == *name) else {
        return format!(
            "impl {name} {{\n\
             fn decode(r: &mut Reader, {version}: i16) -> Result<Self, DecodeError> {{\n{decode}}}\n\n\
             fn encode(&self, w: &mut Writer, {encode_version}: i16) -> Result<(), EncodeError> {{\n{encode}}}\n}}\n",
            version = used_version(&decode),
            encode_version = used_version(&encode),
        );
    };
    let mut text = format!(
        "impl Message for {name} {{\n\
         const NAME: &'static str = \"{name}\";\n\
         const VERSIONS: std::ops::RangeInclusive<i16> = {first}..={last};\n\n\
         fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {{\n\
         check_decode_version::<Self>(version)?;\n{decode}}}\n\n\
         fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {{\n\
         check_encode_version::<Self>(version)?;\n{encode}}}\n}}\n"
    );
    if message.kind == Kind::Request {
        let api = name.trim_end_matches("Request");
        let key = message.key.unwrap_or(-1);
        text += &format!(
            "\nconst _: () = assert!(ApiKey::{api} as i16 == {key});\n\nimpl Request for {name} {{\nconst KEY: ApiKey = ApiKey::{api};\ntype Response = {api}Response;\n}}\n"
        );
    }
    text
}

/// The parameter's name: with an underscore where the body does not use it.
fn used_version(body: &str) -> &'static str {
    if word_in(body, "version", "version") { "version" } else { "_version" }
}

/// The condition for `version`, known to be within `outer`, to be within `versions`; `None` is always.
fn condition(versions: Versions, outer: Versions) -> Option<String> {
    let (first, last) = (versions.first, versions.last);
    match (first > outer.first, last < outer.last) {
        (false, false) => None,
        (true, true) if first == last => Some(format!("version == {first}")),
        (true, false) => Some(format!("version >= {first}")),
        (false, true) => Some(format!("version <= {last}")),
        (true, true) => Some(format!("({first}..={last}).contains(&version)")),
    }
}

/// `flexible` in generated code: a constant where the versions decide it, or else the name of a variable.
fn flexible(versions: Versions, first_flexible: i16) -> &'static str {
    match () {
        () if versions.first >= first_flexible => "true",
        () if versions.last < first_flexible => "false",
        () => "flexible",
    }
}

/// Declares the variable where [`flexible`] names one and the code uses it.
fn flexible_variable(s: &Struct, body: &str) -> String {
    let needed = flexible(s.versions, s.flexible) == "flexible" && word_in(body, "flexible", "flexible");
    if needed { format!("let flexible = version >= {};\n", s.flexible) } else { String::new() }
}

fn rustfmt(text: &str, directory: &Path) -> Result<String, String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start rustfmt: {e}"))?;
    let mut input = child.stdin.take().ok_or("rustfmt has no standard input")?;
    let text = text.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(|e| format!("rustfmt: {e}"))?;
    // A rustfmt that stops reading says why on its standard error, which is the better message.
    let fed = feeder.join().map_err(|_| "feeding rustfmt failed")?;
    if !output.status.success() {
        return Err(format!("rustfmt: {}", String::from_utf8_lossy(&output.stderr)));
    }
    fed.map_err(|e| format!("feeding rustfmt failed: {e}"))?;
    String::from_utf8(output.stdout).map_err(|e| format!("rustfmt: {e}"))
}
