//! Power cuts under load, on ext4 on loop devices: whatever was acknowledged is there afterwards, and every node opens
//! again by itself. Needs root; where it is not, each test says so and skips, which with `CI=true` is a failure.
//!
//! `RAFTSMAN_POWER_CUT_TRIALS` sets how many trials each test makes (10 unless set), for a campaign; what the nodes of a
//! trial that found something printed and kept is copied to the folder `RAFTSMAN_POWER_CUT_EVIDENCE`:
//!
//! ```text
//! RAFTSMAN_POWER_CUT_TRIALS=200 cargo test -p raftsman-tests --test power_cuts -- --nocapture one_node
//! ```

mod leftovers;
mod living;
mod metadata_store;
mod rig;
mod trials;

use std::sync::{Mutex, MutexGuard, PoisonError};

use raftsman_testkit::{power, skip};

/// Trials cut the power at moments that depend on how fast things go: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The right to cut the power, or nothing where this process may not.
fn turn() -> Option<MutexGuard<'static, ()>> {
    if !power::power_can_be_cut() {
        skip("mounting file systems to cut their power needs root");
        return None;
    }
    Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))
}

/// How many trials a test makes: as many as it is told to, else `usually`.
fn trial_count(usually: usize) -> usize {
    match std::env::var("RAFTSMAN_POWER_CUT_TRIALS") {
        Ok(count) => count.parse().expect("RAFTSMAN_POWER_CUT_TRIALS is a number"),
        Err(_) => usually,
    }
}
