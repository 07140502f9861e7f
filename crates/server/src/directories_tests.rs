use std::fs;
use std::path::{Path, PathBuf};

use raftsman_log::dir::LogDirectory;

use super::directories::{Directories, DirectoriesError};
use super::wiring::METADATA_DIRECTORY;

fn counting() -> impl FnMut() -> [u8; 16] {
    let mut next = 0;
    move || {
        next += 1;
        [next; 16]
    }
}

fn two() -> (tempfile::TempDir, Vec<PathBuf>) {
    let root = tempfile::tempdir().unwrap();
    let paths = vec![root.path().join("a"), root.path().join("deep/b")];
    (root, paths)
}

#[test]
fn empty_directories_format_themselves_once() {
    let (_root, paths) = two();
    let mut first = Directories::prepare(&paths, None, 7, counting()).unwrap();
    assert_eq!(first.cluster_id(), None);
    first.complete("some-cluster").unwrap();
    let ids: Vec<_> = paths.iter().map(|path| first.directory_id(path)).collect();
    drop(first);
    let again = Directories::prepare(&paths, None, 7, counting()).unwrap();
    assert_eq!(again.cluster_id(), Some("some-cluster"));
    for (path, id) in paths.iter().zip(ids) {
        assert_eq!(again.directory_id(path), id);
        let text = fs::read_to_string(path.join("meta.properties")).unwrap();
        for line in ["version=1", "cluster.id=some-cluster", "node.id=7", "directory.id="] {
            assert!(text.contains(line), "{text}");
        }
    }
    assert_ne!(again.directory_id(&paths[0]), again.directory_id(&paths[1]));
}

#[test]
fn another_nodes_directory_is_refused() {
    let (_root, paths) = two();
    Directories::prepare(&paths, None, 7, counting()).unwrap();
    let error = Directories::prepare(&paths, None, 8, counting()).unwrap_err().to_string();
    assert!(error.contains("node.id=7") && error.contains("node.id=8") && !error.contains('\n'), "{error}");
}

#[test]
fn directories_of_two_clusters_are_refused() {
    let (_root, paths) = two();
    for (path, id) in paths.iter().zip(["one", "two"]) {
        Directories::prepare(std::slice::from_ref(path), None, 7, || [id.len() as u8 + id.as_bytes()[0]; 16])
            .unwrap()
            .complete(id)
            .unwrap();
    }
    let error = Directories::prepare(&paths, None, 7, counting()).unwrap_err().to_string();
    assert!(error.contains("cluster.id=one") && error.contains("cluster.id=two"), "{error}");
}

#[test]
fn a_copied_directory_is_refused() {
    let (_root, paths) = two();
    Directories::prepare(&paths, None, 7, || [5; 16]).unwrap();
    let error = Directories::prepare(&paths, None, 7, counting()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("copy"), "{error}");
}

#[test]
fn a_directory_with_data_is_never_formatted_anew() {
    let (_root, paths) = two();
    Directories::prepare(&paths, None, 7, counting()).unwrap();
    for (path, content) in paths.iter().zip(["orders-12", METADATA_DIRECTORY]) {
        fs::remove_file(path.join("meta.properties")).unwrap();
        fs::create_dir(path.join(content)).unwrap();
        let error = Directories::prepare(std::slice::from_ref(path), None, 7, counting()).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains(content), "{error}");
        assert!(error.contains("meta.properties") && !error.contains('\n'), "{error}");
        assert!(!path.join("meta.properties").exists());
        fs::remove_dir(path.join(content)).unwrap();
    }
    // What every mounted disk has is no data.
    fs::create_dir(paths[0].join("lost+found")).unwrap();
    assert_eq!(Directories::prepare(&paths, None, 7, counting()).unwrap().earlier_life(), None);
}

#[test]
fn an_earlier_life_shows() {
    let (_root, paths) = two();
    assert_eq!(Directories::prepare(&paths, None, 7, counting()).unwrap().earlier_life(), None, "the first start");
    fs::create_dir(paths[1].join("orders-0")).unwrap();
    let with_replicas = Directories::prepare(&paths, None, 7, counting()).unwrap().earlier_life().unwrap();
    assert!(with_replicas.contains("deep/b/orders-0"), "{with_replicas}");
    fs::remove_dir(paths[1].join("orders-0")).unwrap();
    let mut again = Directories::prepare(&paths, None, 7, counting()).unwrap();
    assert_eq!(again.earlier_life(), None, "it found no cluster");
    again.complete("some-cluster").unwrap();
    drop(again);
    let joined = Directories::prepare(&paths, None, 7, counting()).unwrap().earlier_life().unwrap();
    assert!(joined.contains("meta.properties"), "{joined}");
}

#[test]
fn a_damaged_meta_properties_is_one_clear_line() {
    let (_root, paths) = two();
    Directories::prepare(&paths, None, 7, counting()).unwrap();
    fs::write(paths[1].join("meta.properties"), "version=1\nnode.").unwrap();
    let error = Directories::prepare(&paths[1..], None, 7, counting()).unwrap_err().to_string();
    assert!(error.contains("deep/b/meta.properties") && error.contains("node.") && !error.contains('\n'), "{error}");
}

