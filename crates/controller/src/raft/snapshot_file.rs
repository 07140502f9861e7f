//! Snapshots of the metadata image: one checksummed file each, outside of the store.
//!
//! Layout: the magic, the length of the head and the head (`raft.v1.SnapshotMeta`), then parts (`controller.v1.SnapshotPart`),
//! each after its length, then the CRC-32C of all before. Lengths and CRC are four bytes, big-endian. The same bytes
//! go to a controller that is too far behind.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use bytes::{Buf, Bytes};
use prost::Message;
use raftsman_metadata::{MetadataImage, MetadataRecord};
use raftsman_rpc::controller::SnapshotPart;
use raftsman_rpc::{metadata, raft as pb};

use super::convert::{snapshot_meta_from_pb, snapshot_meta_to_pb};
use super::store::crc32c;
use super::types::SnapshotMeta;

const MAGIC: &[u8; 8] = b"RAFTSNP1";
const SUFFIX: &str = "snapshot";
/// How many encoded bytes of records make a part, about.
const PART_BYTES: usize = 192 << 10;

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the metadata snapshot is damaged: {what}"))
}

/// The parts of a snapshot of an image: at least one, and the last says so.
pub(crate) fn parts(image: &MetadataImage) -> impl Iterator<Item = SnapshotPart> + '_ {
    let version = image.version;
    let mut records = image.to_records().peekable();
    let mut finished = false;
    std::iter::from_fn(move || {
        if finished {
            return None;
        }
        let mut part = SnapshotPart { version, records: Vec::new(), last: false };
        let mut bytes = 0;
        while bytes < PART_BYTES
            && let Some(record) = records.next()
        {
            let record = metadata::Record::from(&record);
            bytes += record.encoded_len() + 8;
            part.records.push(record);
        }
        finished = records.peek().is_none();
        part.last = finished;
        Some(part)
    })
}

/// A snapshot's bytes.
pub(super) fn encode(meta: &SnapshotMeta, image: &MetadataImage) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    push(&mut bytes, &snapshot_meta_to_pb(meta, image.version));
    for part in parts(image) {
        push(&mut bytes, &part);
    }
    let crc = crc32c(&[&bytes]);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

fn push(bytes: &mut Vec<u8>, message: &impl Message) {
    // A part is some hundred KiB; a head holds the membership.
    bytes.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
    bytes.extend_from_slice(&message.encode_to_vec());
}

fn pull<M: Message + Default>(bytes: &mut Bytes) -> io::Result<M> {
    let length = bytes.try_get_u32().map_err(damaged)? as usize;
    if length > bytes.len() {
        return Err(damaged("it ends early"));
    }
    M::decode(bytes.split_to(length)).map_err(damaged)
}

/// A snapshot's head, and the parts behind it, after a look at the checksum.
fn open(bytes: &[u8]) -> io::Result<(pb::SnapshotMeta, Bytes)> {
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not start as one"))?;
    let (body, crc) = body.split_last_chunk::<4>().ok_or_else(|| damaged("it ends early"))?;
    if u32::from_be_bytes(*crc) != crc32c(&[MAGIC, body]) {
        return Err(damaged("its checksum is wrong"));
    }
    let mut rest = Bytes::copy_from_slice(body);
    let head = pull(&mut rest)?;
    Ok((head, rest))
}

/// What Raft knows of a snapshot.
pub(super) fn decode_meta(bytes: &[u8]) -> io::Result<SnapshotMeta> {
    let (head, _) = open(bytes)?;
    snapshot_meta_from_pb(&head).map_err(damaged)
}

/// The image in a snapshot's bytes, and what Raft knows of it.
pub(super) fn decode(bytes: &[u8]) -> io::Result<(SnapshotMeta, MetadataImage)> {
    let (head, mut rest) = open(bytes)?;
    let mut records: Vec<MetadataRecord> = Vec::new();
    loop {
        let part: SnapshotPart = pull(&mut rest)?;
        for record in &part.records {
            records.push(MetadataRecord::try_from(record).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?);
        }
        if part.last {
            break;
        }
    }
    let meta = snapshot_meta_from_pb(&head).map_err(damaged)?;
    Ok((meta, MetadataImage::from_snapshot(head.metadata_version, records)))
}

