use super::source::SourceFile;

/// What may not stand in code that ships, with the reason.
const FORBIDDEN: &[(&str, &str)] = &[
    ("todo!(", "finish it or leave it out"),
    ("unimplemented!(", "finish it or leave it out"),
    (".unwrap()", "handle the error, or say with expect() why it cannot happen"),
    ("dbg!(", "left from debugging"),
    ("thread::sleep(", "wait on a condition"),
];

/// On a line of shipped code: why it is right here all the same.
const REASON_GIVEN: &str = "// tidy:";

/// Stubs and shortcuts in shipped code.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|f| !f.is_generated() && !f.path.starts_with("xtask/")) {
        for (number, line) in file.shipped_lines().filter(|(_, line)| !line.contains(REASON_GIVEN)) {
            let code = line.split("//").next().unwrap_or_default();
            for (word, reason) in FORBIDDEN {
                if code.contains(word) {
                    findings.push(format!("{}:{number}: {word} in shipped code: {reason}", file.path));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_may_unwrap_and_shipped_code_may_not() {
        let text = "fn a() {\n    b.unwrap();\n}\n#[cfg(test)]\nmod tests {\n    fn c() { d.unwrap(); }\n}\n";
        let findings = check(&[SourceFile::new("crates/a/src/b.rs".into(), text)]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with("crates/a/src/b.rs:2:"));
        assert!(check(&[SourceFile::new("crates/a/tests/b.rs".into(), text)]).is_empty());
    }
}
