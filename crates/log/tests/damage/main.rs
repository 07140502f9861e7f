//! What a log directory may do when its files are damaged: open with what can be believed, or refuse and say which file,
//! where and what to do. Never panic, never give out what nobody wrote, never lose silently what was flushed.
//!
//! Every file of a few small directories is cut, zeroed, flipped, swapped, doubled, emptied, removed and put back in an
//! older state, at each boundary of its structure and at every bit. The test takes a sample;
//! `RAFTSMAN_DAMAGE_STATES=all` takes all of them, and a number takes as many.

mod files;
mod harm;
mod judge;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::files::Files;
use self::harm::Harm;
use self::world::World;

/// How many states the test tries when nobody says.
const SAMPLE: usize = 2_000;
/// How many failures of a kind are told in full.
const TOLD: usize = 3;

#[derive(Debug, Default)]
struct Tally {
    states: usize,
    opened: usize,
    refused: usize,
    failures: Vec<String>,
    kinds: BTreeMap<String, usize>,
}

impl Tally {
    fn try_state(&mut self, world: &World, harm: &Harm, damaged: &Files) {
        self.states += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| judge::judge(world, damaged)));
        let what = match outcome {
            Ok(Ok(judge::Verdict::Opened)) => {
                self.opened += 1;
                return;
            }
            Ok(Ok(judge::Verdict::Refused)) => {
                self.refused += 1;
                return;
            }
            Ok(Err(what)) => what,
            Err(panic) => format!("panic: {}", panic_text(&*panic)),
        };
        let kind: String =
            format!("{}: {what}", harm.suffix()).chars().filter(|c| !c.is_ascii_digit()).take(90).collect();
        let seen = self.kinds.entry(kind).or_default();
        *seen += 1;
        if *seen <= TOLD {
            self.failures.push(format!("{}: {harm}: {what}", world.name));
        }
    }
}

fn panic_text(panic: &dyn std::any::Any) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Numbers that look random and are the same each time (SplitMix64).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn damaged_directories_never_lie() {
    let wanted = std::env::var("RAFTSMAN_DAMAGE_STATES").ok();
    let seed = std::env::var("RAFTSMAN_DAMAGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let worlds = World::all();
    let all: Vec<(&World, Harm)> =
        worlds.iter().flat_map(|world| harm::every(world, seed).into_iter().map(move |harm| (world, harm))).collect();
    let sample = match wanted.as_deref() {
        Some("all") => all.len(),
        Some(number) => number.parse().expect("RAFTSMAN_DAMAGE_STATES is a number or \"all\""),
        None => SAMPLE,
    };
    let step = (all.len() / sample.max(1)).max(1);
    let mut tally = Tally::default();
    for (i, group) in all.chunks(step).enumerate() {
        let (world, harm) = &group[(mix(seed ^ i as u64) % group.len() as u64) as usize];
        let Some(damaged) = harm.apply(&world.files, &world.older) else { continue };
        tally.try_state(world, harm, &damaged);
    }
    println!(
        "{} states of {}: {} opened, {} refused, {} failed (seed {seed})",
        tally.states,
        all.len(),
        tally.opened,
        tally.refused,
        tally.kinds.values().sum::<usize>()
    );
    assert!(
        tally.opened > tally.states / 10 && tally.refused > tally.states / 50,
        "the damage is one-sided: {tally:?}"
    );
    let kinds: String = tally.kinds.iter().map(|(kind, count)| format!("\n{count} {kind}")).collect();
    let told: String = tally.failures.iter().map(|failure| format!("\n{failure}")).collect();
    assert!(tally.failures.is_empty(), "of {} states{kinds}\n{told}", tally.states);
}

/// What nobody damaged is judged well: else the judge would prove nothing.
#[test]
fn undamaged_directories_open_as_they_were() {
    for world in World::all() {
        let verdict = judge::judge(&world, &world.files);
        assert_eq!(verdict, Ok(judge::Verdict::Opened), "{}", world.name);
    }
}

/// What the whole of the states found once: a sample seldom meets it.
#[test]
fn what_once_lied_does_so_no_longer() {
    // Whole batches from farther behind, where others were: a read began behind a gap that nothing had left.
    let moved = Harm::SwapBlocks { path: "t-0/00000000000000000000.log".into(), one: 108, other: 583, length: 462 };
    // An epoch that begins too early, below the recovery point: what it covers cannot be read, and nothing else is amiss.
    let too_early = Harm::Flip { path: "t-0/leader-epoch-checkpoint".into(), bit: 130 };
    let (mut tried, worlds) = (0, World::all());
    for (prefix, harm) in [("kept, ", moved), ("compacted, Killed", too_early)] {
        for world in worlds.iter().filter(|world| world.name.starts_with(prefix)) {
            let damaged = harm.apply(&world.files, &world.older).expect("the file is long enough");
            assert_eq!(judge::judge(world, &damaged), Ok(judge::Verdict::Opened), "{}: {harm}", world.name);
            tried += 1;
        }
    }
    assert_eq!(tried, 3);
}
