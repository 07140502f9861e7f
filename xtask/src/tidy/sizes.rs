use super::source::SourceFile;

/// No file longer than this, tests and generated code aside.
const FILE_LINES_MAX: usize = 800;
/// No function longer than this.
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions that have grown too long.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|f| !f.is_generated()) {
        if file.lines.len() > FILE_LINES_MAX {
            findings.push(format!("{}: {} lines, the most is {FILE_LINES_MAX}", file.path, file.lines.len()));
        }
        for (line, name, length) in functions(&file.lines) {
            if length > FUNCTION_LINES_MAX {
                findings.push(format!(
                    "{}:{line}: function {name} has {length} lines, the most is {FUNCTION_LINES_MAX}",
                    file.path
                ));
            }
        }
    }
    findings
}

/// Every function as (line from 1, name, lines from its `fn` to its closing brace), found by rustfmt's indentation.
fn functions(lines: &[String]) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
        if one_line {
            continue;
        }
        if let Some(offset) =
            lines[start..].iter().position(|l| l.starts_with(&closing) && l.trim_end().len() == closing.len())
        {
            found.push((start + 1, name.to_owned(), offset + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    while let Some(after) = ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "]
        .iter()
        .find_map(|word| rest.strip_prefix(word))
    {
        rest = after;
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    Some(&name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn measures_a_function_from_its_name_to_its_brace() {
        let text = "impl X {\n    pub async fn one(&self) {\n        a();\n        b();\n    }\n}\nfn two() {}\n";
        assert_eq!(functions(&lines(text)), [(2, "one".to_owned(), 4)]);
    }

    #[test]
    fn a_long_function_is_named() {
        let body = "    x();\n".repeat(80);
        let file = SourceFile::new("crates/a/src/b.rs".into(), &format!("fn long() {{\n{body}}}\n"));
        let findings = check(&[file]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("long") && findings[0].contains("82"), "{findings:?}");
    }
}
