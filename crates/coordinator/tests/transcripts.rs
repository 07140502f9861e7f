//! Each file under `transcripts/` is a story: commands, and after each what it led to (lines that start with `>`).
//! `UPDATE_TRANSCRIPTS=1` writes down what happens now; the difference is for review.

mod harness;

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::script::{Line, show, topic_id};
use harness::{Bench, Seen};
use raftsman_coordinator::{CoordinatorConfig, DeletedTopic};
use raftsman_types::ErrorCode;

#[test]
fn every_transcript_still_goes_as_it_went() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "the transcripts are missing");
    let mut changed = Vec::new();
    for file in files {
        let before = std::fs::read_to_string(&file).unwrap();
        let after = play(&before);
        if before != after {
            if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
                std::fs::write(&file, &after).unwrap();
            }
            changed.push(format!("{}:\n{after}", file.display()));
        }
    }
    let updates = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    assert!(updates || changed.is_empty(), "transcripts differ; now:\n{}", changed.join("\n"));
}

fn play(script: &str) -> String {
    let mut out = String::new();
    let mut bench = Bench::new(CoordinatorConfig::default());
    let mut requests = 0;
    for line in script.lines().filter(|line| !line.starts_with('>')) {
        let command = line.split('#').next().unwrap_or_default().trim();
        if command.is_empty() {
            out += &format!("{line}\n");
            continue;
        }
        let parsed = Line::parse(command);
        let seen = match parsed.request() {
            Some(request) => {
                requests += 1;
                out += &format!("{command}  # {requests}\n");
                let client = if parsed.text("client").is_some() { "other" } else { "c" };
                // The newest version of each API that needs nothing more said.
                let version = if parsed.verb == "sync" { 4 } else { 5 };
                bench.ask(parsed.number("v", version), client, &request).1
            }
            None => {
                out += &format!("{line}\n");
                run(&mut bench, &parsed, &mut out)
            }
        };
        tell(&seen, &mut out);
        assert_eq!(bench.replayed(), *bench.shard.state(), "after {line}");
    }
    out
}

fn run(bench: &mut Bench, line: &Line, out: &mut String) -> Vec<Seen> {
    match line.verb.as_str() {
        "config" => {
            let plain = CoordinatorConfig::default();
            let default_delay_ms = plain.initial_rebalance_delay.as_millis() as u64;
            *bench = Bench::new(CoordinatorConfig {
                initial_rebalance_delay: Duration::from_millis(line.number("initial-delay", default_delay_ms)),
                max_size: line.number("max-size", plain.max_size),
                max_record_bytes: line.number("max-record", plain.max_record_bytes),
                offset_metadata_max_bytes: line.number("max-metadata", plain.offset_metadata_max_bytes),
                ..plain
            });
            Vec::new()
        }
        "pass" => {
            let until = line.subject.parse().expect("milliseconds since the start");
            for (at, seen) in bench.pass_to(until) {
                if !seen.is_empty() {
                    out.push_str(&format!("> at {at}\n"));
                    tell(&seen, out);
                }
            }
            Vec::new()
        }
        "hold" => {
            bench.commits = false;
            Vec::new()
        }
        "settle" => bench.commit(),
        "refuse-next" => {
            bench.refuse_next = Some(code(&line.subject));
            Vec::new()
        }
        "abandon" => bench.abandon(code(&line.subject)),
        "reload" => {
            bench.reload();
            Vec::new()
        }
        "topic-deleted" => bench
            .delete_topics(&[DeletedTopic { name: line.subject.clone(), id: topic_id(line.number("topic-id", 0)) }]),
        unknown => panic!("{unknown} is no command"),
    }
}

fn code(name: &str) -> ErrorCode {
    *ErrorCode::ALL.iter().find(|error| error.name() == name).unwrap_or_else(|| panic!("{name} is no error code"))
}

fn tell(seen: &[Seen], out: &mut String) {
    for seen in seen {
        out.push_str(&format!("> {}\n", show(seen)));
    }
}
