//! `cargo xtask chaos`: real processes under faults, run after run. The engine is `tests/chaos`.

use std::process::Command;

use crate::root::root;

/// Each option and the variable that tells the campaign of it.
const OPTIONS: &[(&str, &str)] = &[
    ("--runs", "RAFTSMAN_CHAOS_RUNS"),
    ("--fault", "RAFTSMAN_CHAOS_FAULT"),
    ("--workload", "RAFTSMAN_CHAOS_WORKLOAD"),
    ("--seed", "RAFTSMAN_CHAOS_SEED"),
];

/// Runs the campaign, or with `--timings` the named figures.
///
/// # Errors
/// A run failed, an aim was missed, or an argument is unknown.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.current_dir(root()).args(["test", "--quiet", "--package", "raftsman-tests", "--test", "chaos", "--"]);
    let mut what = "campaign::campaign";
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--timings" {
            what = "timings::timings";
            continue;
        }
        let option = OPTIONS.iter().find(|(option, _)| option == argument);
        let (Some((_, variable)), Some(value)) = (option, arguments.next()) else {
            return Err(format!(
                "chaos: {argument:?}? expected [--runs N] [--fault F,…] [--workload W,…] [--seed S] or --timings [--runs N]"
            ));
        };
        command.env(variable, value);
    }
    let status = command
        .args(["--ignored", "--exact", "--nocapture", what])
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err("chaos: see above".to_owned()) }
}
