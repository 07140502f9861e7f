use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use raftsman_types::Offset;

use crate::atomic_file::parent;
use crate::epoch_cache::EpochEntry;
use crate::epoch_file::EpochFile;
use crate::error::{IoContext, StorageError};
use crate::fs::{File, OpenMode};
use crate::place::Place;
use crate::segment::DueWrites;

/// What one flush of a log has to sync, taken under the log's lock and carried out without it.
///
/// `Log::begin_flush`, [`FlushTicket::sync`] on any thread, `Log::complete_flush`. Dropping a ticket is
/// harmless: the next one covers what it covered.
#[derive(Debug)]
pub struct FlushTicket {
    pub(crate) place: Place,
    /// Everything below this offset is in the files of the ticket, or synced before.
    pub(crate) upto: Offset,
    /// The log's generation: truncations make a ticket worthless.
    pub(crate) generation: u64,
    pub(crate) files: Vec<TicketFile>,
    /// Index and snapshot files of segments rolled since; nobody else syncs them.
    pub(crate) side_files: Vec<PathBuf>,
    /// The count of changes of names the ticket makes durable, if there are any.
    pub(crate) names: Option<u64>,
    /// Whether the log is new, so that the name of its own directory has to be synced.
    pub(crate) is_new: bool,
    pub(crate) epochs: Option<TicketEpochs>,
    pub(crate) outcome: OnceLock<Result<(), StorageError>>,
}

#[derive(Debug)]
pub(crate) struct TicketFile {
    pub(crate) base_offset: Offset,
    pub(crate) size: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    /// Appends that waited for this flush to be written.
    pub(crate) writes: Option<DueWrites>,
}

#[derive(Debug)]
pub(crate) struct TicketEpochs {
    pub(crate) version: u64,
    pub(crate) entries: Vec<EpochEntry>,
    pub(crate) file: Arc<EpochFile>,
}

impl FlushTicket {
    /// Up to where (exclusive) a completed flush makes the log durable.
    pub fn upto(&self) -> Offset {
        self.upto
    }

    /// Writes what waits to be written and has the disk begin with it, without waiting: for the first of several tickets that
    /// are synced one after the other is not to be waited for alone. What fails is [`FlushTicket::sync`]'s to tell.
    pub(crate) fn begin(&self) {
        if self.has_failed() {
            return;
        }
        for TicketFile { path, file, writes, .. } in &self.files {
            let written = writes.as_ref().map_or(Ok(()), |writes| writes.write(&**file));
            if let Err(error) = written.context("write", path) {
                // Set already only if the ticket was synced, and then that is its outcome.
                let _kept = self.outcome.set(Err(error));
                return;
            }
            file.begin_write_back();
        }
    }

    /// Syncs everything the ticket names, file by file; for several logs at once it is begun by
    /// `dir::LogDirectory::begin_syncs`. May take long; call it where blocking is allowed, and once: a
    /// repeat after an error proves nothing, so it returns the first outcome.
    ///
    /// # Errors
    /// What failed. `Log::complete_flush` takes the log offline for it, unless it was for want of room or of a file.
    pub fn sync(&self) -> io::Result<()> {
        let outcome = self.outcome.get_or_init(|| self.sync_all());
        outcome.clone().map_err(io::Error::other)
    }

    /// Whether it had failed before it was begun: a file of it could not be opened.
    pub(crate) fn has_failed(&self) -> bool {
        self.outcome.get().is_some_and(Result::is_err)
    }

    /// Does what a sync of the whole volume cannot do: writes what is not written yet.
    pub(crate) fn write_out(&self) -> Result<(), StorageError> {
        for TicketFile { path, file, writes, .. } in &self.files {
            if let Some(writes) = writes {
                writes.write(&**file).context("write", path)?;
            }
        }
        match &self.epochs {
            Some(epochs) => epochs.file.write_unsynced(&*self.place.fs, epochs.version, &epochs.entries),
            None => Ok(()),
        }
    }

    /// Notes how a sync of the whole volume went that was begun after [`FlushTicket::write_out`].
    pub(crate) fn volume_synced(&self, outcome: Result<(), StorageError>) {
        if let (Ok(()), Some(epochs)) = (&outcome, &self.epochs) {
            epochs.file.synced(epochs.version);
        }
        // Set already only if the ticket was synced by itself, which is as good.
        let _kept = self.outcome.set(outcome);
    }

    fn sync_all(&self) -> Result<(), StorageError> {
        self.write_out()?;
        for file in &self.files {
            file.file.sync_data().map_err(|error| StorageError::new("sync", &file.path, error))?;
        }
        for path in &self.side_files {
            match self.place.fs.open(path, OpenMode::Read).and_then(|file| file.sync_data()) {
                // Retention or a truncation removed it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::new("sync", path, error)),
                Ok(()) => {}
            }
        }
        if let Some(epochs) = &self.epochs {
            epochs.file.sync_content(&*self.place.fs)?;
        }
        if self.names.is_some() || self.epochs.is_some() {
            self.place.sync_directory()?;
        }
        if self.is_new {
            let above = parent(&self.place.directory);
            self.place.fs.sync_directory(above).context("sync", above)?;
        }
        if let Some(epochs) = &self.epochs {
            epochs.file.synced(epochs.version);
        }
        Ok(())
    }
}
