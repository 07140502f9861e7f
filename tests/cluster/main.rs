//! Clusters of real `raftsman` processes on loopback: hostile input, bad starts, killed nodes.

mod all_killed;
mod bad_input;
mod bad_start;
mod cluster_command;
mod command;
mod demo;
mod full_disk;
mod wire;
