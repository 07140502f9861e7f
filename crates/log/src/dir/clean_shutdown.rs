use raftsman_types::BrokerEpoch;

use super::{DirectoryError, LogDirectory};
use crate::atomic_file::{read_small, remove_if_there, write_atomically};
use crate::error::IoContext;

const NAME: &str = ".kafka_cleanshutdown";

/// The mark of a directory whose logs were all closed (KIP-966).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanShutdown {
    /// The epoch of the broker that closed them; `BrokerEpoch::NONE` if the mark does not say.
    pub broker_epoch: BrokerEpoch,
}

impl LogDirectory {
    /// Reads the clean-shutdown mark and removes it, durably, before anything is written to a log: from
    /// here on only [`LogDirectory::mark_clean_shutdown`] makes the directory clean again.
    ///
    /// # Errors
    /// Storage.
    pub fn take_clean_shutdown(&self) -> Result<Option<CleanShutdown>, DirectoryError> {
        let path = self.path.join(NAME);
        let Some(bytes) = read_small(&*self.fs, &path)? else { return Ok(None) };
        remove_if_there(&*self.fs, &path)?;
        self.fs.sync_directory(&self.path).context("sync", &self.path)?;
        Ok(Some(CleanShutdown { broker_epoch: parse(&String::from_utf8_lossy(&bytes)) }))
    }

    /// Marks the directory clean. Only after every log in it was closed without an error and the
    /// recovery points were written.
    ///
    /// # Errors
    /// Storage.
    pub fn mark_clean_shutdown(&self, mark: CleanShutdown) -> Result<(), DirectoryError> {
        let json = format!("{{\"version\":0,\"brokerEpoch\":{}}}", mark.broker_epoch);
        write_atomically(&*self.fs, &self.path.join(NAME), json.as_bytes())?;
        Ok(())
    }
}

/// The epoch in the mark's JSON; older Kafkas leave the file empty.
fn parse(json: &str) -> BrokerEpoch {
    let value = json.split_once("\"brokerEpoch\"").and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
    let digits = value.map(|value| value.trim_start().split([',', '}', ' ', '\n']).next().unwrap_or_default());
    digits.and_then(|digits| digits.parse().ok()).map_or(BrokerEpoch::NONE, BrokerEpoch)
}
