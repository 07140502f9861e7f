//! The small text files: of a log directory (offsets of all partitions, whose it is, how it was left) and of a
//! partition (epochs, topic id, cap of the recovery point).

use std::path::Path;
use std::sync::Arc;

use raftsman_log::dir::LogDirectory;
use raftsman_log::fs::{FileSystem, MemoryFs};

use super::log_files::{self, Files, GOOD};
use crate::input::Input;
use crate::memory::bounded;

const OF_DIRECTORIES: &[&str] = &[
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "log-start-offset-checkpoint",
    "meta.properties",
    ".kafka_cleanshutdown",
];
const OF_PARTITIONS: &[&str] = &["leader-epoch-checkpoint", "partition.metadata", "recovery-point-cap"];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let chosen = input.below(OF_DIRECTORIES.len() + OF_PARTITIONS.len());
    match chosen.checked_sub(OF_DIRECTORIES.len()) {
        None => of_directory(OF_DIRECTORIES[chosen], input.all()),
        Some(chosen) => of_partition(OF_PARTITIONS[chosen], &mut input),
    }
}

fn of_directory(name: &str, bytes: &[u8]) {
    let fs = MemoryFs::new();
    fs.create_directories(Path::new("/data")).expect("memory takes directories");
    log_files::write(&fs, &Path::new("/data").join(name), bytes);
    let shared: Arc<dyn FileSystem> = Arc::new(fs);
    let directory = LogDirectory::open(shared, "/data").expect("an empty directory opens");
    // A file of our own making is read; any other may be refused.
    bounded(bytes.len(), 8 << 10, || {
        if let Ok(offsets) = directory.read_recovery_points() {
            directory.write_recovery_points(&offsets).expect("memory takes files");
            assert_eq!(directory.read_recovery_points().ok(), Some(offsets), "offsets come back");
        }
    });
    drop(bounded(bytes.len(), 8 << 10, || directory.read_high_watermarks()));
    drop(bounded(bytes.len(), 8 << 10, || directory.read_log_start_offsets()));
    drop(bounded(bytes.len(), 8 << 10, || directory.take_clean_shutdown()));
    if let Ok(Some(properties)) = bounded(bytes.len(), 8 << 10, || directory.read_meta_properties()) {
        directory.write_meta_properties(&properties).expect("memory takes files");
        assert_eq!(directory.read_meta_properties().ok().flatten(), Some(properties), "properties come back");
    }
}

fn of_partition(name: &str, input: &mut Input<'_>) {
    let clean = input.flag();
    let mut files: Files = GOOD.clone();
    files.retain(|(other, _)| other != name);
    files.push((name.to_owned(), input.all().to_vec()));
    log_files::check(&files, clean, 8);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "0\n2\ntopic 0 17\nother-topic 3 0\n",
        "0\n1\nt 0 9223372036854775807\n",
        "0\n0\n",
        "version=1\ncluster.id=abcdefghijklmnopqrstuv\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n",
        "{\"version\":0,\"brokerEpoch\":12}",
    ];
    let mut all = Vec::new();
    for number in 0..OF_DIRECTORIES.len() {
        all.extend(texts.iter().map(|text| [&[number as u8][..], text.as_bytes()].concat()));
    }
    for (index, name) in OF_PARTITIONS.iter().enumerate() {
        let number = (OF_DIRECTORIES.len() + index) as u8;
        let files = GOOD.iter().filter(|(other, _)| other == name);
        all.extend(files.map(|(_, bytes)| [&[number, 1][..], bytes].concat()));
        all.push([&[number, 0][..], b"0\n2\n0 0\n3 12\n"].concat());
    }
    all
}
