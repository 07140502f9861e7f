/// Why a setting is refused. The sentences are those Kafka's clients and their users know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// No topic setting has this name.
    #[error("Unknown topic config name: {0}")]
    UnknownTopicConfig(String),
    /// No setting of brokers that can change while they run has this name.
    #[error("Cannot update these configs dynamically: Set({0})")]
    NotDynamic(String),
    /// Kafka lets this setting change while brokers run; this version does not yet.
    #[error("{0} cannot change while brokers run in this version yet: set it in server.properties and restart")]
    NotDynamicYet(String),
    /// Only one value for all brokers makes sense.
    #[error("{0} cannot be set for a single broker: alter the cluster-wide default (empty broker name) instead")]
    ClusterWideOnly(String),
    /// With eligible leader replicas every cluster has its own value (KIP-966).
    #[error("Cluster level min.insync.replicas cannot be removed while ELR is enabled.")]
    MinInsyncReplicasNeeded,
    /// A value outside of what the setting takes.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue {
        /// The setting.
        name: String,
        /// The value, cut to a length that fits a message.
        value: String,
        /// What it should have been.
        reason: String,
    },
    /// Two settings of one resource that exclude each other.
    #[error("{0}")]
    Conflict(String),
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean,
    /// A 32-bit number from `min` to `max`.
    Int {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A 32-bit number from `min` to `max`, or one other.
    IntOr {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
        /// The other value.
        or: i64,
    },
    /// A 64-bit number from `min` to `max`.
    Long {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A number from `min` to `max`.
    Double {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Some of some words, comma-separated.
    ListOf(&'static [&'static str]),
    /// `*`, nothing, or pairs `partition:broker`, comma-separated.
    ThrottledReplicas,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfigKey {
    /// Kafka's name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: ConfigKind,
    /// Its default, as text.
    pub default: &'static str,
    /// The broker settings it falls back to, the strongest first.
    pub synonyms: &'static [Synonym],
}

/// A broker setting that a topic setting falls back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker setting's name.
    pub name: &'static str,
    /// What its value is multiplied with: hours and minutes become milliseconds.
    pub factor: i64,
}

impl ConfigKind {
    /// Kafka's code of the type in DescribeConfigs.
    pub fn type_code(self) -> i8 {
        match self {
            ConfigKind::Boolean => 1,
            ConfigKind::OneOf(_) => 2,
            ConfigKind::Int { .. } | ConfigKind::IntOr { .. } => 3,
            ConfigKind::Long { .. } => 5,
            ConfigKind::Double { .. } => 6,
            ConfigKind::ListOf(_) | ConfigKind::ThrottledReplicas => 7,
        }
    }

    /// Whether append and subtract make sense (KIP-339).
    pub fn is_list(self) -> bool {
        matches!(self, ConfigKind::ListOf(_) | ConfigKind::ThrottledReplicas)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// Says, in Kafka's words, what the value should have been.
    pub fn validate(self, name: &str, value: &str) -> Result<(), InvalidConfig> {
        self.problem(name, value.trim()).map_or(Ok(()), |reason| {
            // Kafka shows the list it has made of it.
            let value = match self {
                ConfigKind::ThrottledReplicas => format!("[{}]", elements(value).collect::<Vec<_>>().join(", ")),
                _ => value.to_owned(),
            };
            let value = value.chars().take(200).collect();
            Err(InvalidConfig::InvalidValue { name: name.to_owned(), value, reason })
        })
    }

    fn problem(self, name: &str, value: &str) -> Option<String> {
        match self {
            ConfigKind::Boolean => (!value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false"))
                .then(|| "Expected value to be either true or false".to_owned()),
            ConfigKind::Int { min, max } => match value.parse::<i32>() {
                Err(_) => Some("Not a number of type INT".to_owned()),
                Ok(number) => outside(i64::from(number), min, max),
            },
            ConfigKind::IntOr { min, max, or } => match value.parse::<i32>().map(i64::from) {
                Err(_) => Some("Not a number of type INT".to_owned()),
                Ok(number) if number == or => None,
                Ok(number) => {
                    outside(number, min, max).map(|_| format!("Value must be between {min} and {max} or equal to {or}"))
                }
            },
            ConfigKind::Long { min, max } => match value.parse::<i64>() {
                Err(_) => Some("Not a number of type LONG".to_owned()),
                Ok(number) => outside(number, min, max),
            },
            ConfigKind::Double { min, max } => match value.parse::<f64>() {
                Ok(number) if number.is_finite() => outside(number, min, max),
                _ => Some("Not a number of type DOUBLE".to_owned()),
            },
            ConfigKind::OneOf(words) => {
                (!words.contains(&value)).then(|| format!("String must be one of: {}", words.join(", ")))
            }
            ConfigKind::ListOf(words) => elements(value)
                .any(|element| !words.contains(&element))
                .then(|| format!("String must be one of: {}", words.join(", "))),
            ConfigKind::ThrottledReplicas => throttled_replicas_problem(name, value),
        }
    }
}

impl ConfigKey {
    /// Checks a value of this setting.
    ///
    /// # Errors
    /// Says, in Kafka's words, what the value should have been.
    pub fn validate(&self, value: &str) -> Result<(), InvalidConfig> {
        self.kind.validate(self.name, value)
    }
}

/// The elements of a comma-separated list; an empty text has none.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

fn outside<T: PartialOrd + std::fmt::Display>(number: T, min: T, max: T) -> Option<String> {
    if number < min {
        return Some(format!("Value must be at least {min}"));
    }
    (number > max).then(|| format!("Value must be no more than {max}"))
}

fn throttled_replicas_problem(name: &str, value: &str) -> Option<String> {
    let is_id = |text: &str| text.trim().parse::<i32>().is_ok_and(|id| id >= 0);
    let pair = |element: &str| {
        let (partition, broker) = element.split_once(':')?;
        Some(is_id(partition) && is_id(broker))
    };
    let fine = value == "*" || elements(value).all(|element| pair(element) == Some(true));
    (!fine).then(|| {
        format!("{name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...")
    })
}
