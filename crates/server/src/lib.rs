//! The node role of the binary: configuration, data directories, signals, and the start of broker and controller.

pub mod config;

pub use config::{ConfigError, ServerConfig, Warning};
