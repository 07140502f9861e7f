mod cleaning;
mod cluster;
mod deleting;
mod faults;
mod full_disk;
mod opening;
mod replication;
