//! `docker-compose up`, a topic with replication factor 3, `docker kill` of a node: the host's client goes on.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use raftsman_testkit::{History, Tools, wait_until};

use crate::clients::{install, python};
use crate::lost_node::{ProducerThroughAKill, RECORDS, read_all};

const PATIENCE: Duration = Duration::from_secs(120);
const BOOTSTRAP: &str = "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094";

/// The compose project while it is up; taken down with its volumes at the end.
struct Compose;

impl Compose {
    fn up() -> Compose {
        let compose = Compose;
        run(compose_command(&["up", "--detach"]));
        wait_until("three healthy containers", PATIENCE, || {
            (1..=3).all(|i| {
                output(docker(&["inspect", "--format", "{{.State.Health.Status}}", &container(i)])).trim() == "healthy"
            })
        });
        compose
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", output(compose_command(&["logs", "--tail", "40"])));
        }
        let _ = compose_command(&["down", "--volumes"]).status();
        let _ = Command::new("bash").arg(folder().join("tests/compat/install.sh")).arg("docker-stop").status();
    }
}

#[test]
fn a_killed_container_is_hardly_noticed() {
    if !install("python") || !install("docker") {
        return;
    }
    run(Command::new("bash").arg(folder().join("deploy/build-image.sh")));
    let _compose = Compose::up();
    let tools = Tools::at(BOOTSTRAP);

    let mut producer = python("confluent_produce.py");
    producer.args([BOOTSTRAP, "orders", &RECORDS.to_string()]);
    let mut killed = 0;
    let history: History = ProducerThroughAKill::start(producer).run(|| {
        let first = tools.describe("orders").expect("the topic can be described").remove(0);
        killed = first.leader.expect("partition 0 has a leader");
        run(docker(&["kill", &container(killed)]));
    });

    run(docker(&["start", &container(killed)]));
    wait_until("every replica to be in sync", PATIENCE, || {
        tools.describe("orders").is_ok_and(|described| described.iter().all(|p| p.isr.len() == 3))
    });
    let mut reader = python("confluent_consume.py");
    reader.args([BOOTSTRAP, "orders", "readers"]);
    let verdict = history.judge(&read_all(reader));
    assert!(verdict.is_clean(), "{verdict}");

    // A client inside the network, by the other listener.
    let inside = output(docker(&[
        "exec",
        &container(1),
        "/usr/local/bin/raftsman",
        "kafka-topics",
        "--bootstrap-server",
        "node2:19092",
        "--list",
    ]));
    assert!(inside.lines().any(|topic| topic == "orders"), "{inside}");
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// docker-compose 1.29 joins the names of project and service with `_`.
fn container(node: i32) -> String {
    format!("raftsman_node{node}_1")
}

fn compose_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker-compose");
    command.current_dir(folder()).args(["--project-name", "raftsman"]).args(arguments);
    command
}

fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments);
    command
}

fn run(mut command: impl std::borrow::BorrowMut<Command>) {
    let command = command.borrow_mut();
    let status = command.stdout(Stdio::null()).status().expect("the command can be started");
    assert!(status.success(), "{command:?} failed");
}

fn output(mut command: Command) -> String {
    let output = command.output().expect("the command can be started");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
