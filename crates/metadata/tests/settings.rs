//! Settings: values, layers, and what holds in the end.

use std::sync::Arc;

use raftsman_metadata::{
    BrokerConfigScope, ConfigResource, ConfigSource, Durability, DynamicBrokerConfig, MetadataImage, MetadataRecord,
    PartitionImage, Settings, StaticSettings, ThrottledSide, TimestampType, TopicConfig, TopicImage,
};
use raftsman_types::{BrokerId, DirectoryId, TopicId, Uuid};

fn set(image: &mut MetadataImage, resource: ConfigResource, key: &str, value: &str) {
    image.replay_record(&MetadataRecord::SetConfig { resource, key: key.into(), value: Some(value.into()) });
}

#[test]
fn every_default_is_a_value_its_setting_takes_and_the_keys_are_sorted() {
    for key in TopicConfig::KEYS {
        assert_eq!(key.validate(key.default), Ok(()), "{}", key.name);
        assert_eq!(TopicConfig::key(key.name), Some(key));
    }
    assert!(TopicConfig::KEYS.windows(2).all(|pair| pair[0].name < pair[1].name));
    let defaults =
        MetadataImage::default().topic_config("t", None, &StaticSettings::new()).expect("defaults are valid");
    assert_eq!(defaults.retention_ms, 604_800_000);
    assert_eq!(defaults.segment_bytes, 1 << 30);
    assert_eq!(defaults.message_timestamp_type, TimestampType::CreateTime);
    assert_eq!(defaults.durability, Durability::Flushed);
    assert!(defaults.cleanup_policy.delete && !defaults.cleanup_policy.compact);
}

#[test]
fn values_are_refused_in_kafkas_words() {
    let table = [
        ("nosuch", "1", "Unknown topic config name: nosuch"),
        ("retention.ms", "x", "Invalid value x for configuration retention.ms: Not a number of type LONG"),
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        (
            "segment.bytes",
            "4294967296",
            "Invalid value 4294967296 for configuration segment.bytes: Not a number of type INT",
        ),
        ("segment.bytes", "14", "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576"),
        (
            "min.cleanable.dirty.ratio",
            "1.5",
            "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            "min.cleanable.dirty.ratio",
            "NaN",
            "Invalid value NaN for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE",
        ),
        (
            "preallocate",
            "yes",
            "Invalid value yes for configuration preallocate: Expected value to be either true or false",
        ),
        (
            "message.timestamp.type",
            "createtime",
            "Invalid value createtime for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime",
        ),
        (
            "compression.gzip.level",
            "0",
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
        ),
        (
            "cleanup.policy",
            "delete,shred",
            "Invalid value delete,shred for configuration cleanup.policy: String must be one of: compact, delete",
        ),
    ];
    for (key, value, message) in table {
        assert_eq!(TopicConfig::validate(key, value).map_err(|error| error.to_string()), Err(message.to_owned()));
    }
    for (key, value) in [
        ("retention.ms", " -1 "),
        ("compression.gzip.level", "-1"),
        ("compression.gzip.level", "9"),
        ("preallocate", "TRUE"),
        ("cleanup.policy", "compact, delete"),
        ("cleanup.policy", ""),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,1:2"),
        ("leader.replication.throttled.replicas", ""),
    ] {
        assert_eq!(TopicConfig::validate(key, value), Ok(()), "{key}={value}");
    }
    for value in ["0-1", "0:", ":1", "0:1:2", "-1:2", "*, 0:1", "0:2147483648"] {
        let key = "leader.replication.throttled.replicas";
        let message = format!(
            "Invalid value [{value}] for configuration {key}: {key} must be the literal '*' or a list of replicas in the \
             following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
        );
        assert_eq!(TopicConfig::validate(key, value).map_err(|error| error.to_string()), Err(message));
    }
}

