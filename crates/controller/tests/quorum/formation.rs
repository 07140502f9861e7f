use raftsman_controller::{ControllerConfig, StartError, Voter};
use raftsman_types::BrokerId;

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

/// Moves a node to another address; its own list says so, those of the others do not.
fn move_away(quorum: &mut Quorum, index: usize, wiped: bool) {
    quorum.nodes[index].stop();
    let lists: Vec<Voter> = quorum.config(index).voters;
    quorum.nodes[index].move_to_another_address();
    if wiped {
        quorum.nodes[index].wipe();
    }
    let mut config = ControllerConfig { voters: lists, ..quorum.config(index) };
    let own = config.voters.iter_mut().find(|voter| voter.node_id == config.node_id).unwrap();
    (own.host, own.port) = (quorum.nodes[index].host.clone(), quorum.nodes[index].port);
    quorum.nodes[index].try_start(config).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_moves_with_its_own_list_changed_alone() {
    for wiped in [false, true] {
        let mut quorum = Quorum::started(3).await;
        let active = quorum.until_whole().await;
        let (moved, third) = ((active + 1) % 3, (active + 2) % 3);
        let lists = quorum.config(third).voters;
        move_away(&mut quorum, moved, wiped);
        let version = quorum.nodes[active].health().metadata_version;
        quorum.nodes[moved].until("back", |h| h.metadata_version >= version && h.voters == 3 && h.learners == 0).await;
        // The two that are left need each other: the third one is gone, and the others' lists name the old address.
        quorum.nodes[third].stop();
        quorum.nodes[active].stop();
        let config = ControllerConfig { voters: lists, ..quorum.config(active) };
        quorum.nodes[active].try_start(config).unwrap();
        quorum.active().await;
        quorum.nodes[moved].until("led", |h| h.active_controller.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_under_a_living_nodes_id_is_refused() {
    let quorum = Quorum::started(1).await;
    let mut double = Node::new(1);
    let bootstrap_servers = vec![(quorum.nodes[0].host.clone(), quorum.nodes[0].port)];
    double.try_start(ControllerConfig { bootstrap_servers, ..double.config() }).unwrap();
    let failure = double.until("refused for good", |h| h.failure.is_some()).await.failure.unwrap();
    assert!(failure.contains("node.id 1 is the active controller's own"), "{failure}");
    let health = quorum.nodes[0].health();
    assert!(health.is_active && (health.voters, health.learners) == (1, 0), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_controller_that_lost_its_log_says_so_and_stops() {
    let quorum = Quorum::of(1);
    let config = ControllerConfig { earlier_life: Some("data/orders-0 is there".into()), ..quorum.config(0) };
    let mut node = quorum.nodes.into_iter().next().unwrap();
    node.try_start(config).unwrap();
    let failure = node.until("refused", |h| h.failure.is_some()).await.failure.unwrap();
    assert!(failure.contains("data/orders-0 is there") && failure.contains("backup"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_that_lost_their_logs_form_nothing_but_join_who_has_it() {
    let mut quorum = Quorum::of(3);
    // Two of three are a majority, but these were in a cluster before.
    for index in [0, 1] {
        let config = ControllerConfig { earlier_life: Some("of before".into()), ..quorum.config(index) };
        quorum.nodes[index].try_start(config).unwrap();
    }
    assert_nothing_forms(&quorum).await;
    // Nor does the third one form it with them.
    quorum.start(2);
    assert_nothing_forms(&quorum).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_log_joins_the_others() {
    let mut quorum = Quorum::of(3);
    let config = ControllerConfig { earlier_life: Some("of before".into()), ..quorum.config(0) };
    quorum.nodes[0].try_start(config).unwrap();
    quorum.start(1);
    quorum.start(2);
    quorum.until_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_forms_from_different_lists_until_they_agree() {
    let mut quorum = Quorum::of(3);
    let mut config = quorum.config(1);
    config.voters.push(Voter { node_id: BrokerId(4), host: "127.0.0.1".into(), port: 1 });
    config.voters.reverse();
    quorum.start(0);
    quorum.nodes[1].try_start(config).unwrap();
    assert_nothing_forms(&quorum).await;
    quorum.nodes[1].stop();
    // Another order is the same list.
    let mut config = quorum.config(1);
    config.voters.reverse();
    quorum.nodes[1].try_start(config).unwrap();
    quorum.active().await;
}

/// For a while longer than a formation takes.
async fn assert_nothing_forms(quorum: &Quorum) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(2), quorum.active()).await;
    assert!(waited.is_err(), "a cluster was formed");
}

async fn members(quorum: &Quorum, index: usize) -> Vec<i32> {
    let mut client = quorum.nodes[index].client().await;
    let asked = client.describe_quorum(raftsman_rpc::controller::DescribeQuorumRequest {});
    let reply = tokio::time::timeout(LIMIT, asked).await.unwrap().unwrap().into_inner();
    let mut members: Vec<i32> = reply.members.iter().map(|member| member.node_id).collect();
    members.sort_unstable();
    members
}
