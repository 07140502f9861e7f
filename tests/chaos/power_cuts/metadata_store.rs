//! The controllers' store by itself, written as fast as it goes: the halves of each trial are processes of the controller
//! crate's own test program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use raftsman_testkit::power::{Shelf, freeze};
use raftsman_testkit::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{trial_count, turn};

const DISK_BYTES: u64 = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn metadata_store_loses_nothing() {
    let Some(_turn) = turn() else { return };
    let program = controller_test_program();
    let started = Instant::now();
    let trials = trial_count(10);
    let failed = |number| trial(&program, number).inspect_err(|_| println!("failed at trial {number}")).err();
    let failures: Vec<String> = (0..trials).filter_map(failed).collect();
    println!(
        "metadata store: {trials} power cuts in {:.0} s, {} failed",
        started.elapsed().as_secs_f64(),
        failures.len()
    );
    assert_eq!(failures, Vec::<String>::new());
}

/// One cut; an error is what the reading half found.
fn trial(program: &Path, number: usize) -> Result<(), String> {
    let shelf = Shelf::new();
    let mut disk = shelf.disk("metadata", DISK_BYTES);
    let acks = shelf.outside().join("acks");
    let mut random = StdRng::seed_from_u64(number as u64);
    let mut writer = half(program, "write", &disk.path().join("metadata"), &acks).spawn().expect("it can be started");
    let goal = random.random_range(1..600);
    let noted = || std::fs::read(&acks).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
    wait_until("acks of the metadata store", PATIENCE, || ended(&mut writer) || noted() >= goal);
    std::thread::park_timeout(Duration::from_micros(random.random_range(0..30_000)));
    let was_running = !ended(&mut writer);
    if was_running {
        freeze(writer.id());
    }
    disk.cut();
    writer.kill().expect("a child can be killed");
    let output = writer.wait_with_output().expect("a killed child can be waited for");
    if !was_running {
        return Err(format!("trial {number}: the writer ended: {}", String::from_utf8_lossy(&output.stdout)));
    }
    disk.power_on();
    let reader = half(program, "read", &disk.path().join("metadata"), &acks).output().expect("it can be started");
    let printed = String::from_utf8_lossy(&reader.stdout);
    let found = printed.lines().find_map(|line| line.find("acknowledged").map(|at| &line[at..]));
    match found.filter(|_| reader.status.success()) {
        Some(line) => println!("trial {number}: {line}"),
        None => return Err(format!("trial {number}: {printed}{}", String::from_utf8_lossy(&reader.stderr))),
    }
    Ok(())
}

fn ended(child: &mut Child) -> bool {
    child.try_wait().expect("a child can be asked").is_some()
}

fn half(program: &Path, role: &str, directory: &Path, acks: &Path) -> Command {
    let test = match role {
        "write" => "power_cut_writer",
        _ => "power_cut_reader",
    };
    let mut command = Command::new(program);
    command.args(["--ignored", "--nocapture", test]).env("RAFTSMAN_POWER_CUT_ROLE", role);
    command.env("RAFTSMAN_POWER_CUT_DIRECTORY", directory).env("RAFTSMAN_POWER_CUT_ACKS", acks);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The test program of the controller crate, built if need be.
fn controller_test_program() -> PathBuf {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["test", "--quiet", "--package", "raftsman-controller", "--lib", "--no-run", "--message-format=json"]);
    let built = cargo.stderr(Stdio::inherit()).output().expect("cargo can be started");
    assert!(built.status.success(), "building the controller's tests failed");
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let programs = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().expect("cargo names the test program it built")
}
