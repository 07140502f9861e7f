//! What the log costs, each figure beside what the same disk and memory did by themselves in the same run: absolute
//! speeds differ from machine to machine and from hour to hour, the ratios hardly.
//!
//! `cargo xtask bench log [--gigabytes N] [--directory D] [append|read|recovery|compaction]...`. Everything is written below
//! the directory (default `target/bench-log`, which should be on a real disk) and removed in the end.

mod append;
mod compaction;
mod limits;
mod meter;
mod read;
mod recovery;
mod rig;

use std::path::PathBuf;
use std::process::ExitCode;

use limits::Limits;

/// Any failure ends the program with its text.
pub type Failure = Box<dyn std::error::Error>;

struct Options {
    /// How much is recovered and read cold.
    gigabytes: u64,
    directory: PathBuf,
    parts: Vec<String>,
}

const PARTS: [&str; 4] = ["append", "read", "recovery", "compaction"];

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench log: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-log");
    let mut options = Options { gigabytes: 4, directory, parts: Vec::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo itself hands over.
            "--bench" => {}
            "--gigabytes" => options.gigabytes = arguments.next().ok_or("--gigabytes wants a number")?.parse()?,
            "--directory" => options.directory = arguments.next().ok_or("--directory wants a path")?.into(),
            part if PARTS.contains(&part) => options.parts.push(part.to_owned()),
            other => return Err(format!("{other} is none of --gigabytes, --directory, {}", PARTS.join(", ")).into()),
        }
    }
    if !(1..=12).contains(&options.gigabytes) {
        return Err("--gigabytes must be 1 to 12".into());
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), Failure> {
    if options.directory.exists() {
        std::fs::remove_dir_all(&options.directory)?;
    }
    std::fs::create_dir_all(&options.directory)?;
    let outcome = measure(options);
    std::fs::remove_dir_all(&options.directory)?;
    outcome
}

fn measure(options: &Options) -> Result<(), Failure> {
    let wanted = |part: &str| options.parts.is_empty() || options.parts.iter().any(|p| p == part);
    let limits = Limits::measure(&options.directory)?;
    limits.print();
    if wanted("append") {
        append::run(&options.directory, &limits)?;
    }
    if wanted("read") {
        read::tail(&options.directory)?;
    }
    if wanted("read") || wanted("recovery") {
        recovery::run(&options.directory, &limits, options.gigabytes, wanted("read"), wanted("recovery"))?;
    }
    if wanted("compaction") {
        compaction::run(&options.directory, &limits)?;
    }
    Ok(())
}
