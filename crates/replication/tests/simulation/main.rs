//! Three replicas and a controller under a seeded scheduler: messages are lost, late and out of order between streams,
//! brokers crash and lose what their disks did not have, sessions end wrongly, metadata comes late. After each step
//! nothing that was committed may be lost anywhere.

mod broker;
mod controller;
mod log;
mod world;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn nothing_committed_is_ever_lost(seed: u64, min_insync in 1usize..=3) {
        world::World::new(seed, min_insync).run(3000);
    }
}

#[test]
fn one_seed_gives_the_same_run_twice() {
    let run = |seed| {
        let mut world = world::World::new(seed, 2);
        world.run(3000);
        world.summary()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// More seeds than the every-day run; `SIMULATION_SEEDS=<count>` says how many.
#[test]
fn many_seeds() {
    let count: u64 = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut committed = 0;
    for seed in 0..count {
        committed += one_of_many(seed);
    }
    assert!(committed > count * 20, "the runs do something: {committed} records in {count} runs");
}

/// Runs one seed, and names it if it fails.
fn one_of_many(seed: u64) -> u64 {
    let run = std::panic::catch_unwind(|| {
        let mut world = world::World::new(seed, 1 + (seed / 3 % 3) as usize);
        world.run(3000);
        world.committed()
    });
    run.unwrap_or_else(|panic| {
        eprintln!("failed at seed {seed}");
        std::panic::resume_unwind(panic)
    })
}
