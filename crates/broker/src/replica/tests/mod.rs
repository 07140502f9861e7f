mod cluster;
mod replication;
