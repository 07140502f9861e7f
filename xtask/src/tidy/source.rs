use std::io;
use std::path::{Path, PathBuf};

/// One Rust file of the project, with the lines that ship told from the lines of its tests.
pub struct SourceFile {
    /// Its path from the repository's root, with forward slashes.
    pub path: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// Whether the module that declares this file does so for tests alone.
    pub declared_for_tests: bool,
    /// The first line (from 0) of its inline `#[cfg(test)]` module; the number of lines if it has none.
    pub tests_from: usize,
}

impl SourceFile {
    /// Reads every `.rs` file below `crates/`, `tests/` and `xtask/`.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub fn load_all(root: &Path) -> io::Result<Vec<SourceFile>> {
        let mut paths = Vec::new();
        for top in ["crates", "tests", "xtask"] {
            collect(&root.join(top), &mut paths)?;
        }
        paths.sort();
        let mut files = paths
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path)?;
                let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                Ok(SourceFile::new(shown, &text))
            })
            .collect::<io::Result<Vec<SourceFile>>>()?;
        let for_tests: Vec<String> = files.iter().flat_map(SourceFile::test_modules).collect();
        for file in &mut files {
            file.declared_for_tests = for_tests
                .iter()
                .any(|module| file.path == format!("{module}.rs") || file.path.starts_with(&format!("{module}/")));
        }
        Ok(files)
    }

    /// A file of this path and text.
    pub fn new(path: String, text: &str) -> SourceFile {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let tests_from = (0..lines.len())
            .find(|&i| {
                lines[i].trim() == "#[cfg(test)]"
                    && lines.get(i + 1).is_some_and(|next| next.contains("mod ") && next.trim_end().ends_with('{'))
            })
            .unwrap_or(lines.len());
        SourceFile { path, lines, declared_for_tests: false, tests_from }
    }

    /// The modules that this file declares for tests alone, as paths without their ending.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "mod" | "lib" | "main")) => folder,
            _ => stem,
        };
        let declared = self.lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
        declared
            .filter_map(|pair| pair[1].trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name))
            .map(|name| format!("{folder}/{name}"))
            .collect()
    }

    /// Whether a program wrote this file.
    pub fn is_generated(&self) -> bool {
        self.path.contains("/generated/") || self.path.starts_with("crates/protocol/src/messages/")
    }

    /// Whether the whole file is test code.
    pub fn is_test(&self) -> bool {
        let in_folder = |folder: &str| self.path.starts_with(folder) || self.path.contains(&format!("/{folder}"));
        self.declared_for_tests
            || in_folder("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.starts_with("crates/testkit/")
    }

    /// The lines that ship, numbered from 1; none of a file that is all tests.
    pub fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let upto = if self.is_test() { 0 } else { self.tests_from };
        self.lines[..upto].iter().enumerate().map(|(i, line)| (i + 1, line.as_str()))
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden_or_built = path.file_name().is_some_and(|n| n == "target" || n.to_string_lossy().starts_with('.'));
        if hidden_or_built {
            continue;
        }
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_is_found_and_ends_nothing() {
        let text = "#[cfg(test)]\nmod store_tests;\nfn shipped() {}\n";
        let file = SourceFile::new("crates/a/src/raft/mod.rs".into(), text);
        assert_eq!(file.test_modules(), ["crates/a/src/raft/store_tests"]);
        assert_eq!(file.shipped_lines().count(), 3);
        let file = SourceFile::new("crates/a/src/leader.rs".into(), text);
        assert_eq!(file.test_modules(), ["crates/a/src/leader/store_tests"]);
    }
}
