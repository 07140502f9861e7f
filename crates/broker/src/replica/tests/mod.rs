mod cluster;
mod faults;
mod replication;
