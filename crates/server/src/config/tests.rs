use std::path::{Path, PathBuf};

use super::*;

fn load(file: &str, overrides: &[&str], env: &[(&str, &str)]) -> Result<(ServerConfig, Vec<Warning>), ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.properties");
    std::fs::write(&path, file).unwrap();
    load_path(Some(&path), overrides, env)
}

fn load_path(
    path: Option<&Path>,
    overrides: &[&str],
    env: &[(&str, &str)],
) -> Result<(ServerConfig, Vec<Warning>), ConfigError> {
    let overrides: Vec<(String, String)> =
        overrides.iter().map(|text| text.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ServerConfig::load(path, &overrides, env)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn stock_files_start_a_node_unchanged() {
    for name in ["stock-3.9-kraft.properties", "stock-4.x.properties"] {
        let (config, warnings) = load_path(Some(&fixture(name)), &[], &[]).unwrap();
        assert_eq!(config.node_id, 1, "{name}");
        assert_eq!(config.voters, [VoterAddress { node_id: 1, host: "localhost".to_owned(), port: 9093 }], "{name}");
        assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kraft-combined-logs")], "{name}");
        assert_eq!(config.advertised("PLAINTEXT").unwrap().to_string(), "PLAINTEXT://localhost:9092", "{name}");
        assert_eq!(config.listeners.controller.as_ref().unwrap().to_string(), "CONTROLLER://:9093", "{name}");
        assert_eq!(config.offsets_topic_replication_factor, 1, "{name}");
        for warning in &warnings {
            assert!(matches!(warning, Warning::NoEffect { .. }), "{name}: {warning}");
        }
    }
}

#[test]
fn no_file_is_a_node_of_its_own() {
    let (config, warnings) = load_path(None, &[], &[]).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].to_string().contains("localhost"), "{warnings:?}");
    assert_eq!(config.roles, Roles { broker: true, controller: true });
    assert_eq!(config.directories(), [PathBuf::from(DEFAULT_DATA_DIRECTORY)]);
    assert_eq!(config.advertised("PLAINTEXT").unwrap().to_string(), "PLAINTEXT://localhost:9092");
    assert_eq!(config.voters.len(), 1);
    assert_eq!(config.offsets_topic_replication_factor, 1);
}

#[test]
fn each_layer_stands_over_the_one_before() {
    let file = "num.partitions=1\nnode.id=1\nlog.retention.ms=5";
    let partitions = |overrides: &[&str], env: &[(&str, &str)]| {
        load(file, overrides, env).unwrap().0.settings.get("num.partitions").map(str::to_owned)
    };
    assert_eq!(partitions(&[], &[]).as_deref(), Some("1"));
    assert_eq!(partitions(&[], &[("KAFKA_NUM_PARTITIONS", "2"), ("HOME", "/")]).as_deref(), Some("2"));
    let both = [("KAFKA_CFG_NUM_PARTITIONS", "3"), ("KAFKA_NUM_PARTITIONS", "2")];
    assert_eq!(partitions(&[], &both).as_deref(), Some("3"));
    assert_eq!(partitions(&["num.partitions=4"], &both).as_deref(), Some("4"));
}

#[test]
fn three_combined_nodes() {
    let voters = "controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093";
    let (config, _) = load(&format!("node.id=2\n{voters}\nadvertised.listeners=PLAINTEXT://b:9092"), &[], &[]).unwrap();
    assert_eq!(config.controller_endpoints().len(), 3);
    assert_eq!(config.offsets_topic_replication_factor, 3);
}

#[test]
fn inside_and_outside_listeners_as_in_compose() {
    let env = [
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@n1:9094,2@n2:9094,3@n3:9094"),
        ("KAFKA_LISTENERS", "INSIDE://:19092,OUTSIDE://0.0.0.0:9092,CONTROLLER://:9094"),
        ("KAFKA_ADVERTISED_LISTENERS", "INSIDE://n1:19092,OUTSIDE://127.0.0.1:9092"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "INSIDE"),
        ("KAFKA_HEAP_OPTS", "-Xmx1G"),
    ];
    let (config, _) = load_path(None, &[], &env).unwrap();
    assert_eq!(config.listeners.inter_broker, "INSIDE");
    let told: Vec<String> = config.listeners.advertised.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["INSIDE://n1:19092", "OUTSIDE://127.0.0.1:9092"]);
}

