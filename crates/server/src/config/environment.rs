//! Environment variables over the file: `KAFKA_NUM_PARTITIONS` as in Kafka's own image, `KAFKA_CFG_NUM_PARTITIONS` as
//! in another much used one. `_` stands for `.`, `__` for `_`, `___` for `-`.

/// Variables that start the same way but are no settings of a node: the JVM's, the start scripts' and the images' own.
const NOT_SETTINGS: &[&str] = &[
    "KAFKA_HEAP_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_CMD_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_DEBUG",
    "KAFKA_DEBUG_OPTS",
    "KAFKA_CLASSPATH",
    "KAFKA_HOME",
    "KAFKA_VERSION",
    "KAFKA_SCALA_VERSION",
    "KAFKA_USER",
    "KAFKA_VOLUME_DIR",
    "KAFKA_MOUNTED_CONF_DIR",
    "KAFKA_CLUSTER_ID",
    "KAFKA_KRAFT_CLUSTER_ID",
    "KAFKA_ENABLE_KRAFT",
    "KAFKA_DAEMON_USER",
    "KAFKA_DAEMON_GROUP",
    "KAFKA_GID",
    "KAFKA_UID",
];

/// The key a variable sets, or `None` if it sets none. The flag says whether it has the stronger `KAFKA_CFG_` form.
pub fn key_of(variable: &str) -> Option<(String, bool)> {
    if NOT_SETTINGS.contains(&variable) {
        return None;
    }
    let (rest, strong) = match variable.strip_prefix("KAFKA_CFG_") {
        Some(rest) => (rest, true),
        None => (variable.strip_prefix("KAFKA_")?, false),
    };
    let mut key = String::with_capacity(rest.len());
    let mut underscores = 0;
    for c in rest.chars() {
        if c == '_' {
            underscores += 1;
            continue;
        }
        push_separator(&mut key, underscores);
        underscores = 0;
        key.extend(c.to_lowercase());
    }
    push_separator(&mut key, underscores);
    (!key.is_empty()).then_some((key, strong))
}

fn push_separator(key: &mut String, underscores: usize) {
    match underscores {
        0 => {}
        1 => key.push('.'),
        2 => key.push('_'),
        3 => key.push('-'),
        more => key.extend(std::iter::repeat_n('_', more / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_keys() {
        for (variable, key) in [
            ("KAFKA_NODE_ID", "node.id"),
            ("KAFKA_LISTENER_NAME_MY__LISTENER_SSL_KEYSTORE_TYPE", "listener.name.my_listener.ssl.keystore.type"),
            ("KAFKA_A___B", "a-b"),
        ] {
            assert_eq!(key_of(variable), Some((key.to_owned(), false)), "{variable}");
        }
        assert_eq!(key_of("KAFKA_CFG_NODE_ID"), Some(("node.id".to_owned(), true)));
    }

    #[test]
    fn what_is_no_setting_is_left_alone() {
        for variable in ["KAFKA_HEAP_OPTS", "KAFKA_JMX_PORT", "PATH", "XKAFKA_NODE_ID", "KAFKA_", "KAFKA_CFG_"] {
            assert_eq!(key_of(variable), None, "{variable}");
        }
    }
}
