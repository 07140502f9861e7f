use super::*;

fn found(names: &[&str]) -> Vec<Found> {
    names.iter().zip(0..).map(|(name, offset)| at(0, offset, name)).collect()
}

fn at(partition: i32, offset: i64, name: &str) -> Found {
    Found { partition, offset, name: name.to_owned() }
}

fn history(names: &[&str]) -> History {
    let mut history = History::default();
    for name in names {
        history.ack(0, *name);
    }
    history
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn tells_lost_doubled_and_swapped_apart() {
    let mut history = history(&["a", "b"]);
    history.send(0, "unknown outcome");
    history.ack(0, "c");
    assert!(history.judge(&found(&["a", "b", "unknown outcome", "c"])).is_clean());
    let only = |lost: &[&str], duplicated: &[&str], out_of_order: &[&str]| {
        let (lost, duplicated, out_of_order) = (owned(lost), owned(duplicated), owned(out_of_order));
        Verdict { lost, duplicated, out_of_order, ..Verdict::default() }
    };
    assert_eq!(history.judge(&found(&["a", "c"])), only(&["b"], &[], &[]));
    assert_eq!(history.judge(&found(&["a", "b", "b", "c"])), only(&[], &["b"], &[]));
    assert_eq!(history.judge(&found(&["a", "b", "a", "b", "c"])), only(&[], &["a", "b"], &[]));
    assert_eq!(history.judge(&found(&["b", "a", "c"])), only(&[], &[], &["b"]));
    // The one that came too early is named, not those it overtook.
    assert_eq!(history.judge(&found(&["c", "a", "b"])), only(&[], &[], &["c"]));
}

#[test]
fn a_record_on_another_partition_is_lost_here_and_a_phantom_there() {
    let mut history = history(&["a"]);
    history.ack(1, "b");
    assert_eq!((history.len(), history.sent()), (2, 2));
    let verdict = history.judge(&found(&["a", "b"]));
    assert_eq!((&verdict.lost, &verdict.phantoms), (&owned(&["b"]), &owned(&["b"])));
    assert_eq!(verdict.to_string(), "1 lost [b], 0 duplicated [], 0 out of order [], 1 phantom [b]");
}

#[test]
fn a_record_beyond_the_end_of_the_log_is_unseen_one_before_it_lost() {
    let mut history = History::default();
    for (name, offset) in [("a", 0), ("b", 1), ("c", 2)] {
        history.send(0, name);
        history.settle(name, Outcome::Acked(Some(offset)));
    }
    let verdict = history.judge(&[at(0, 0, "a")]);
    assert_eq!((verdict.lost.len(), verdict.unseen), (0, owned(&["b", "c"])));
    let verdict = history.judge(&[at(0, 0, "a"), at(0, 2, "c")]);
    assert_eq!((verdict.lost, verdict.unseen.len()), (owned(&["b"]), 0));
}

#[test]
fn unknown_outcomes_are_counted_apart_and_refused_ones_must_not_be_there() {
    let mut history = history(&["a"]);
    history.send(0, "b");
    history.send(0, "c");
    history.send(0, "d");
    history.settle("d", Outcome::Refused);
    history.settle("never sent", Outcome::Refused);
    let there = found(&["a", "b"]);
    assert!(history.judge(&there).is_clean());
    assert_eq!(history.indeterminate(&there), Indeterminate { present: 1, absent: 1 });
    assert_eq!(history.judge(&found(&["a", "d"])).phantoms, owned(&["d"]));
    // An unknown outcome may turn out well, but only once.
    assert_eq!(history.judge(&found(&["a", "b", "b"])).duplicated, owned(&["b"]));
}

#[test]
fn one_offset_holds_one_record_whoever_says_so() {
    let mut history = History::default();
    history.send(0, "a");
    history.settle("a", Outcome::Acked(Some(1)));
    history.send(0, "b");
    let read = [at(0, 0, "a"), at(0, 1, "b")];
    assert_eq!(history.judge(&read).inconsistent_offsets, owned(&["0@1: b and a"]));
    let mut history = history_of_readers(&[at(0, 0, "b")]);
    history.send(0, "b");
    assert_eq!(history.judge(&[at(0, 0, "a")]).inconsistent_offsets, owned(&["0@0: a and b"]));
}

/// A history of one reading that was given these, after `a` and `b` were acked.
fn history_of_readers(given: &[Found]) -> History {
    let mut history = history(&["a", "b", "c"]);
    let floor = history.reads().floor();
    let reading = history.reads().begin(floor);
    for record in given {
        history.reads().give(reading, record.clone());
    }
    history
}

#[test]
fn polls_neither_go_back_nor_skip() {
    let log = found(&["a", "b", "c"]);
    assert!(history_of_readers(&log).judge(&log).is_clean());
    let back = history_of_readers(&[&log[..], &log[1..]].concat()).judge(&log);
    // Only the step back is wrong, not what follows it.
    assert_eq!(back, Verdict { nonmonotonic_polls: owned(&["b"]), ..Verdict::default() });
    let skip = history_of_readers(&[log[0].clone(), log[2].clone()]).judge(&log);
    assert_eq!((skip.skipped_polls, skip.unread), (owned(&["c"]), owned(&["b"])));
    // A hole in the log itself is nobody's skip.
    let holed = [at(0, 0, "a"), at(0, 5, "b"), at(0, 6, "c")];
    assert!(history_of_readers(&holed).judge(&holed).is_clean());
}

#[test]
fn a_new_owner_starts_at_or_after_what_was_committed() {
    let log = found(&["a", "b", "c"]);
    let mut history = history_of_readers(&log[..2]);
    history.reads().commit(0, 1);
    let floor = history.reads().floor();
    history.reads().commit(0, 2);
    let second = history.reads().begin(floor);
    history.reads().give(second, log[1].clone());
    history.reads().give(second, log[2].clone());
    assert!(history.reads().has_all(&log));
    assert!(history.judge(&log).is_clean(), "the second commit came after the new owner had asked");
    let floor = history.reads().floor();
    let third = history.reads().begin(floor);
    history.reads().give(third, log[1].clone());
    assert_eq!(history.judge(&log).regressed, owned(&["b"]));
}
