//! A directory tree as a map, in and out of the file system in memory.

use std::collections::BTreeMap;
use std::path::Path;

use raftsman_log::fs::{FileSystem, MemoryFs, OpenMode};

/// The log directory all files are in.
pub const ROOT: &str = "/data";

/// Content by path below [`ROOT`].
pub type Files = BTreeMap<String, Vec<u8>>;

pub fn read(fs: &MemoryFs) -> Files {
    let mut files = Files::new();
    for entry in fs.list(Path::new(ROOT)).expect("the directory is there") {
        if !entry.is_directory {
            files.insert(entry.name.clone(), content(fs, &entry.name));
            continue;
        }
        for file in fs.list(&Path::new(ROOT).join(&entry.name)).expect("a directory") {
            let path = format!("{}/{}", entry.name, file.name);
            files.insert(path.clone(), content(fs, &path));
        }
    }
    files.remove(".lock");
    files
}

pub fn write(files: &Files) -> MemoryFs {
    let fs = MemoryFs::new();
    fs.create_directories(Path::new(ROOT)).expect("made");
    for (path, bytes) in files {
        let path = Path::new(ROOT).join(path);
        fs.create_directories(path.parent().expect("below the root")).expect("made");
        fs.open(&path, OpenMode::Truncate).expect("opened").write_all_at(bytes, 0).expect("written");
    }
    fs
}

fn content(fs: &MemoryFs, path: &str) -> Vec<u8> {
    let file = fs.open(&Path::new(ROOT).join(path), OpenMode::Read).expect("the file is there");
    let mut bytes = vec![0; file.length().expect("a length") as usize];
    let read = file.read_at(&mut bytes, 0).expect("read");
    assert_eq!(read, bytes.len());
    bytes
}