#[test]
fn roles_apart() {
    let voters = "controller.quorum.voters=1@c:9093";
    let (controller, _) =
        load(&format!("node.id=1\nprocess.roles=controller\nlisteners=CONTROLLER://:9093\n{voters}"), &[], &[])
            .unwrap();
    assert_eq!(controller.listeners.broker, []);
    assert_eq!(controller.directories().len(), 1);
    let (broker, _) = load(&format!("node.id=2\nprocess.roles=broker\n{voters}"), &[], &[]).unwrap();
    assert_eq!(broker.listeners.controller, None);
    assert_eq!(broker.listeners.broker[0].name, "PLAINTEXT");
    assert_eq!(broker.controller_endpoints(), [("c".to_owned(), 9093)]);
}

#[test]
fn warnings_name_the_key_and_where_it_stands() {
    let file = "node.id=1\nnum.partition=3\nconfluent.balancer=x\nnum.io.threads=9\nnum.network.threads=2\nbackground.threads=10";
    let (_, warnings) =
        load(file, &["advertised.listeners=PLAINTEXT://h:9092", "controller.quorum.voters=1@h:9093"], &[]).unwrap();
    let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let expected = [
        ["confluent.balancer", "server.properties:3", "ignored"],
        ["num.io.threads", "server.properties:4", "no effect"],
        ["num.partition ", "server.properties:2", "did you mean num.partitions?"],
    ];
    let effects: Vec<&String> = shown.iter().filter(|line| !line.contains("advertised.listeners")).collect();
    assert_eq!(effects.len(), expected.len(), "{shown:?}");
    for (line, parts) in effects.iter().zip(expected) {
        for part in parts {
            assert!(line.contains(part), "{line} should have {part}");
        }
    }
}

