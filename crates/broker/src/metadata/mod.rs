//! The cluster's metadata on a broker: where it comes from, the cache that handlers read, and who is told of changes.

mod cache;
mod controller_client;
mod controller_error;
mod controller_link;
mod isr;
mod producer_ids;

pub use cache::MetadataCache;
pub use controller_client::ControllerClient;
pub use controller_error::ControllerError;
pub use isr::{IsrOutcome, IsrProposal};
pub use producer_ids::ProducerIds;
