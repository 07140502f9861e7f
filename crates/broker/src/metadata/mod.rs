//! The cluster's metadata on a broker: where it comes from, the cache that handlers read, and who is told of changes.

mod cache;
mod controller_client;
mod controller_error;
mod controllers;
mod directories;
mod isr;
mod producer_ids;
mod publisher;
#[cfg(test)]
mod tests;
mod watch;

pub use cache::MetadataCache;
pub use controller_client::ControllerClient;
pub use controller_error::ControllerError;
pub(crate) use controllers::{AttemptError, Purpose, classify};
pub use producer_ids::ProducerIds;
pub use publisher::MetadataSubscriber;
pub(crate) use publisher::Publisher;
pub(crate) use watch::MetadataWatch;
