//! Power cuts: disks that forget what was not synced, and the new boot id that a machine comes back with.

mod boot;
mod freeze;
mod loop_disk;
mod shelf;

pub use boot::Boot;
pub use freeze::freeze;
pub use loop_disk::LoopDisk;
pub use shelf::{Shelf, power_can_be_cut};
