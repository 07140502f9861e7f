//! Being part of the cluster: registration, the session with the active controller, and an orderly stop.

mod features;
mod identity;

pub use features::SUPPORTED_FEATURES;
pub use identity::BrokerIdentity;
