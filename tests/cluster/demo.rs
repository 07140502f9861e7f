//! `raftsman demo`: it proves what it claims, and would notice if it were otherwise.

use std::process::Stdio;
use std::time::Duration;

use crate::command::RunningCommand;

/// Longer than the demo's own patience, so that it says itself what hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// Plays the demo; answers its exit code and everything it printed.
fn play(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut demo = RunningCommand::start(&[&["demo"], arguments].concat(), |command| {
        // Data that it leaves behind goes with the folder.
        command.env("TMPDIR", folder.path()).stdin(Stdio::null());
    });
    let code = demo.wait(PATIENCE).code();
    let left = std::fs::read_dir(folder.path()).expect("the folder is there").count();
    assert_eq!(left, usize::from(code != Some(0)), "data is left behind after failures only:\n{}", demo.output());
    (code, demo.output())
}

/// The four numbers of the table: acked, lost, duplicated, out of order.
fn numbers(printed: &str) -> Vec<usize> {
    let mut lines = printed.lines().skip_while(|line| !(line.contains("acked") && line.contains("out of order")));
    let row = lines.nth(1).unwrap_or_else(|| panic!("there is no table in\n{printed}"));
    row.split_whitespace().map(|number| number.replace(',', "").parse().expect("a number")).collect()
}

#[test]
fn three_kills_lose_nothing() {
    let (code, printed) = play(&["--kills", "3"]);
    assert_eq!(code, Some(0), "{printed}");
    let [acked, lost, duplicated, out_of_order] = numbers(&printed)[..] else { panic!("{printed}") };
    assert!(acked > 1_000, "{printed}");
    assert_eq!([lost, duplicated, out_of_order], [0, 0, 0], "{printed}");
    for kind in ["leads most partitions", "a follower", "the active controller"] {
        let row = printed.lines().find(|line| line.contains(kind) && line.ends_with("ms"));
        assert!(row.is_some(), "no kill of this kind in the table: {kind}\n{printed}");
    }
}

#[test]
fn a_batch_that_was_tampered_with_is_noticed() {
    for (how, fault, column) in [("drop", "lost", 1), ("repeat", "duplicated", 2), ("swap", "out of order", 3)] {
        let (code, printed) = play(&["--kills", "0", "--seconds", "1", "--tamper", how]);
        assert_eq!(code, Some(1), "{printed}");
        let found = numbers(&printed);
        for (number, place) in found.iter().zip(0..).skip(1) {
            assert_eq!(*number > 0, place == column, "{how}: {found:?}\n{printed}");
        }
        let conclusion = printed.lines().find(|line| line.starts_with("FAILED"));
        assert!(conclusion.is_some_and(|line| line.contains(fault)), "{printed}");
    }
}