#[test]
fn settings_are_judged_together_with_those_that_a_topic_inherits() {
    let mut image = MetadataImage::default();
    let mut file = StaticSettings::new();
    let judged = |image: &MetadataImage, file: &StaticSettings, settings: &[(&str, &str)]| {
        let settings: Settings = settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        image.check_topic_settings(&settings, file).map_err(|error| error.to_string())
    };
    let refused = |min: i64, max: i64| {
        let (min_key, max_key) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
        Err(format!("conflict topic config setting {min_key} ({min}) > {max_key} ({max})"))
    };
    assert_eq!(judged(&image, &file, &[("min.compaction.lag.ms", "7"), ("max.compaction.lag.ms", "7")]), Ok(()));
    assert_eq!(judged(&image, &file, &[("min.compaction.lag.ms", "8"), ("max.compaction.lag.ms", "7")]), refused(8, 7));
    file.insert("log.cleaner.max.compaction.lag.ms".into(), "5".into());
    assert_eq!(judged(&image, &file, &[("min.compaction.lag.ms", "6")]), refused(6, 5), "the controller's file");
    set(&mut image, ConfigResource::cluster(), "log.cleaner.max.compaction.lag.ms", "6");
    assert_eq!(judged(&image, &file, &[("min.compaction.lag.ms", "6")]), Ok(()), "the cluster's before the file's");
    set(&mut image, ConfigResource::broker(BrokerId(1)), "log.cleaner.max.compaction.lag.ms", "1");
    assert_eq!(judged(&image, &file, &[("min.compaction.lag.ms", "6")]), Ok(()), "one broker's is not the topic's");
}

#[test]
fn the_nearest_layer_holds() {
    let key = TopicConfig::key("retention.ms").expect("a topic setting");
    let mut image = MetadataImage::default();
    let mut file = StaticSettings::new();
    let broker = Some(BrokerId(1));
    let held = |image: &MetadataImage, file: &StaticSettings| {
        let layers = image.topic_setting_layers("t", key, broker, file);
        let first = layers.first().expect("there is a default").clone();
        (first.topic_value().to_string(), first.name.to_string(), first.source, layers.len())
    };
    let expected = |value: &str, name: &str, source, layers| (value.to_owned(), name.to_owned(), source, layers);
    assert_eq!(held(&image, &file), expected("604800000", "log.retention.ms", ConfigSource::DefaultConfig, 1));
    file.insert("log.retention.hours".into(), "2".into());
    assert_eq!(held(&image, &file), expected("7200000", "log.retention.hours", ConfigSource::StaticBrokerConfig, 2));
    file.insert("log.retention.minutes".into(), "-1".into());
    assert_eq!(held(&image, &file), expected("-1", "log.retention.minutes", ConfigSource::StaticBrokerConfig, 3));
    set(&mut image, ConfigResource::cluster(), "log.retention.ms", "9");
    assert_eq!(held(&image, &file), expected("9", "log.retention.ms", ConfigSource::DynamicDefaultBrokerConfig, 4));
    set(&mut image, ConfigResource::broker(BrokerId(2)), "log.retention.ms", "7");
    assert_eq!(held(&image, &file).0, "9", "another broker's");
    set(&mut image, ConfigResource::broker(BrokerId(1)), "log.retention.ms", "8");
    assert_eq!(held(&image, &file), expected("8", "log.retention.ms", ConfigSource::DynamicBrokerConfig, 5));
    set(&mut image, ConfigResource::topic("t"), "retention.ms", "5");
    assert_eq!(held(&image, &file), expected("5", "retention.ms", ConfigSource::TopicConfig, 6));
    assert_eq!(image.topic_config("t", broker, &file).map(|config| config.retention_ms), Ok(5));
    assert_eq!(image.topic_config("u", broker, &file).map(|config| config.retention_ms), Ok(8));
}

#[test]
fn a_bad_value_in_the_file_is_named() {
    let file = StaticSettings::from([("log.segment.bytes".to_owned(), "12".to_owned())]);
    let error = MetadataImage::default().topic_config("t", None, &file).expect_err("it is too small");
    assert!(error.to_string().contains("segment.bytes: Value must be at least 1048576"), "{error}");
}

