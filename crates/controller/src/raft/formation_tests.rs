use std::path::Path;
use std::sync::Arc;

use raftsman_types::{BrokerId, DirectoryId, Uuid};

use super::quorum::Quorum;
use super::storage::Storage;
use crate::config::{ControllerConfig, DoorConfig, RaftTimings, Voter};
use crate::decide::ClusterSettings;

async fn quorum(home: &Path) -> Arc<Quorum> {
    let directory_id = DirectoryId(Uuid([5; 16]));
    let voter = |id, port| Voter { node_id: BrokerId(id), host: "127.0.0.1".into(), port };
    let config = ControllerConfig {
        node_id: BrokerId(2),
        voters: vec![voter(1, 1), voter(2, 2), voter(3, 3)],
        bootstrap_servers: Vec::new(),
        advertised_host: String::new(),
        advertised_port: 0,
        metadata_dir: home.to_owned(),
        cluster_id: None,
        directory_id,
        earlier_life: None,
        session_timeout_ms: 1000,
        defaults: ClusterSettings::default(),
        raft: RaftTimings::default(),
        door: DoorConfig::default(),
    };
    let storage = Storage::open(home, config.node_id, directory_id, None).unwrap();
    Quorum::start(&config, storage).await.unwrap()
}

#[tokio::test]
async fn a_promise_binds_to_one_candidate_across_restarts() {
    let home = tempfile::tempdir().unwrap();
    {
        let quorum = quorum(home.path()).await;
        assert!(quorum.promise("first", 11).await.unwrap());
        assert!(!quorum.promise("second", 22).await.unwrap(), "another candidate comes too late");
        assert!(
            quorum.promise("third", 11).await.unwrap(),
            "the candidate starts over: its first attempt formed nothing"
        );
        quorum.stop().await;
    }
    let quorum = quorum(home.path()).await;
    let binding = quorum.identity().binding().unwrap();
    assert_eq!((&*binding.cluster_id, binding.promised_to), ("third", Some(11)));
    assert!(!quorum.promise("second", 22).await.unwrap());
    assert!(quorum.promise("third", 11).await.unwrap(), "asked again it says the same");
}

#[tokio::test]
async fn a_candidate_keeps_its_own_promise_and_a_member_promises_nothing() {
    let home = tempfile::tempdir().unwrap();
    let quorum = quorum(home.path()).await;
    let own_id = quorum.identity().raft_id();
    assert!(quorum.promise("own", own_id).await.unwrap());
    assert!(!quorum.promise("changed", own_id).await.unwrap(), "it may have initialized under the first id");
    assert!(!quorum.promise("other", 11).await.unwrap());
    quorum.raft.initialize(std::collections::BTreeMap::from([(own_id, quorum.directory.own().clone())])).await.unwrap();
    assert!(!quorum.promise("own", own_id).await.unwrap(), "it is pristine no longer");
}
