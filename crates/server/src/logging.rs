//! What goes to stderr: one line per event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts writing events to stderr. The filter is `level` (the command line's), else `RUST_LOG`, else `default`.
/// A second call changes nothing.
pub fn start(level: Option<&str>, default: &str) {
    let from_environment = std::env::var("RUST_LOG").ok();
    let wanted = level.or(from_environment.as_deref()).filter(|text| !text.is_empty()).unwrap_or(default);
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|error| {
        eprintln!("log level {wanted:?} is not understood ({error}): using {default}");
        EnvFilter::new(default)
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // An error means that a subscriber is there already, as in tests that start several nodes.
    let _ = subscriber.try_init();
}
