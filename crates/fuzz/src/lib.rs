//! What a fuzzer throws bytes at: one function per target, each with the rules that no bytes may break, and the seeds
//! it starts from. `fuzz/` runs them under libFuzzer, the test of this crate runs the seeds and simple mutations of
//! them without it.
//!
//! A target fails by a panic: one in the code it drives, a broken rule of its own, or [`memory::bounded`], which holds
//! every decode to a multiple of the bytes it was given.

pub mod input;
pub mod memory;
pub mod seeds;
mod targets;

pub use targets::{TARGETS, Target};

/// Gives an input to the target of this name.
///
/// # Panics
/// If there is none, and as the target does.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the name of a target");
    (target.run)(data);
}
