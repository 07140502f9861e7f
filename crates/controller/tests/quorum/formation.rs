use raftsman_controller::{ControllerConfig, StartError};

use crate::cluster::{LIMIT, Node, Quorum};

#[tokio::test(flavor = "multi_thread")]
async fn three_controllers_form_one_cluster_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut quorum = Quorum::of(3);
        for index in order {
            quorum.start(index);
            if index == order[1] {
                // A majority may form before the last one is there.
                quorum.nodes[order[0]].until("bound", |h| h.bound_to.is_some()).await;
            }
        }
        quorum.until_whole().await;
        let mut ids = Vec::new();
        for node in &quorum.nodes {
            ids.push(node.until("formed", |h| h.cluster_id.is_some()).await.cluster_id);
        }
        assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_forms_nothing() {
    let mut quorum = Quorum::of(3);
    quorum.start(1);
    let waited = tokio::time::timeout(std::time::Duration::from_secs(2), quorum.active()).await;
    assert!(waited.is_err(), "one of three must not form a cluster");
    assert_eq!(quorum.nodes[1].health().voters, 0);
    quorum.start(0);
    quorum.active().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_names_only_itself_is_a_cluster_and_others_join_it() {
    let mut first = Node::new(1);
    let bootstrap = vec![(first.host.clone(), first.port)];
    first.try_start(ControllerConfig { bootstrap_servers: bootstrap.clone(), ..first.config() }).unwrap();
    let health = first.until("active", |h| h.is_active && h.cluster_id.is_some()).await;
    assert_eq!((health.voters, health.learners), (1, 0));

    let mut observer = Node::new(7);
    observer.try_start(ControllerConfig { bootstrap_servers: bootstrap, ..observer.config() }).unwrap();
    let version = health.metadata_version;
    let joined = observer.until("caught up", |h| h.metadata_version >= version && h.learners == 1).await;
    assert_eq!(joined.cluster_id, health.cluster_id);
    assert_eq!(joined.active_controller, Some(first.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_cluster_id_is_taken() {
    let mut node = Node::new(1);
    let bootstrap_servers = vec![(node.host.clone(), node.port)];
    let config =
        ControllerConfig { bootstrap_servers, cluster_id: Some("MkU3OEVBNTcwNTJENDM2Qg".into()), ..node.config() };
    node.try_start(config.clone()).unwrap();
    node.until("active", |h| h.is_active && h.cluster_id.is_some()).await;
    assert_eq!(node.health().cluster_id.as_deref(), Some("MkU3OEVBNTcwNTJENDM2Qg"));
    node.stop();
    let other = ControllerConfig { cluster_id: Some("another".into()), ..config };
    match node.try_start(other) {
        Err(StartError::Storage(message)) => {
            assert!(message.contains("MkU3OEVBNTcwNTJENDM2Qg") && message.contains("another"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_stops_and_names_both() {
    let quorum = Quorum::started(1).await;
    let ours = quorum.nodes[0].until("formed", |h| h.cluster_id.is_some()).await.cluster_id.unwrap();
    let mut stranger = Node::new(9);
    let bootstrap_servers = vec![(quorum.nodes[0].host.clone(), quorum.nodes[0].port)];
    let config = ControllerConfig { bootstrap_servers, cluster_id: Some("strangers".into()), ..stranger.config() };
    stranger.try_start(config).unwrap();
    let failure = stranger.until("failed", |h| h.failure.is_some()).await.failure.unwrap();
    assert!(failure.contains("strangers") && failure.contains(&*ours), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_voter_comes_back_as_a_new_member() {
    let mut quorum = Quorum::started(3).await;
    let active = quorum.until_whole().await;
    let lost = (active + 1) % 3;
    quorum.nodes[lost].stop();
    quorum.nodes[lost].wipe();
    quorum.start(lost);
    let version = quorum.nodes[active].health().metadata_version;
    quorum.nodes[lost].until("back", |h| h.metadata_version >= version && h.voters == 3 && h.learners == 0).await;
    let members = members(&quorum, active).await;
    assert_eq!(members, [1, 2, 3], "the lost member's old id is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_active_controller_comes_back_too() {
    let mut quorum = Quorum::started(3).await;
    let lost = quorum.until_whole().await;
    quorum.nodes[lost].stop();
    quorum.active().await;
    quorum.nodes[lost].wipe();
    quorum.start(lost);
    quorum.nodes[lost].until("back", |h| h.metadata_version > 0 && h.voters == 3 && h.learners == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_under_a_living_nodes_id_is_refused() {
    let quorum = Quorum::started(1).await;
    let mut double = Node::new(1);
    let bootstrap_servers = vec![(quorum.nodes[0].host.clone(), quorum.nodes[0].port)];
    double.try_start(ControllerConfig { bootstrap_servers, ..double.config() }).unwrap();
    double.until("bound", |h| h.bound_to.is_some()).await;
    let joined = tokio::time::timeout(std::time::Duration::from_secs(1), double.until("in", |h| h.voters > 0)).await;
    assert!(joined.is_err(), "it must not join");
    assert_eq!(quorum.nodes[0].health().voters, 1);
}

async fn members(quorum: &Quorum, index: usize) -> Vec<i32> {
    let mut client = quorum.nodes[index].client().await;
    let asked = client.describe_quorum(raftsman_rpc::controller::DescribeQuorumRequest {});
    let reply = tokio::time::timeout(LIMIT, asked).await.unwrap().unwrap().into_inner();
    let mut members: Vec<i32> = reply.members.iter().map(|member| member.node_id).collect();
    members.sort_unstable();
    members
}
