//! What a node is told: `server.properties` key for key, environment variables over it, `--override` over both.

mod endpoint;
mod environment;
mod error;
pub mod keys;
mod listeners;
pub mod properties;
mod quorum;
mod server_config;
mod settings;
mod source;
#[cfg(test)]
mod tests;

pub use endpoint::{Endpoint, VoterAddress, join_host_port, parse_host_port};
pub use error::ConfigError;
pub use listeners::{ListenerMap, SecurityProtocol};
pub use server_config::{DEFAULT_DATA_DIRECTORY, Roles, ServerConfig};
pub use settings::Settings;
pub use source::{Source, Warning};
