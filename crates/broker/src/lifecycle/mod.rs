//! Being part of the cluster: registration, the session with the active controller, and an orderly stop.

mod identity;

pub use identity::BrokerIdentity;
