//! Runs seeds of the simulation, as many as wanted: see `cargo xtask sim`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use raftsman_testkit::simulation::{Report, Scenario, run, shrink};

const USAGE: &str = "cargo xtask sim
  --seeds N [--from S] [--jobs J]   runs N seeds from S (0) on J threads (1)
      [--until-failure]             no more of them after the first that breaks a rule
  --seed X [--trace]                runs one seed; --trace prints what happens
  --scenario \"seed=X ...\" [--trace] runs a scenario as printed here
  --shrink X                        looks for a smaller scenario that breaks the same rule";

/// How many scenarios a shrink tries.
const SHRINK_RUNS: u32 = 300;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match chore(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn chore(arguments: &[String]) -> Result<bool, String> {
    let text = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let number = |name: &str| match text(name) {
        Some(value) => value.parse::<u64>().map(Some).map_err(|_| format!("{name} {value}: a number is wanted")),
        None => Ok(None),
    };
    let shows = arguments.iter().any(|argument| argument == "--trace");
    if let Some(scenario) = text("--scenario") {
        return Ok(one(&scenario.parse()?, shows));
    }
    if let Some(seed) = number("--seed")? {
        return Ok(one(&Scenario::from_seed(seed), shows));
    }
    if let Some(seed) = number("--shrink")? {
        let small = shrink(&Scenario::from_seed(seed), SHRINK_RUNS);
        println!("cargo xtask sim --scenario \"{small}\"");
        return Ok(one(&small, false));
    }
    let seeds = number("--seeds")?.ok_or("say which seeds")?;
    let stops = arguments.iter().any(|argument| argument == "--until-failure");
    Ok(many(number("--from")?.unwrap_or(0), seeds, number("--jobs")?.unwrap_or(1), stops))
}

fn one(scenario: &Scenario, shows: bool) -> bool {
    if shows {
        // What the shipped code says stands between what the simulation does.
        let level = tracing_subscriber::filter::LevelFilter::DEBUG;
        tracing_subscriber::fmt().without_time().with_ansi(false).with_max_level(level).init();
    }
    let report = run(scenario, shows);
    println!("{scenario}");
    let Report { trace_hash, events, faults, acked, read, violation } = report;
    println!("{events} events, {faults} faults, {acked} records acknowledged, {read} read, trace {trace_hash:016x}");
    if let Some(violation) = &violation {
        println!("{violation}");
    }
    violation.is_none()
}

fn many(from: u64, seeds: u64, jobs: u64, stops: bool) -> bool {
    let (next, failed, acked) = (AtomicU64::new(from), AtomicU64::new(0), AtomicU64::new(0));
    let (events, faults) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    // A panic is told as the rule it breaks.
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || stops && failed.load(Ordering::Relaxed) > 0 {
                        return;
                    }
                    let report = run(&Scenario::from_seed(seed), false);
                    acked.fetch_add(report.acked, Ordering::Relaxed);
                    events.fetch_add(report.events, Ordering::Relaxed);
                    faults.fetch_add(report.faults.into(), Ordering::Relaxed);
                    if let Some(violation) = report.violation {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: {violation}\n  replay: cargo xtask sim --seed {seed} --trace");
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!(
        "{seeds} seeds from {from}: {failed} broke a rule; {} events, {} faults, {} records acknowledged, {:.1} s",
        events.into_inner(),
        faults.into_inner(),
        acked.into_inner(),
        began.elapsed().as_secs_f64()
    );
    failed == 0
}
