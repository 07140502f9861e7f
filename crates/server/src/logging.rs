//! What goes to stderr: one line per event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Libraries that speak much. openraft repeats every failed attempt to reach a peer; our own code says once that it is gone.
const TALKATIVE: [&str; 5] = ["sled", "h2", "hyper", "tower", "tonic"];

/// Starts writing events to stderr. The filter is `level` (the command line's), else `RUST_LOG`, else `default`.
/// A second call changes nothing.
pub fn start(level: Option<&str>, default: &str) {
    let from_environment = std::env::var("RUST_LOG").ok();
    let wanted = level.or(from_environment.as_deref()).filter(|text| !text.is_empty()).unwrap_or(default);
    let filter = EnvFilter::try_new(directives(wanted)).unwrap_or_else(|error| {
        eprintln!("log level {wanted:?} is not understood ({error}): using {default}");
        EnvFilter::new(directives(default))
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // An error means that a subscriber is there already, as in tests that start several nodes.
    let _ = subscriber.try_init();
}

/// A bare level quietens the talkative libraries; a filter with targets is taken as it is, and so is `trace`.
fn directives(wanted: &str) -> String {
    let (openraft, others) = match wanted.to_ascii_lowercase().as_str() {
        "off" | "error" | "warn" | "info" => ("off", "warn"),
        "debug" => ("warn", "info"),
        _ => return wanted.to_owned(),
    };
    // Never louder than asked for.
    let others =
        if wanted.eq_ignore_ascii_case("error") || wanted.eq_ignore_ascii_case("off") { wanted } else { others };
    TALKATIVE.iter().fold(format!("{wanted},openraft={openraft}"), |all, library| format!("{all},{library}={others}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_levels_quieten_libraries() {
        assert!(directives("info").starts_with("info,openraft=off,sled=warn"));
        assert!(directives("DEBUG").contains("openraft=warn,sled=info"));
        assert!(directives("error").contains("sled=error"));
        for verbatim in ["trace", "info,openraft=info", "raftsman_broker=debug"] {
            assert_eq!(directives(verbatim), verbatim);
        }
        for wanted in ["off", "error", "warn", "info", "debug"] {
            assert!(EnvFilter::try_new(directives(wanted)).is_ok());
        }
    }
}
