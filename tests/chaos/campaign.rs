//! Many runs, one after the other: what `cargo xtask chaos` starts. Not part of the ordinary tests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use raftsman_testkit::skip;

use crate::fault::{FAULTS, Fault};
use crate::run::Run;
use crate::table::Table;
use crate::workload::WORKLOADS;

/// A number from the environment, or what it is without.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")),
        Err(_) => otherwise,
    }
}

/// The names that the environment chooses, or all.
fn chosen<T: Copy>(variable: &str, all: &[(&'static str, T)]) -> Vec<T> {
    let Ok(wanted) = std::env::var(variable) else { return all.iter().map(|(_, value)| *value).collect() };
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let find = |name: &str| all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let choose = |name: &str| find(name).unwrap_or_else(|| panic!("{name} is none of {}", names.join(", ")));
    wanted.split(',').map(choose).collect()
}

#[test]
#[ignore = "a campaign of many minutes: cargo xtask chaos"]
fn campaign() {
    let mut faults: Vec<Fault> = chosen("RAFTSMAN_CHAOS_FAULT", FAULTS);
    // Before the first run: where a skip is a failure, nobody waits an hour for it.
    faults.retain(|fault| match fault.what_is_missing() {
        None => true,
        Some(missing) => {
            skip(&format!("{} under every workload: {missing}", fault.name()));
            false
        }
    });
    let workloads: Vec<(&str, &str)> = WORKLOADS.iter().map(|name| (*name, *name)).collect();
    let workloads: Vec<&'static str> = chosen("RAFTSMAN_CHAOS_WORKLOAD", &workloads);
    let cells: Vec<(Fault, &'static str)> =
        faults.iter().flat_map(|fault| workloads.iter().map(|workload| (*fault, *workload))).collect();
    let runs = number("RAFTSMAN_CHAOS_RUNS", cells.len() as u64);
    let first_seed = number("RAFTSMAN_CHAOS_SEED", 1);
    let started = Instant::now();
    let mut table = Table::default();
    for (index, (fault, workload)) in (0..runs).zip(cells.into_iter().cycle()) {
        let run = Run { fault, workload, seed: first_seed + index };
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| run.execute())).unwrap_or_else(|panic| Err(words_of(&*panic)));
        let outcome = match &result {
            Ok(report) => {
                let story = report.story.join("; ");
                format!("ok, {} acked, waits {:?}: {story}", report.judgement.acked, report.waits)
            }
            Err(error) => format!("FAILED: {}", error.chars().take(400).collect::<String>()),
        };
        println!("{}/{runs} {} ({:.0?}): {outcome}", index + 1, run.command(), begun.elapsed());
        table.add(run, result);
    }
    println!("\n{}\n{} runs in {:.0?}", table.markdown(), table.len(), started.elapsed());
    assert!(table.len() > 0, "nothing could be run");
    let failures = table.failures();
    assert!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), table.len(), failures.join("\n"));
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked".to_owned())
}
