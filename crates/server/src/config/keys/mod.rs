//! Kafka's broker and controller keys as its 4.3 knows them, a few that 3.9 still had, and our own two
//! (`log.durability`, `health.listener`). Types, defaults and bounds are Kafka's unless a line says otherwise.

mod table;

use self::Kind::{Bool, List, ListOf, OneOf, Real, Secret, Text, Whole};

pub use table::KEYS;

/// What the value of a key may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Bool,
    /// A whole number between the two, both included.
    Whole(i64, i64),
    /// A number between the two, both included.
    Real(f64, f64),
    /// Any text.
    Text,
    /// A text that is not shown in messages.
    Secret,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any number of entries, with commas between.
    List,
    /// Any number of these words, with commas between.
    ListOf(&'static [&'static str]),
}

/// One key: its name, what it may hold, what it holds when nobody says, and whether this version acts on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeySpec {
    /// The name as it stands in `server.properties`.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The value when nobody sets it; `None` where Kafka's default is "unset".
    pub default: Option<&'static str>,
    /// Whether setting it changes anything yet.
    pub has_effect: bool,
}

impl Kind {
    /// Whether `value` may be a value of this kind.
    pub fn allows(&self, value: &str) -> bool {
        match self {
            Bool => matches!(value.to_ascii_lowercase().as_str(), "true" | "false"),
            Whole(low, high) => value.parse::<i64>().is_ok_and(|n| (low..=high).contains(&&n)),
            Real(low, high) => value.parse::<f64>().is_ok_and(|n| (low..=high).contains(&&n)),
            Text | Secret | List => true,
            OneOf(words) => words.contains(&value),
            ListOf(words) => split_list(value).all(|entry| words.contains(&entry)),
        }
    }

    /// What is allowed, for an error message.
    pub fn allowed(&self) -> String {
        match self {
            Bool => "true or false".to_owned(),
            Whole(low, high) => between("a whole number", low, *low < -MOST_SHOWN, high, *high > MOST_SHOWN),
            Real(low, high) => between("a number", low, *low == f64::MIN, high, *high == f64::MAX),
            Text | Secret => "any text".to_owned(),
            OneOf(words) => format!("one of {}", words.join(", ")),
            List => "a list with commas between its entries".to_owned(),
            ListOf(words) => format!("a list of {}", words.join(", ")),
        }
    }
}

/// Bounds beyond this are the type's own and tell the reader nothing.
const MOST_SHOWN: i64 = i64::MAX / 2;

fn between<T: std::fmt::Display>(what: &str, low: T, no_low: bool, high: T, no_high: bool) -> String {
    match (no_low, no_high) {
        (true, true) => what.to_owned(),
        (false, true) => format!("{what}, {low} or more"),
        (true, false) => format!("{what}, {high} or less"),
        (false, false) => format!("{what} from {low} to {high}"),
    }
}

/// The entries of a list value, trimmed, empty ones left out.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// The key of this name. Keys for one listener (`listener.name.<name>.…`) count as known.
pub fn find(name: &str) -> Option<&'static KeySpec> {
    if name.starts_with("listener.name.") {
        return Some(&LISTENER_KEY);
    }
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|i| &KEYS[i])
}

static LISTENER_KEY: KeySpec = idle("listener.name.", Text, None);

const fn live(name: &'static str, kind: Kind, default: Option<&'static str>) -> KeySpec {
    KeySpec { name, kind, default, has_effect: true }
}

const fn idle(name: &'static str, kind: Kind, default: Option<&'static str>) -> KeySpec {
    KeySpec { name, kind, default, has_effect: false }
}

const I32_MIN: i64 = i32::MIN as i64;
const I32_MAX: i64 = i32::MAX as i64;
const I16_MIN: i64 = i16::MIN as i64;
const I16_MAX: i64 = i16::MAX as i64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_their_defaults_are_allowed() {
        for pair in KEYS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
        for key in KEYS {
            if let Some(default) = key.default {
                assert!(key.kind.allows(default), "{} = {default}: allowed is {}", key.name, key.kind.allowed());
            }
        }
    }

    #[test]
    fn every_key_is_found_by_its_name_and_nothing_else() {
        for key in KEYS {
            assert_eq!(find(key.name), Some(key));
        }
        assert_eq!(find("num.partition"), None);
        assert!(find("listener.name.outside.ssl.keystore.location").is_some());
    }

    #[test]
    fn defaults_of_topics_have_an_effect_unless_the_topics_have_none() {
        let without_effect = ["local.retention.bytes", "local.retention.ms"];
        for topic_key in raftsman_metadata::TopicConfig::KEYS {
            for synonym in topic_key.synonyms {
                let key = find(synonym.name).unwrap_or_else(|| panic!("{} is a setting of brokers", synonym.name));
                assert_eq!(key.has_effect, !without_effect.contains(&topic_key.name), "{}", key.name);
            }
        }
    }

    #[test]
    fn what_is_allowed_reads_well() {
        for (kind, allowed) in [
            (Bool, "true or false"),
            (Whole(1, I32_MAX), "a whole number from 1 to 2147483647"),
            (Whole(1, i64::MAX), "a whole number, 1 or more"),
            (Whole(i64::MIN, i64::MAX), "a whole number"),
            (Real(0.0, 1.0), "a number from 0 to 1"),
            (OneOf(&["a", "b"]), "one of a, b"),
            (ListOf(&["a", "b"]), "a list of a, b"),
        ] {
            assert_eq!(kind.allowed(), allowed);
        }
    }
}
