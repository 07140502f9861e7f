//! Controllers with real sockets, threads and disks in one process. Everything waits on conditions.

#![allow(clippy::unwrap_used)]

mod brokers;
mod cluster;
mod failover;
mod formation;
mod strangers;