/// The directory that holds the one current snapshot.
#[derive(Debug, Clone)]
pub(super) struct SnapshotDirectory {
    path: PathBuf,
}

impl SnapshotDirectory {
    /// Opens the directory, which is created if it is absent, and clears what an interrupted write left.
    pub fn open(path: PathBuf) -> io::Result<SnapshotDirectory> {
        fs::create_dir_all(&path)?;
        let directory = SnapshotDirectory { path };
        for entry in fs::read_dir(&directory.path)? {
            let file = entry?.path();
            if file.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(file)?;
            }
        }
        directory.sync()?;
        Ok(directory)
    }

    /// The current snapshot's bytes.
    pub fn read_current(&self) -> io::Result<Option<Vec<u8>>> {
        self.files()?.pop().map(fs::read).transpose()
    }

    /// Makes these bytes the current snapshot: when this returns they are on the disk and the others are gone.
    pub fn write(&self, meta: &SnapshotMeta, bytes: &[u8]) -> io::Result<()> {
        let index = meta.last_log_id.map_or(0, |log_id| log_id.index);
        let target = self.path.join(format!("{index:020}.{SUFFIX}"));
        let temporary = target.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        self.sync()?;
        for older in self.files()?.into_iter().filter(|file| *file < target) {
            fs::remove_file(older)?;
        }
        Ok(())
    }

    /// The snapshots by index, the newest last.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let file = entry?.path();
            if file.extension().is_some_and(|e| e == SUFFIX) {
                files.push(file);
            }
        }
        files.sort();
        Ok(files)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_image() -> MetadataImage {
        let settings = (0..20_000).map(|i| MetadataRecord::SetConfig {
            resource: raftsman_metadata::ConfigResource::topic(format!("topic-{i}")),
            key: "retention.ms".into(),
            value: Some("604800000".into()),
        });
        MetadataImage::from_snapshot(41, settings)
    }

    #[test]
    fn an_image_comes_back_from_its_snapshot_in_bounded_parts() {
        let image = some_image();
        assert!(parts(&image).count() > 2);
        assert!(parts(&image).all(|part| part.encoded_len() <= 256 << 10));
        assert_eq!(parts(&MetadataImage::default()).count(), 1, "an empty image has a last part too");
        let meta = SnapshotMeta { snapshot_id: "s".into(), ..SnapshotMeta::default() };
        let (meta_back, image_back) = decode(&encode(&meta, &image)).unwrap();
        assert_eq!((meta_back, image_back), (meta, image));
    }

    #[test]
    fn any_damage_is_found() {
        let bytes = encode(&SnapshotMeta::default(), &MetadataImage::default());
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {position}");
            assert!(decode(&bytes[..position]).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn the_newest_snapshot_is_the_only_one_kept() {
        let home = tempfile::tempdir().unwrap();
        let directory = SnapshotDirectory::open(home.path().join("snapshots")).unwrap();
        assert_eq!(directory.read_current().unwrap(), None);
        directory.write(&SnapshotMeta::default(), b"first").unwrap();
        let log_id = super::super::types::LogId::new(openraft::CommittedLeaderId::new(1, 1), 12);
        let later = SnapshotMeta { last_log_id: Some(log_id), ..SnapshotMeta::default() };
        directory.write(&later, b"second").unwrap();
        let path = home.path().join("snapshots");
        fs::write(path.join("00000000000000000099.tmp"), b"torn").unwrap();
        let reopened = SnapshotDirectory::open(path.clone()).unwrap();
        assert_eq!(reopened.read_current().unwrap().as_deref(), Some(&b"second"[..]));
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    }
}
