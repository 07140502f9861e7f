//! What `GET /metrics` answers, in Prometheus' text format (0.0.4): all names and what they mean. Written by hand: it is little,
//! and the libraries for it bring an older `parking_lot` along.

use std::fmt::Write;

use raftsman_broker::replica::DirectoryState;

/// The content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a node does that is ready or not and has these log directories: none where it has no broker.
pub(crate) fn text(is_ready: bool, directories: &[DirectoryState]) -> String {
    let mut text = String::new();
    let ready = [(String::new(), u64::from(is_ready))];
    gauge(&mut text, "raftsman_node_ready", "1 once the node serves, 0 before.", ready);
    let of = |value: fn(&DirectoryState) -> Option<u64>| {
        directories.iter().filter_map(move |directory| Some((label(directory), value(directory)?)))
    };
    gauge(
        &mut text,
        "raftsman_log_directory_offline",
        "1 if the log directory has failed: none of its replicas is served.",
        of(|directory| Some(u64::from(directory.is_offline))),
    );
    gauge(
        &mut text,
        "raftsman_log_directory_full",
        "1 if its disk has no more room than log.dirs.reserved.bytes: Produce to the replicas in it is refused.",
        of(|directory| Some(u64::from(directory.is_full))),
    );
    gauge(
        &mut text,
        "raftsman_log_directory_free_bytes",
        "Bytes that were free on the log directory's disk at the last look.",
        of(|directory| directory.free_bytes),
    );
    text
}

/// One metric with a value for each set of labels.
fn gauge(text: &mut String, name: &str, help: &str, values: impl IntoIterator<Item = (String, u64)>) {
    // Writing to a string cannot fail.
    let _written = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (labels, value) in values {
        let _written = writeln!(text, "{name}{labels} {value}");
    }
}

fn label(directory: &DirectoryState) -> String {
    let path = directory.path.display().to_string();
    format!("{{directory=\"{}\"}}", path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_and_a_failed_directory_show() {
        let full = DirectoryState { path: "/data/a".into(), is_offline: false, is_full: true, free_bytes: Some(4_096) };
        let failed = DirectoryState { path: "/data/\"b".into(), is_offline: true, is_full: false, free_bytes: None };
        let text = text(true, &[full, failed]);
        for line in [
            "raftsman_node_ready 1",
            "raftsman_log_directory_full{directory=\"/data/a\"} 1",
            "raftsman_log_directory_full{directory=\"/data/\\\"b\"} 0",
            "raftsman_log_directory_offline{directory=\"/data/a\"} 0",
            "raftsman_log_directory_offline{directory=\"/data/\\\"b\"} 1",
            "raftsman_log_directory_free_bytes{directory=\"/data/a\"} 4096",
            "# TYPE raftsman_log_directory_full gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is missing in {text}");
        }
        assert!(!text.contains("free_bytes{directory=\"/data/\\\"b\"}"), "nobody looked there: {text}");
    }

    #[test]
    fn a_controller_has_no_log_directories() {
        let text = text(false, &[]);
        assert!(text.lines().any(|line| line == "raftsman_node_ready 0"), "{text}");
        assert!(!text.contains("{directory="), "{text}");
    }
}
