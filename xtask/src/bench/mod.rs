//! `cargo xtask bench`: a release build measured as its users meet it, by librdkafka.
//!
//! Everything runs on this machine, so clients and brokers share its cores: broker CPU per work done is the figure
//! to compare, throughput is secondary. Each figure is printed beside its aim.

mod failover;
mod footprint;
mod load;
mod process;
mod program;
mod startup;

use crate::root::{root, target};
use std::process::Command;

type Part = fn() -> Result<(), String>;

/// Measures what is named (`startup`, `footprint`, `load`, `failover`), or all of these. `log` and `replicas`, with
/// arguments of their own, stand alone: they need a crate only, not the whole binary.
///
/// # Errors
/// When something cannot be built, started or installed.
pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [first, rest @ ..] if first == "log" => return program::run("raftsman-log", "log", rest),
        [first, rest @ ..] if first == "replicas" => return program::run("raftsman-broker", "replicas", rest),
        _ => {}
    }
    let root = root();
    let built = Command::new("cargo")
        .current_dir(&root)
        .args(["build", "--release", "--package", "raftsman-cli"])
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !built.success() {
        return Err("the release build failed".into());
    }
    raftsman_testkit::use_raftsman_binary(target().join("release/raftsman"));

    let parts: [(&str, Part); 4] =
        [("startup", startup::run), ("footprint", footprint::run), ("load", load::run), ("failover", failover::run)];
    if let Some(unknown) = arguments.iter().find(|a| parts.iter().all(|(name, _)| name != a)) {
        return Err(format!("bench: {unknown} is none of log, replicas, startup, footprint, load, failover"));
    }
    for (name, part) in parts {
        if arguments.is_empty() || arguments.iter().any(|a| a == name) {
            println!("\n{name}");
            part()?;
        }
    }
    Ok(())
}

/// Prints a figure with its aim.
fn figure(what: &str, measured: String, aim: &str) {
    println!("  {what:<62} {measured:>22}   aim {aim}");
}

/// The middle of some measurements, and their extremes.
fn spread(mut values: Vec<f64>, unit: &str) -> String {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => "nothing".into(),
        values => {
            let median = values[values.len() / 2];
            format!("{median:.1} {unit} ({:.1}–{:.1})", values[0], values[values.len() - 1])
        }
    }
}