#[test]
fn what_all_must_agree_on_is_never_a_nodes_own() {
    let replicas = vec![BrokerId(1), BrokerId(2)];
    let state = PartitionImage { replicas, directories: vec![DirectoryId::ZERO; 2], ..PartitionImage::default() };
    let id = TopicId(Uuid([1; 16]));
    let topic = TopicImage { id, name: Arc::from("t"), partitions: imbl::OrdMap::new() };
    let mut image = MetadataImage::default();
    assert_eq!(image.min_insync_replicas(&topic, &state), 1);
    set(&mut image, ConfigResource::cluster(), "min.insync.replicas", "2");
    assert_eq!(image.min_insync_replicas(&topic, &state), 2);
    set(&mut image, ConfigResource::topic("t"), "min.insync.replicas", "5");
    assert_eq!(image.min_insync_replicas(&topic, &state), 2, "at most the replicas");
    let file = StaticSettings::from([("min.insync.replicas".to_owned(), "3".to_owned())]);
    assert_eq!(image.topic_config("u", None, &file).map(|config| config.min_insync_replicas), Ok(2));

    assert!(image.unclean_leader_election("t", true) && !image.unclean_leader_election("t", false));
    set(&mut image, ConfigResource::cluster(), "unclean.leader.election.enable", "false");
    assert!(!image.unclean_leader_election("t", true));

    assert_eq!(image.durability_of("t", &[BrokerId(1)]), Durability::Flushed);
    set(&mut image, ConfigResource::cluster(), "log.durability", "written");
    assert_eq!(image.durability_of("t", &[BrokerId(1)]), Durability::Written);
    set(&mut image, ConfigResource::topic("t"), "durability", "flushed");
    assert_eq!(image.durability_of("t", &[BrokerId(1)]), Durability::Flushed);
}

#[test]
fn which_broker_settings_may_change() {
    use BrokerConfigScope::{Broker, Cluster};
    assert_eq!(DynamicBrokerConfig::validate("log.retention.ms", "5", Broker), Ok(()));
    assert_eq!(DynamicBrokerConfig::validate("min.insync.replicas", "2", Cluster), Ok(()));
    let refused =
        |key, value, scope| DynamicBrokerConfig::validate(key, value, scope).err().map(|error| error.to_string());
    assert_eq!(
        refused("min.insync.replicas", "2", Broker).as_deref(),
        Some(
            "min.insync.replicas cannot be set for a single broker: alter the cluster-wide default (empty broker name) instead"
        )
    );
    assert_eq!(
        refused("num.io.threads", "2", Cluster).as_deref(),
        Some(
            "num.io.threads cannot change while brokers run in this version yet: set it in server.properties and restart"
        )
    );
    for key in ["leader.replication.throttled.rate", "follower.replication.throttled.rate"] {
        assert_eq!(DynamicBrokerConfig::validate(key, "0", Broker), Ok(()));
        assert_eq!(DynamicBrokerConfig::validate(key, "9223372036854775807", Cluster), Ok(()));
        let message = format!("Invalid value -1 for configuration {key}: Value must be at least 0");
        assert_eq!(refused(key, "-1", Cluster), Some(message));
    }
    assert_eq!(
        refused("node.id", "2", Cluster).as_deref(),
        Some("Cannot update these configs dynamically: Set(node.id)")
    );
    assert_eq!(
        refused("log.retention.hours", "x", Cluster).as_deref(),
        Some("Invalid value x for configuration log.retention.hours: Not a number of type LONG")
    );
}

#[test]
fn a_brokers_own_rate_holds_before_that_of_all() {
    let mut image = MetadataImage::default();
    let (side, key) = (ThrottledSide::Leader, "leader.replication.throttled.rate");
    let rates = |image: &MetadataImage| [1, 2].map(|broker| image.throttled_rate(side, BrokerId(broker)));
    assert_eq!(rates(&image), [i64::MAX, i64::MAX]);
    set(&mut image, ConfigResource::cluster(), key, "1000");
    set(&mut image, ConfigResource::broker(BrokerId(2)), key, " 7 ");
    assert_eq!(rates(&image), [1000, 7]);
    assert_eq!(image.throttled_rate(ThrottledSide::Follower, BrokerId(2)), i64::MAX, "the other side's");
}

#[test]
fn the_deprecated_timestamp_bound_stands_in_for_those_that_nobody_set() {
    let file = StaticSettings::new();
    let mut image = MetadataImage::default();
    let bounds = |image: &MetadataImage| {
        let config = image.topic_config("t", None, &file).expect("valid settings");
        (config.message_timestamp_before_max_ms, config.message_timestamp_after_max_ms)
    };
    assert_eq!(bounds(&image), (i64::MAX, 3_600_000));
    set(&mut image, ConfigResource::topic("t"), "message.timestamp.difference.max.ms", "500");
    assert_eq!(bounds(&image), (500, 500));
    set(&mut image, ConfigResource::topic("t"), "message.timestamp.after.max.ms", "7");
    assert_eq!(bounds(&image), (500, 7));
    set(&mut image, ConfigResource::topic("t"), "message.timestamp.before.max.ms", "8");
    assert_eq!(bounds(&image), (8, 7));
}
