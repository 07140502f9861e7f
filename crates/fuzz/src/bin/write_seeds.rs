//! Writes every target's seeds into a corpus directory: `cargo run -p raftsman-fuzz --bin write_seeds -- fuzz/corpus`.

use std::path::PathBuf;
use std::process::ExitCode;

use raftsman_fuzz::TARGETS;

fn main() -> ExitCode {
    let Some(corpus) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: write_seeds <directory>");
        return ExitCode::FAILURE;
    };
    for target in TARGETS {
        let directory = corpus.join(target.name);
        if let Err(error) = write(&directory, &(target.seeds)()) {
            eprintln!("{}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(directory: &std::path::Path, seeds: &[Vec<u8>]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(directory.join(format!("seed-{number:04}")), seed)?;
    }
    Ok(())
}
