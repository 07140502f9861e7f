use std::collections::BTreeMap;

use bytes::Bytes;
use raftsman_client::ProducerRecord;

use crate::failure::Failure;

/// From lines to records, by the properties of Kafka's `LineMessageReader`.
#[derive(Debug)]
pub struct LineReader {
    parse_key: bool,
    parse_headers: bool,
    ignore_error: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
    line_number: u64,
}

impl LineReader {
    /// A reader with these properties.
    ///
    /// # Errors
    /// A property nobody knows, a flag that is neither true nor false, or separators that cannot be told apart.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<LineReader, Failure> {
        let known = [
            "topic",
            "parse.key",
            "parse.headers",
            "ignore.error",
            "key.separator",
            "headers.delimiter",
            "headers.separator",
            "headers.key.separator",
            "null.marker",
        ];
        if let Some(unknown) = properties.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Failure::Usage(format!(
                "unknown property {unknown}: the line reader has {}",
                known[1..].join(", ")
            )));
        }
        let flag = |key: &str| match properties.get(key).map(|value| value.trim()) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Failure::Usage(format!("{key}={other} is not allowed: expected true or false"))),
        };
        let text = |key: &str, default: &str| properties.get(key).map_or(default, String::as_str).replace("\\t", "\t");
        let reader = LineReader {
            parse_key: flag("parse.key")?,
            parse_headers: flag("parse.headers")?,
            ignore_error: flag("ignore.error")?,
            key_separator: text("key.separator", "\t"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            null_marker: properties.get("null.marker").cloned(),
            line_number: 0,
        };
        if reader.headers_delimiter == reader.headers_separator {
            return Err(Failure::Usage("headers.delimiter and headers.separator may not be equal".to_owned()));
        }
        if reader.headers_separator == reader.headers_key_separator {
            return Err(Failure::Usage("headers.separator and headers.key.separator may not be equal".to_owned()));
        }
        Ok(reader)
    }

    /// The record of one line, with or without its line end. `None` for the empty rest of a file.
    ///
    /// # Errors
    /// A separator is missing, unless `ignore.error` is set: then the whole line is the value.
    pub fn parse(&mut self, line: &[u8]) -> Result<Option<ProducerRecord>, Failure> {
        self.line_number += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut record = ProducerRecord::default();
        let mut rest = line;
        if self.parse_headers {
            let Some(headers) = self.cut(&mut rest, &self.headers_delimiter, "headers delimiter", line)? else {
                return Ok(Some(self.whole(line)));
            };
            if !self.is_null(headers) {
                for header in split(headers, self.headers_separator.as_bytes()) {
                    let mut value = header;
                    let what = "header key separator";
                    let Some(key) = self.cut(&mut value, &self.headers_key_separator, what, line)? else {
                        return Ok(Some(self.whole(line)));
                    };
                    record.headers.push((String::from_utf8_lossy(key).into_owned(), self.nullable(value)));
                }
            }
        }
        if self.parse_key {
            let Some(key) = self.cut(&mut rest, &self.key_separator, "key separator", line)? else {
                return Ok(Some(self.whole(line)));
            };
            record.key = self.nullable(key);
        }
        record.value = self.nullable(rest);
        Ok(Some(record))
    }

    /// Cuts off what stands before a separator.
    fn cut<'a>(
        &self,
        rest: &mut &'a [u8],
        separator: &str,
        what: &str,
        line: &[u8],
    ) -> Result<Option<&'a [u8]>, Failure> {
        match find(rest, separator.as_bytes()) {
            Some(at) => {
                let (before, after) = (&rest[..at], &rest[at + separator.len()..]);
                *rest = after;
                Ok(Some(before))
            }
            None if self.ignore_error => Ok(None),
            None => Err(Failure::Said(format!(
                "No {what} found on line number {}: '{}'",
                self.line_number,
                String::from_utf8_lossy(line)
            ))),
        }
    }

    fn whole(&self, line: &[u8]) -> ProducerRecord {
        ProducerRecord { value: self.nullable(line), ..ProducerRecord::default() }
    }

    fn is_null(&self, bytes: &[u8]) -> bool {
        self.null_marker.as_ref().is_some_and(|marker| marker.as_bytes() == bytes)
    }

    fn nullable(&self, bytes: &[u8]) -> Option<Bytes> {
        (!self.is_null(bytes)).then(|| Bytes::copy_from_slice(bytes))
    }
}

fn find(bytes: &[u8], separator: &[u8]) -> Option<usize> {
    if separator.is_empty() {
        return None;
    }
    bytes.windows(separator.len()).position(|window| window == separator)
}

fn split<'a>(mut bytes: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, separator) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + separator.len()..];
    }
    parts.push(bytes);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> LineReader {
        let all = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LineReader::new(&all).unwrap()
    }

    fn text(bytes: &Option<Bytes>) -> Option<&str> {
        bytes.as_ref().map(|b| std::str::from_utf8(b).unwrap())
    }

    #[test]
    fn a_line_is_a_value() {
        let record = reader(&[]).parse(b"a\tb\r\n").unwrap().unwrap();
        assert_eq!((text(&record.key), text(&record.value)), (None, Some("a\tb")));
        assert_eq!(text(&reader(&[]).parse(b"\n").unwrap().unwrap().value), Some(""));
    }

    #[test]
    fn keys_headers_and_nulls() {
        let mut all = reader(&[("parse.key", "true"), ("parse.headers", "true"), ("null.marker", "NULL")]);
        let record = all.parse(b"h1:v1,h2:NULL\tk\tv\tw\n").unwrap().unwrap();
        assert_eq!((text(&record.key), text(&record.value)), (Some("k"), Some("v\tw")));
        assert_eq!(record.headers, [("h1".to_owned(), Some("v1".into())), ("h2".to_owned(), None)]);
        let record = all.parse(b"NULL\tNULL\tNULL").unwrap().unwrap();
        assert_eq!((text(&record.key), text(&record.value), record.headers.len()), (None, None, 0));
        let colon = reader(&[("parse.key", "true"), ("key.separator", ":")]).parse(b"k:v:w").unwrap().unwrap();
        assert_eq!((text(&colon.key), text(&colon.value)), (Some("k"), Some("v:w")));
    }

    #[test]
    fn a_missing_separator_names_its_line_or_is_ignored() {
        let mut strict = reader(&[("parse.key", "true")]);
        strict.parse(b"k\tv").unwrap();
        let error = strict.parse(b"novalue").unwrap_err().to_string();
        assert_eq!(error, "No key separator found on line number 2: 'novalue'");
        let record = reader(&[("parse.key", "true"), ("ignore.error", "true")]).parse(b"novalue").unwrap().unwrap();
        assert_eq!((text(&record.key), text(&record.value)), (None, Some("novalue")));
    }

    #[test]
    fn bad_properties_are_refused() {
        for (key, value) in
            [("parse.keys", "true"), ("parse.key", "yes"), ("headers.delimiter", ","), ("headers.separator", ":")]
        {
            let all = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert!(LineReader::new(&all).is_err(), "{key}");
        }
    }
}
