//! The cluster's controller: decides metadata, agrees on it with its peers, and tells the brokers.

pub mod actor;
pub mod decide;
pub mod heartbeat;
