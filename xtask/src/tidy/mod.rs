//! `cargo xtask tidy`: holds the crate arrows, the purity of the pure crates, the sizes, what may not stand in shipped code, and
//! that every known bug can still be planted.

mod arrows;
mod purity;
mod shipped;
mod sizes;
mod source;

use std::path::Path;
use std::process::ExitCode;

use source::SourceFile;

/// Runs every check and prints each finding on a line of its own.
pub fn run(root: &Path) -> ExitCode {
    let files = match SourceFile::load_all(root) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("tidy: cannot read the sources below {}: {error}", root.display());
            return ExitCode::FAILURE;
        }
    };
    let mut findings = arrows::check(root);
    findings.extend(purity::check(&files));
    findings.extend(sizes::check(&files));
    findings.extend(shipped::check(&files));
    // Here as well as among the tests: a changed comment is enough, and nobody runs all tests for one.
    findings.extend(crate::bugs::check().err());
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} findings", findings.len());
        ExitCode::FAILURE
    }
}
