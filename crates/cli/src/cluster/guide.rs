//! What a started cluster tells its user.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::supervisor::RESTART_AFTER;

/// One node, as the user sees it.
#[derive(Debug)]
pub struct Shown {
    /// Its `node.id`.
    pub id: i32,
    /// Where clients reach it.
    pub address: String,
    /// Its process.
    pub process_id: Option<u32>,
}

/// What to type next. `program` is how the user calls this program.
pub fn text(program: &str, nodes: &[Shown], controller: i32, took: Duration, directory: &Path) -> String {
    let mut text = String::new();
    let width = nodes.iter().map(|node| node.address.len()).max().unwrap_or(0);
    let count = match nodes.len() {
        1 => "1 node is up".to_owned(),
        count => format!("{count} nodes are up"),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{count} after {:.1} s, with the data in {}\n", took.as_secs_f64(), directory.display());
    for node in nodes {
        let pid = node.process_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let role = if node.id == controller { "  (active controller)" } else { "" };
        let _ = writeln!(text, "  node {}  {:width$}  pid {pid}{role}", node.id, node.address);
    }
    let bootstrap = nodes.iter().map(|node| node.address.as_str()).collect::<Vec<_>>().join(",");
    let topics = format!("{program} kafka-topics --bootstrap-server {bootstrap}");
    let _ = write!(
        text,
        "\nIn another terminal:\n  \
         {topics} --create --topic orders --partitions 6\n  \
         seq 1000 | kcat -P -b {bootstrap} -t orders\n  \
         kcat -C -b {bootstrap} -t orders\n"
    );
    if let Some(node) = nodes.last().filter(|_| nodes.len() >= 3)
        && let Some(pid) = node.process_id
    {
        let _ = write!(
            text,
            "\nLose a node and see it go on:\n  \
             kill -9 {pid}\n  \
             {topics} --describe --topic orders\n\
             A node that ended is started again after {} s.\n",
            RESTART_AFTER.as_secs()
        );
    }
    let _ =
        write!(text, "\nEach node's log is node-N/raftsman.log in {}. Ctrl-C stops the cluster.", directory.display());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(count: i32) -> Vec<Shown> {
        (1..=count)
            .map(|id| Shown {
                id,
                address: format!("127.0.0.1:{}", 9091 + id),
                process_id: Some(4_710 + id.cast_unsigned()),
            })
            .collect()
    }

    #[test]
    fn says_where_the_nodes_are_and_what_to_type() {
        let text = text("raftsman", &shown(3), 2, Duration::from_millis(810), Path::new("./raftsman-data"));
        for words in [
            "3 nodes are up after 0.8 s",
            "node 2  127.0.0.1:9093  pid 4712  (active controller)",
            "raftsman kafka-topics --bootstrap-server 127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094 --create",
            "kcat -C -b 127.0.0.1:9092,",
            "kill -9 4713",
            "started again after 3 s",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
    }

    #[test]
    fn does_not_invite_to_kill_where_nothing_is_replicated() {
        let text = text("raftsman", &shown(1), 1, Duration::ZERO, Path::new("d"));
        assert!(text.starts_with("1 node is up") && !text.contains("kill -9"), "{text}");
    }
}
