use std::sync::atomic::{AtomicU64, Ordering};

use raftsman_testkit::simulation::{Report, Scenario, run};

/// How many seeds this test goes through, on all processors; `cargo xtask sim` goes through as many as it is told.
const SEEDS: u64 = 500;

fn check(seed: u64) -> Report {
    let report = run(&Scenario::from_seed(seed), false);
    if let Some(violation) = &report.violation {
        panic!("seed {seed}: {violation}\nreplay it with: cargo xtask sim --seed {seed} --trace");
    }
    report
}

/// Each seed's run is its own, whichever thread it is on.
#[test]
fn no_seed_breaks_a_rule() {
    let (next, acked) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    acked.fetch_add(check(seed).acked, Ordering::Relaxed);
                }
            });
        }
    });
    let acked = acked.into_inner();
    assert!(acked > SEEDS * 10, "hardly anything was written: {acked} records");
}

#[test]
fn one_seed_run_twice_takes_the_same_course() {
    for seed in 1000..1006 {
        assert_eq!(check(seed), check(seed), "seed {seed}");
    }
}
