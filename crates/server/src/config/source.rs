use std::fmt;

/// Where a setting was read, for messages. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of `server.properties`.
    File {
        /// The file as it was named.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable of this name.
    Environment(String),
    /// `--override` on the command line.
    Override,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("the default"),
            Source::File { path, line } => write!(f, "{path}:{line}"),
            Source::Environment(name) => write!(f, "environment variable {name}"),
            Source::Override => f.write_str("--override"),
        }
    }
}

/// Something in the configuration its author should hear of, though the node starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A key nobody knows: most likely a slip of the pen.
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        from: Source,
        /// A known key that reads much like it.
        similar: Option<&'static str>,
    },
    /// A key of Kafka's that this version does not act on yet, set to something other than its default.
    NoEffect {
        /// The key.
        key: String,
        /// Where it stands.
        from: Source,
    },
    /// A choice made for the author that he may want to make himself.
    Assumed(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::UnknownKey { key, from, similar: Some(similar) } => {
                write!(f, "unknown key {key} ({from}) is ignored; did you mean {similar}?")
            }
            Warning::UnknownKey { key, from, similar: None } => write!(f, "unknown key {key} ({from}) is ignored"),
            Warning::NoEffect { key, from } => write!(f, "{key} ({from}) has no effect yet in this version"),
            Warning::Assumed(what) => f.write_str(what),
        }
    }
}
