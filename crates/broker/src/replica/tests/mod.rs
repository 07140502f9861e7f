mod cleaning;
mod cluster;
mod faults;
mod full_disk;
mod replication;
