use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cluster::Place;

/// A folder for the data of one demo, removed in the end unless it is worth looking at.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Makes the folder, among the system's temporary ones.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make() -> io::Result<Scratch> {
        let folder = std::env::temp_dir().join(format!("raftsman-demo-{}-{:08x}", std::process::id(), moment()));
        std::fs::create_dir(&folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        Ok(Scratch { folder, is_kept: false })
    }

    /// Leaves the folder there, and says where that is.
    pub fn keep(&mut self) -> &PathBuf {
        self.is_kept = true;
        &self.folder
    }

    /// Places for nodes: each has a loopback address of its own, as on machines of their own, so that nobody takes the
    /// port of a node that is dead and a redial is refused.
    ///
    /// # Errors
    /// A loopback address cannot be listened on.
    pub fn places(&self, count: u8) -> io::Result<Vec<Place>> {
        let [_, _, a, b] = (std::process::id() ^ moment()).to_be_bytes();
        (1..=count)
            .map(|node| {
                // 127.0.x.y is where everything else on a machine lives.
                let host = Ipv4Addr::new(127, a.max(1), b, node);
                Ok(Place {
                    clients: free_port(host)?,
                    controller: free_port(host)?,
                    directory: self.folder.join(format!("node-{node}")),
                })
            })
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            eprintln!("raftsman demo: {} cannot be removed: {error}", self.folder.display());
        }
    }
}

fn free_port(host: Ipv4Addr) -> io::Result<SocketAddr> {
    TcpListener::bind((host, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| io::Error::new(error.kind(), format!("listening on {host}: {error}")))
}

/// Something that is unlike what it was a moment ago.
fn moment() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_unless_it_is_kept() {
        let mut kept = Scratch::make().unwrap();
        let folder = kept.keep().clone();
        drop(kept);
        assert!(folder.is_dir());
        std::fs::remove_dir(&folder).unwrap();

        let scratch = Scratch::make().unwrap();
        let folder = scratch.folder.clone();
        std::fs::write(folder.join("a-file"), "x").unwrap();
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn every_node_has_an_address_of_its_own() {
        let scratch = Scratch::make().unwrap();
        let places = scratch.places(3).unwrap();
        let mut hosts: Vec<_> = places.iter().map(|place| place.clients.ip()).collect();
        hosts.dedup();
        assert_eq!(hosts.len(), 3);
        assert!(places.iter().all(|place| place.clients.ip() == place.controller.ip()));
    }
}
