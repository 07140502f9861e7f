//! The log from outside, over a file system that forgets what was not synced.

mod cold_reads;
mod compaction;
mod crash;
mod crash_living;
mod damage;
mod deferring;
mod directory;
mod epochs;
mod flushing;
mod followers;
mod full_disk;
mod indexes;
mod life;
mod model;
mod no_room;
mod offline;
mod open_files;
mod opening;
mod producers;
mod real_files;
mod retention;
mod rig;
mod rolling;
mod tail_cache;
mod timestamps;
mod torn_tail;
