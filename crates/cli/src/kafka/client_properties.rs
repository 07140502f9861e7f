use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use raftsman_client::ClientOptions;
use raftsman_server::config::properties;

use crate::failure::Failure;

/// A client's properties, from `--command-config` files and `--command-property` flags (and their older spellings).
#[derive(Debug, Clone, Default)]
pub struct ClientProperties {
    values: BTreeMap<String, String>,
}

impl ClientProperties {
    /// Reads a file, if one is named, and the flags over it.
    ///
    /// # Errors
    /// The file cannot be read, or asks for a security protocol that is not served yet.
    pub fn read(file: Option<&Path>, flags: &[(String, String)]) -> Result<ClientProperties, Failure> {
        let mut values = BTreeMap::new();
        if let Some(path) = file {
            let shown = path.display();
            let text = fs::read_to_string(path).map_err(Failure::system(format!("cannot read {shown}")))?;
            let read = properties::parse(&text).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
            values.extend(read.into_iter().map(|property| (property.key, property.value)));
        }
        values.extend(flags.iter().cloned());
        let properties = ClientProperties { values };
        match properties.get("security.protocol").unwrap_or("PLAINTEXT") {
            "PLAINTEXT" => Ok(properties),
            other => Err(Failure::Usage(format!("security.protocol={other} is not supported yet: only PLAINTEXT is"))),
        }
    }

    /// A property's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A property in milliseconds.
    ///
    /// # Errors
    /// It is not a whole number.
    pub fn millis(&self, key: &str) -> Result<Option<Duration>, Failure> {
        Ok(self.number(key)?.map(Duration::from_millis))
    }

    /// A property as a number.
    ///
    /// # Errors
    /// It is not one.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Failure> {
        self.get(key)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| Failure::Usage(format!("{key}={value} is not allowed: expected a whole number")))
            })
            .transpose()
    }

    /// The options every client has.
    ///
    /// # Errors
    /// A timeout is not a whole number.
    pub fn client_options(&self, client_id: &str) -> Result<ClientOptions, Failure> {
        let mut options = ClientOptions { client_id: client_id.to_owned(), ..ClientOptions::default() };
        options.client_id = self.get("client.id").unwrap_or(client_id).to_owned();
        options.request_timeout = self.millis("request.timeout.ms")?.unwrap_or(options.request_timeout);
        options.api_timeout = self.millis("default.api.timeout.ms")?.unwrap_or(options.api_timeout);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("client.properties");
        fs::write(&path, "client.id=file\nrequest.timeout.ms=5").unwrap();
        let flags = [("client.id".to_owned(), "flag".to_owned())];
        let options = ClientProperties::read(Some(&path), &flags).unwrap().client_options("x").unwrap();
        assert_eq!((options.client_id.as_str(), options.request_timeout.as_millis()), ("flag", 5));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let secure = [("security.protocol".to_owned(), "SSL".to_owned())];
        assert!(ClientProperties::read(None, &secure).unwrap_err().to_string().contains("PLAINTEXT"));
        let bad = [("request.timeout.ms".to_owned(), "soon".to_owned())];
        assert!(ClientProperties::read(None, &bad).unwrap().client_options("x").is_err());
        assert!(ClientProperties::read(Some(Path::new("no-such.properties")), &[]).is_err());
    }
}
