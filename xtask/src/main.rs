//! Repository chores: `cargo xtask <chore>`. Each chore is one module; this file only finds it.

mod bench;
mod bugs;
mod chaos;
mod codegen;
mod proto;
mod root;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

type Chore = fn(&[String]) -> ExitCode;

const CHORES: &[(&str, &str, Chore)] = &[
    (
        "codegen",
        "generate the Kafka messages from crates/protocol/schema (--check: only say whether they are up to date)",
        |a| report(codegen::run(a)),
    ),
    ("proto", "generate crates/rpc from proto/ (--check: only say whether it is up to date)", |a| {
        report(proto::run(a))
    }),
    ("test", "every test of the project, with all it needs built and installed first", |a| report(test::run(a))),
    (
        "bench",
        "start-up, footprint, broker CPU and failover of a release build under librdkafka; log, replicas: these alone",
        |a| report(bench::run(a)),
    ),
    (
        "chaos",
        "clusters of real processes under faults: [--runs N] [--fault F] [--workload W] [--seed S], or --timings",
        |a| report(chaos::run(a)),
    ),
    ("sim", "the simulator: --seeds N [--from S] [--jobs J], --seed X [--trace], --shrink X", |a| report(sim::run(a))),
    ("bugs", "plants known bugs, one after the other, and expects the tests to catch each ([name]..., --list)", |a| {
        report(bugs::run(a))
    }),
    (
        "tidy",
        "the crate arrows, purity, sizes, what may not stand in shipped code, and whether known bugs can be planted",
        |_| tidy::run(&root::root()),
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((_, _, chore)) = CHORES.iter().find(|(name, _, _)| arguments.first().is_some_and(|a| a == name)) else {
        eprintln!("cargo xtask <chore>, where a chore is one of:");
        for (name, purpose, _) in CHORES {
            eprintln!("  {name:<10} {purpose}");
        }
        return ExitCode::FAILURE;
    };
    chore(&arguments[1..])
}

fn report(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