#[test]
fn a_directory_of_kafka_is_taken_over_as_it_is() {
    let (_root, paths) = two();
    let text = "#\n#Fri Nov 20 10:00:00 UTC 2026\nnode.id=7\nversion=1\ndirectory.id=nv4hwGjJTYmYJDFa9B9SFw\n\
                cluster.id=kVTQiJDNRlSb4ZNXo2IT5A\n";
    fs::create_dir(&paths[0]).unwrap();
    fs::write(paths[0].join("meta.properties"), text).unwrap();
    let mut directories = Directories::prepare(&paths[..1], None, 7, counting()).unwrap();
    assert_eq!(directories.cluster_id(), Some("kVTQiJDNRlSb4ZNXo2IT5A"));
    assert_eq!(directories.directory_id(&paths[0]).unwrap().to_string(), "nv4hwGjJTYmYJDFa9B9SFw");
    directories.complete("kVTQiJDNRlSb4ZNXo2IT5A").unwrap();
    let after = fs::read_to_string(paths[0].join("meta.properties")).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(after.lines().any(|l| l == line), "{line} is not in {after}");
    }
}

#[test]
fn locks_last_as_long_as_the_directories_and_can_be_handed_on() {
    let (_root, paths) = two();
    let mut held = Directories::prepare(&paths, None, 7, counting()).unwrap();
    let refused = || {
        let error = Directories::prepare(&paths, None, 7, counting()).map(|_| ()).unwrap_err();
        assert!(matches!(error, DirectoriesError::Locked { .. }), "{error}");
    };
    refused();
    let taken = held.take_locked(&paths[..1]);
    assert_eq!(taken.iter().map(LogDirectory::path).collect::<Vec<_>>(), [&paths[0]]);
    drop(held);
    refused();
    drop(taken);
    Directories::prepare(&paths, None, 7, counting()).unwrap();
}

#[test]
fn a_place_that_cannot_hold_a_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let error = Directories::prepare(&[root.path().join("file/data")], None, 7, counting()).unwrap_err().to_string();
    assert!(error.contains("file/data") && !error.contains('\n'), "{error}");
}

/// Replaces a directory by a plain file: permissions do not keep root out.
fn fail(path: &Path) {
    fs::rename(path, path.with_extension("away")).unwrap();
    fs::write(path, "").unwrap();
}

#[test]
fn a_node_goes_on_without_a_failed_directory_while_it_has_another() {
    let (_root, paths) = two();
    let metadata_log_dir = Some(paths[0].as_path());
    let mut first = Directories::prepare(&paths, metadata_log_dir, 7, counting()).unwrap();
    let id = first.directory_id(&paths[1]);
    first.complete("some-cluster").unwrap();
    drop(first);
    fail(&paths[1]);
    let mut left = Directories::prepare(&paths, metadata_log_dir, 7, counting()).unwrap();
    assert_eq!((left.failed(), left.cluster_id()), (&paths[1..], Some("some-cluster")));
    assert_eq!((left.directory_id(&paths[1]), left.take_locked(&paths).len()), (None, 1));
    drop(left);
    fs::remove_file(&paths[1]).unwrap();
    fs::rename(paths[1].with_extension("away"), &paths[1]).unwrap();
    let back = Directories::prepare(&paths, metadata_log_dir, 7, counting()).unwrap();
    assert_eq!((back.failed().len(), back.directory_id(&paths[1])), (0, id));
}

#[test]
fn without_the_metadata_log_or_any_of_log_dirs_there_is_no_start() {
    for (failed, metadata_log_dir) in [(&[0][..], Some(0)), (&[0, 1], None), (&[1], Some(1))] {
        let (_root, paths) = two();
        Directories::prepare(&paths, None, 7, counting()).unwrap();
        failed.iter().for_each(|index: &usize| fail(&paths[*index]));
        let metadata_log_dir = metadata_log_dir.map(|index: usize| paths[index].as_path());
        let error = Directories::prepare(&paths, metadata_log_dir, 7, counting()).unwrap_err().to_string();
        assert!(error.contains(&paths[failed[0]].display().to_string()) && !error.contains('\n'), "{error}");
    }
    // A metadata log in a directory of its own is no log directory that is left.
    let (root, paths) = two();
    paths.iter().for_each(|path| fs::create_dir_all(path).unwrap());
    paths.iter().for_each(|path| fail(path));
    let own = root.path().join("metadata");
    assert!(Directories::prepare(&paths, Some(&own), 7, counting()).is_err());
}

#[test]
fn whose_a_directory_is_may_stay_open_beside_others_but_not_be_somebody_elses() {
    let (_root, paths) = two();
    Directories::prepare(&paths, None, 7, counting()).unwrap();
    fs::create_dir(paths[1].join("orders-0")).unwrap();
    let properties = paths[1].join("meta.properties");
    let text = fs::read_to_string(&properties).unwrap();
    fs::write(&properties, "version=1\nnode.").unwrap();
    assert_eq!(Directories::prepare(&paths, None, 7, counting()).unwrap().failed(), &paths[1..]);
    fs::remove_file(&properties).unwrap();
    let unclaimed = Directories::prepare(&paths, None, 7, counting()).unwrap();
    assert_eq!(unclaimed.failed(), &paths[1..]);
    assert!(!properties.exists(), "nobody says now whose it is");
    let earlier_life = unclaimed.earlier_life().unwrap();
    assert!(earlier_life.contains("deep/b cannot be read"), "{earlier_life}");
    drop(unclaimed);
    fs::write(&properties, text.replace("node.id=7", "node.id=8")).unwrap();
    let error = Directories::prepare(&paths, None, 7, counting()).unwrap_err();
    assert!(matches!(error, DirectoriesError::WrongNode { .. }), "{error}");
}
