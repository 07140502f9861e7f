use raftsman_testkit::simulation::{Report, Scenario, run};

/// How many seeds this test goes through; `cargo xtask sim` goes through as many as it is told.
const SEEDS: u64 = 40;

fn check(seed: u64) -> Report {
    let report = run(&Scenario::from_seed(seed), false);
    if let Some(violation) = &report.violation {
        panic!("seed {seed}: {violation}\nreplay it with: cargo xtask sim --seed {seed} --trace");
    }
    report
}

#[test]
fn no_seed_breaks_a_rule() {
    let mut acked = 0;
    for seed in 0..SEEDS {
        acked += check(seed).acked;
    }
    assert!(acked > SEEDS * 10, "hardly anything was written: {acked} records");
}

#[test]
fn one_seed_run_twice_takes_the_same_course() {
    for seed in 1000..1006 {
        assert_eq!(check(seed), check(seed), "seed {seed}");
    }
}
