//! Clusters of real `raftsman` processes on loopback: how they form, hostile input, bad starts, killed nodes, failed and lost disks.

mod all_killed;
mod bad_input;
mod bad_start;
mod cluster_command;
mod command;
mod demo;
mod failed_directories;
mod formation;
mod full_disk;
mod identity;
mod nodes;
mod wiped;
mod wire;
