//! Java's `.properties` syntax, which `server.properties` is written in: comments with `#` or `!`, `=`, `:` or white
//! space between key and value, a backslash at the end of a line to go on in the next, and backslash escapes.

/// One `key = value` of a file, with the line (from 1) its key stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved, trailing white space cut as Kafka does.
    pub value: String,
    /// Where the key stands, counted from 1.
    pub line: usize,
}

/// A line that is no property.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits, got {found:?}; write a backslash as \\\\")]
pub struct PropertiesError {
    /// Where, counted from 1.
    pub line: usize,
    /// What stood there instead.
    pub found: String,
}

/// Reads a whole file. A key that stands twice is returned twice: the later one counts, as in Java.
///
/// # Errors
/// Only a broken `\uXXXX` escape is an error; Java's syntax takes everything else.
pub fn parse(text: &str) -> Result<Vec<Property>, PropertiesError> {
    properties(text).collect()
}

/// As [`parse`], but one property at a time: a file of many small lines takes many times its size once all of them are held.
pub fn properties(text: &str) -> impl Iterator<Item = Result<Property, PropertiesError>> {
    let mut lines = natural_lines(text).enumerate();
    std::iter::from_fn(move || {
        let is_said = |start: &str| !start.is_empty() && !start.starts_with(['#', '!']);
        let (index, start) = lines
            .by_ref()
            .map(|(index, line)| (index, line.trim_start_matches(BLANKS)))
            .find(|(_, start)| is_said(start))?;
        let mut logical = start.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        Some(property(&logical, index + 1))
    })
}

/// What a line says whose continuations are part of it.
fn property(logical: &str, line: usize) -> Result<Property, PropertiesError> {
    let (key, value) = split_key(logical);
    let value = unescape(value, line)?;
    Ok(Property { key: unescape(key, line)?, value: value.trim_end().to_owned(), line })
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// Lines ended by `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Cuts at the first unescaped separator: white space, `=` or `:`, with white space around the latter.
fn split_key(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            let separates = !escaped && (BLANKS.contains(c) || matches!(c, '=' | ':'));
            escaped = !escaped && *c == '\\';
            separates
        })
        .map_or(line.len(), |(at, _)| at);
    let rest = line[end..].trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANKS);
    (&line[..end], value)
}

fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    let mut plain = String::with_capacity(text.len());
    // Java writes characters beyond the first plane as two escapes; they come together here.
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let escape = if c == '\\' { rest.next() } else { None };
        if escape == Some('u') {
            let digits: String = rest.by_ref().take(4).collect();
            let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            match u16::from_str_radix(&digits, 16) {
                Ok(unit) if is_hex => units.push(unit),
                _ => return Err(PropertiesError { line, found: digits }),
            }
            continue;
        }
        flush_units(&mut units, &mut plain);
        match (c, escape) {
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some('f')) => plain.push('\u{c}'),
            ('\\', Some(other)) => plain.push(other),
            ('\\', None) => {}
            (other, _) => plain.push(other),
        }
    }
    flush_units(&mut units, &mut plain);
    Ok(plain)
}

fn flush_units(units: &mut Vec<u16>, plain: &mut String) {
    plain.push_str(&String::from_utf16_lossy(units));
    units.clear();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[test]
    fn every_shape_of_java_syntax() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            ("  a \t=  b  ", "a", "b"),
            ("a", "a", ""),
            ("a=", "a", ""),
            ("a==b", "a", "=b"),
            ("a = : b", "a", ": b"),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b c", "a b", "c"),
            ("a=b\\\n   c", "a", "bc"),
            ("a=b\\\\\nc=d", "a", "b\\"),
            ("a=\\u0041\\t\\q", "a", "A\tq"),
            ("a=\\ud83d\\ude00", "a", "😀"),
            ("a=b\\", "a", "b"),
            ("a=x # no comment", "a", "x # no comment"),
            ("# comment \\\na=b", "a", "b"),
            ("! comment\r\n\r\na=b\r\n", "a", "b"),
        ] {
            assert_eq!(pairs(text)[0], (key.to_owned(), value.to_owned()), "{text:?}");
        }
        assert_eq!(pairs("# only\n\n   \n! comments"), []);
    }

    #[test]
    fn the_line_is_where_the_key_stands() {
        let properties = parse("# one\na=b\\\n c\n\nd=e").unwrap();
        assert_eq!(properties.iter().map(|p| p.line).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn a_broken_unicode_escape_names_its_line() {
        let error = parse("a=b\nc=\\u12").unwrap_err();
        assert_eq!(error, PropertiesError { line: 2, found: "12".to_owned() });
        assert!(parse("a=\\u+123").is_err());
    }

    fn escape(text: &str, key: bool) -> String {
        let mut out = String::new();
        for (i, c) in text.chars().enumerate() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{c}' => out.push_str("\\f"),
                ' ' if key || i == 0 => out.push_str("\\ "),
                '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
                c if c.is_ascii() => out.push(c),
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(key in "\\PC{1,12}", value in "(\\PC|[\n\t\r]){0,20}") {
            let read = pairs(&format!("{}={}", escape(&key, true), escape(&value, false)));
            prop_assert_eq!(read, vec![(key, value.trim_end().to_owned())]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\\\u=:#! \n\r]){0,80}") {
            if let Ok(properties) = parse(&text) {
                prop_assert!(properties.len() <= text.lines().count() + text.matches('\r').count() + 1);
            }
        }
    }
}