/// Every way to be wrong, with what the line has to say.
#[test]
fn every_error_names_key_value_and_what_is_allowed() {
    let voters = "controller.quorum.voters=1@a:9093,2@b:9093";
    let broker = "process.roles=broker\nnode.id=7\ncontroller.quorum.bootstrap.servers=c:9093\n";
    let cases: &[(String, &[&str])] = &[
        ("num.partitions=x".into(), &["num.partitions=x", ":1", "a whole number from 1 to 2147483647"]),
        ("num.partitions=0".into(), &["num.partitions=0", "from 1"]),
        ("auto.create.topics.enable=yes".into(), &["auto.create.topics.enable=yes", "true or false"]),
        ("log.durability=eventually".into(), &["log.durability=eventually", "flushed, written"]),
        ("process.roles=broker,zookeeper".into(), &["process.roles=broker,zookeeper", "broker, controller"]),
        ("log.cleaner.min.cleanable.ratio=2".into(), &["log.cleaner.min.cleanable.ratio=2", "a number from 0 to 1"]),
        ("node.id=-1".into(), &["node.id=-1", "from 0"]),
        ("broker.id=-2".into(), &["broker.id=-2", "0 or more"]),
        ("node.id=1\nbroker.id=2".into(), &["node.id and broker.id", "differ"]),
        (voters.into(), &["node.id is not set"]),
        (format!("node.id=3\n{voters}"), &["controller.quorum.voters", "node.id 3 in the list"]),
        ("node.id=1\ncontroller.quorum.voters=a:9093".into(), &["controller.quorum.voters=a:9093", "id@host:port"]),
        ("node.id=1\ncontroller.quorum.voters=1@a:1,1@b:1".into(), &["each id once", "1 stands twice"]),
        ("node.id=1\ncontroller.quorum.voters=1@a:1,2@a:1".into(), &["each address once", "a:1"]),
        ("node.id=1\ncontroller.quorum.bootstrap.servers=x".into(), &["controller.quorum.bootstrap.servers=x", "host:port"]),
        ("process.roles=broker\nnode.id=7".into(), &["controller.quorum.voters is not set", "bootstrap"]),
        (format!("{broker}{}", "controller.quorum.voters=7@c:1"), &["no node.id 7"]),
        ("listeners=9092".into(), &["listeners=9092", "NAME://host:port"]),
        ("listeners=PLAINTEXT://:9092".into(), &["listeners=", "CONTROLLER", "process.roles has controller"]),
        ("listeners=CONTROLLER://:9093".into(), &["listeners=", "a listener for clients"]),
        ("listeners=PLAINTEXT://:1,PLAINTEXT://:2,CONTROLLER://:3".into(), &["PLAINTEXT stands twice"]),
        ("listeners=PLAINTEXT://:1,CONTROLLER://:1".into(), &["each port once"]),
        (format!("{broker}listeners=PLAINTEXT://:1,CONTROLLER://:2"), &["no listener of controller.listener.names"]),
        ("process.roles=controller\nlisteners=PLAINTEXT://:1,CONTROLLER://:2".into(), &["process.roles has no broker"]),
        ("listeners=SSL://:1,CONTROLLER://:2".into(), &["SSL", "does not serve yet", "PLAINTEXT"]),
        ("listeners=OUT://:1,CONTROLLER://:2".into(), &["no security protocol", "OUT:PLAINTEXT"]),
        ("listener.security.protocol.map=PLAINTEXT".into(), &["listener.security.protocol.map=PLAINTEXT", "NAME:PROTOCOL"]),
        ("listener.security.protocol.map=PLAINTEXT:TCP".into(), &["listener.security.protocol.map=PLAINTEXT:TCP"]),
        ("inter.broker.listener.name=INSIDE".into(), &["inter.broker.listener.name=INSIDE", "PLAINTEXT"]),
        (
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT".into(),
            &["both set", "keep one"],
        ),
        ("listeners=PLAINTEXT://0.0.0.0:1,CONTROLLER://:2".into(), &["advertised.listeners is not set", "0.0.0.0"]),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:9092".into(), &["advertised.listeners=PLAINTEXT://0.0.0.0:9092", "all addresses"]),
        ("advertised.listeners=PLAINTEXT://:9092".into(), &["advertised.listeners=PLAINTEXT://:9092", "empty host"]),
        ("advertised.listeners=OUT://h:9092".into(), &["advertised.listeners=OUT://h:9092", "OUT does not"]),
        (
            "listeners=PLAINTEXT://:1,B://:2,CONTROLLER://:3\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             advertised.listeners=PLAINTEXT://h:1,B://h:1"
                .into(),
            &["PLAINTEXT and B share one"],
        ),
        ("log.dirs=,".into(), &["log.dirs=,", "at least one"]),
        ("log.dirs=/a,/b,/a".into(), &["log.dirs=/a,/b,/a", "/a stands twice"]),
        ("broker.session.timeout.ms=150".into(), &["broker.session.timeout.ms=150", "twice broker.heartbeat.interval.ms (200)"]),
        ("broker.heartbeat.interval.ms=0".into(), &["broker.heartbeat.interval.ms=0", "1 or more"]),
        ("health.listener=8080".into(), &["health.listener=8080", "host:port"]),
        ("a=\\uzzzz".into(), &["server.properties", "line 1", "hexadecimal"]),
    ];
    for (file, parts) in cases {
        let error = load(file, &[], &[]).expect_err(file).to_string();
        assert!(!error.contains('\n'), "{error}");
        for part in *parts {
            assert!(error.contains(part), "{file:?} gave {error:?}, which should have {part:?}");
        }
    }
    let error = load_path(Some(Path::new("no-such-file.properties")), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("cannot read no-such-file.properties"), "{error}");
    let error = load("", &["num.partitions=-1"], &[]).unwrap_err().to_string();
    assert!(error.contains("num.partitions=-1 (--override)"), "{error}");
    let error = load("", &[], &[("KAFKA_NUM_PARTITIONS", "a")]).unwrap_err().to_string();
    assert!(error.contains("environment variable KAFKA_NUM_PARTITIONS"), "{error}");
}
