use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use super::environment;
use super::error::ConfigError;
use super::keys::{self, Kind};
use super::properties;
use super::source::{Source, Warning};

/// The keys that were set, checked one by one against what Kafka knows of them, with where each came from.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    given: BTreeMap<String, (String, Source)>,
    has_file: bool,
}

impl Settings {
    /// Reads the file, then the environment over it, then the overrides over both, and checks each value by itself.
    ///
    /// # Errors
    /// The first thing that is wrong, in a line that says where and what would be right.
    pub fn gather(
        path: Option<&Path>,
        overrides: &[(String, String)],
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let mut settings = Settings { has_file: path.is_some(), ..Settings::default() };
        if let Some(path) = path {
            settings.read_file(path)?;
        }
        let mut variables: Vec<_> = env
            .filter_map(|(name, value)| environment::key_of(&name).map(|(key, strong)| (strong, name, key, value)))
            .collect();
        variables.sort();
        for (_, name, key, value) in variables {
            settings.set(key, &value, Source::Environment(name));
        }
        for (key, value) in overrides {
            settings.set(key.trim().to_owned(), value, Source::Override);
        }
        settings.check()?;
        let warnings = settings.warnings();
        Ok((settings, warnings))
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| ConfigError::Unreadable { path: shown.clone(), error })?;
        // Java reads these files as Latin-1, people write them as UTF-8: take the latter where it is that.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| error.into_bytes().iter().map(|byte| char::from(*byte)).collect());
        for read in properties::properties(&text) {
            let property = read.map_err(|error| ConfigError::Syntax { path: shown.clone(), error })?;
            self.set(property.key, &property.value, Source::File { path: shown.clone(), line: property.line });
        }
        Ok(())
    }

    fn set(&mut self, key: String, value: &str, from: Source) {
        self.given.insert(key, (value.trim().to_owned(), from));
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (key, (value, from)) in &self.given {
            let Some(spec) = keys::find(key) else { continue };
            // An empty value of a key without default leaves it unset.
            let is_unset = value.is_empty() && spec.default.is_none();
            if !is_unset && !spec.kind.allows(value) {
                return Err(self.bad(key, value, from.clone(), spec.kind.allowed()));
            }
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (key, (value, from)) in &self.given {
            match keys::find(key) {
                None => {
                    let similar = similar_key(key);
                    warnings.push(Warning::UnknownKey { key: key.clone(), from: from.clone(), similar });
                }
                Some(spec) if !spec.has_effect && spec.default != Some(value.as_str()) && !value.is_empty() => {
                    warnings.push(Warning::NoEffect { key: key.clone(), from: from.clone() });
                }
                Some(_) => {}
            }
        }
        warnings
    }

    fn bad(&self, key: &str, value: &str, from: Source, allowed: String) -> ConfigError {
        let secret = matches!(keys::find(key).map(|spec| spec.kind), Some(Kind::Secret));
        let value = if secret { "[hidden]".to_owned() } else { value.to_owned() };
        ConfigError::BadValue { key: key.to_owned(), value, from, allowed }
    }

    /// An error about the value a key has now.
    pub fn refuse(&self, key: &str, allowed: impl Into<String>) -> ConfigError {
        let from = self.given.get(key).map_or(Source::Default, |(_, from)| from.clone());
        self.bad(key, self.get(key).unwrap_or_default(), from, allowed.into())
    }

    /// Whether there was a file at all.
    pub fn has_file(&self) -> bool {
        self.has_file
    }

    /// Whether somebody set the key, to something not empty.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.get(key).is_some_and(|(value, _)| !value.is_empty())
    }

    /// The key's value: as given, else its default. `None` where it is unset and has no default.
    pub fn get(&self, key: &str) -> Option<&str> {
        let default = || keys::find(key).and_then(|spec| spec.default);
        self.given.get(key).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty()).or_else(default)
    }

    /// The value as a number of the type asked for.
    ///
    /// # Errors
    /// A value the type cannot hold, or a key without a value.
    pub fn number<T: FromStr>(&self, key: &str) -> Result<T, ConfigError> {
        let value = self.get(key).unwrap_or_default();
        value.parse().map_err(|_| self.refuse(key, "a whole number in range"))
    }

    /// The value as a number, `None` where the key has no value.
    ///
    /// # Errors
    /// A value the type cannot hold.
    pub fn optional_number<T: FromStr>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        self.get(key).map(|_| self.number(key)).transpose()
    }

    /// The value as `true` or `false`.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The entries of a list.
    pub fn list(&self, key: &str) -> Vec<&str> {
        keys::split_list(self.get(key).unwrap_or_default()).collect()
    }

    /// Every key that was given and is known, as text: what DescribeConfigs shows as static settings.
    pub fn given(&self) -> BTreeMap<String, String> {
        let known = self.given.iter().filter(|(key, _)| keys::find(key).is_some());
        known.map(|(key, (value, _))| (key.clone(), value.clone())).collect()
    }
}

/// The known key at an edit distance of at most two, if the name is long enough for that to mean something.
fn similar_key(key: &str) -> Option<&'static str> {
    let near = keys::KEYS.iter().map(|spec| (edit_distance(key, spec.name), spec.name)).min()?;
    (near.0 <= NEAR && key.len() > 5).then_some(near.1)
}

/// How many letters may be other ones, missing or too many.
const NEAR: usize = 2;

/// The edit distance of two names, or more than [`NEAR`] as soon as it is certain to be.
fn edit_distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > NEAR {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(left != right)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
        // It never gets less from one row to the next; most names part in their first letters.
        if row.iter().all(|distance| *distance > NEAR) {
            return usize::MAX;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(similar_key("num.partition"), Some("num.partitions"));
        assert_eq!(similar_key("log.dri"), Some("log.dir"));
        assert_eq!(similar_key("zookeeper.connect"), None);
        assert_eq!(similar_key("lig.segmnt.bytes"), Some("log.segment.bytes"));
        assert_eq!(similar_key("xog.xegment.xytes"), None);
        assert_eq!(similar_key("a"), None);
    }
}
