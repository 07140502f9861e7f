mod cleaning;
mod cluster;
mod cold_reads;
mod deleting;
mod faults;
mod full_disk;
mod opening;
mod replication;
