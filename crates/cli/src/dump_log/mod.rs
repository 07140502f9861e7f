//! `raftsman dump-log`: shows the files of a log, in the words of Kafka's DumpLogSegments (kafka-dump-log.sh).
//!
//! Reading order: `arguments` (the flags), then one module for each kind of file: `segment` and `segment_file` (.log and
//! .checkpoint; `legacy` for formats from before Kafka 0.11), `indexes` (.index, .timeindex), `small_files` (.txnindex, .snapshot,
//! leader-epoch-checkpoint). `decoder` chooses how records are made readable: `coordinator_records` and `metadata_records` go by the
//! shapes that `schema` reads and make `json` of them.

mod arguments;
mod coordinator_records;
mod decoder;
mod findings;
mod indexes;
mod json;
mod legacy;
mod metadata_records;
mod schema;
mod segment;
mod segment_file;
mod small_files;
#[cfg(test)]
mod tests;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

pub use arguments::DumpLogArguments;
use decoder::Decoder;
use findings::Findings;

use crate::failure::Failure;

/// Dumps each file in turn, then says on standard error what does not fit together, which is no failure, as in Kafka.
///
/// # Errors
/// A file cannot be read, or is so damaged that reading on makes no sense. What stands before that is printed.
pub fn run(arguments: &DumpLogArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    let decoder = Decoder::chosen(arguments)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut findings = Findings::default();
    let dumped =
        arguments.files().try_for_each(|file| dump(Path::new(file), arguments, &decoder, &mut out, &mut findings));
    out.flush().map_err(Failure::system("cannot write to standard output"))?;
    dumped?;
    for line in findings.lines() {
        eprintln!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

fn dump(
    path: &Path,
    arguments: &DumpLogArguments,
    decoder: &Decoder,
    out: &mut impl Write,
    findings: &mut Findings,
) -> Result<(), Failure> {
    say(out, format_args!("Dumping {}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let suffix = name.rfind('.').map_or("", |at| &name[at..]);
    match suffix {
        ".log" | ".checkpoint" => segment::dump(path, arguments, decoder, out, findings),
        ".index" => indexes::dump_offset_index(path, arguments, out, findings),
        ".timeindex" => indexes::dump_time_index(path, arguments, out, findings),
        ".txnindex" => small_files::dump_transaction_index(path, out),
        ".snapshot" => small_files::dump_producer_snapshot(path, out),
        _ if name == "leader-epoch-checkpoint" => small_files::dump_leader_epochs(path, out),
        _ => {
            eprintln!("Ignoring unknown file {}", path.display());
            Ok(())
        }
    }
}

/// Prints a line.
fn say(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    writeln!(out, "{line}").map_err(Failure::system("cannot write to standard output"))
}

/// A small file's bytes.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(Failure::system(format!("cannot read {}", path.display())))
}

/// The offset a file is named after.
fn base_offset(path: &Path) -> Result<i64, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let said = || Failure::Said(format!("{}: its name does not begin with an offset", path.display()));
    stem.parse().map_err(|_| said())
}
