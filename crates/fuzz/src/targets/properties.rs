//! Everything a node is told: a `server.properties`, environment variables over it, overrides over both.

use raftsman_server::ServerConfig;
use raftsman_server::config::properties::{parse, properties};

use crate::input::{Input, piece};
use crate::memory::bounded;

/// The tables of keys and the settings of a node that was told nothing.
const BESIDE: usize = 256 << 10;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let text = String::from_utf8_lossy(input.piece()).into_owned();
    let variables: Vec<(String, String)> = pairs(&mut input, 4);
    // As a node reads it: one property at a time.
    let read = bounded(text.len(), 4 << 10, || properties(&text).try_for_each(|property| property.map(drop)));
    if let Err(error) = read {
        assert!(error.line <= text.len() + 1, "the line of an error is one of the file's");
        return;
    }
    let file = parse(&text).expect("it was read before");
    let mut overrides: Vec<(String, String)> = file.into_iter().map(|p| (p.key, p.value)).collect();
    overrides.extend(pairs(&mut input, 4));
    let length = data.len();
    match bounded(length, BESIDE, || ServerConfig::load(None, &overrides, variables.into_iter())) {
        Ok((config, warnings)) => {
            assert!(config.roles.broker || config.roles.controller, "a node is something");
            assert!(!config.directories().is_empty(), "a node keeps its data somewhere");
            // A warning is one line that can be shown.
            warnings.iter().for_each(|warning| drop(warning.to_string()));
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error says what is wrong"),
    }
}

fn pairs(input: &mut Input<'_>, at_most: usize) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (0..input.below(at_most + 1)).map(|_| (text(input.piece()), text(input.piece()))).collect()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let files = [
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\nadvertised.listeners=PLAINTEXT://host:9092\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs=/a,/b\n",
        "# comment\n! another\nnode.id : 7\nbroker.id=7\nlog.retention.hours = \\\n 168\nunknown\\u0041=x\n",
        "process.roles=broker\nnode.id=2\ncontroller.quorum.bootstrap.servers=[::1]:9093,c:1\n\
         controller.listener.names=C\nmax.connections.per.ip.overrides=127.0.0.1:5,host:6\n",
    ];
    let mut all = Vec::new();
    for file in files {
        let variable = [piece(b"KAFKA_NUM_PARTITIONS"), piece(b"3")].concat();
        let strong = [piece(b"KAFKA_CFG_LOG_DIRS"), piece(b"/c")].concat();
        let over = [piece(b"min.insync.replicas"), piece(b"2")].concat();
        all.push([&piece(file.as_bytes())[..], &[2], &variable, &strong, &[1], &over].concat());
    }
    all
}
