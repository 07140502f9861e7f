//! From a request to its answer: one file per Kafka API, one line in [`registry`] for each.
//!
//! A handler has four beats and no rule of its own: authorize, validate, delegate, respond.

mod close;
mod context;

pub use close::Close;
pub use context::{BrokerState, Context};
