//! Kafka's checkpoint text: a version line `0`, a line with the count, then a line per entry.

use std::fmt::Display;
use std::path::Path;

use crate::error::LogError;

/// The text of a checkpoint file.
pub(crate) fn format_checkpoint<T: Display>(lines: impl ExactSizeIterator<Item = T>) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

/// Reads a checkpoint file; `parse` turns one line's words into an entry, or `None` if it cannot.
pub(crate) fn parse_checkpoint<T>(
    path: &Path,
    bytes: &[u8],
    parse: impl Fn(&[&str]) -> Option<T>,
) -> Result<Vec<T>, LogError> {
    let malformed = |reason: String| LogError::MalformedFile { path: path.to_owned(), reason };
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not text".to_owned()))?;
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Err(malformed("its first line is not version 0".to_owned()));
    }
    let count: usize = lines
        .next()
        .and_then(|line| line.trim().parse().ok())
        .ok_or_else(|| malformed("its second line is not a count".to_owned()))?;
    let mut entries = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        entries.push(parse(&words).ok_or_else(|| malformed(format!("line {line:?} makes no sense")))?);
    }
    if entries.len() != count {
        return Err(malformed(format!("it has {} lines but says {count}", entries.len())));
    }
    Ok(entries)
}
