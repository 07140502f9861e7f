//! Disks that are slow, stall, fail and fill up, on one node of three, under load: clients go on elsewhere, and whatever
//! was acknowledged is there afterwards.

mod failing;
mod rig;
mod slow;
mod stalled;
