use std::net::SocketAddr;
use std::time::Duration;

use raftsman_client::{Client, ClientError, ClientOptions, ClusterDescription};

/// What one node answers when asked how the cluster is, or why it does not.
pub type View = Result<ClusterDescription, ClientError>;

/// Asks each node, by itself, how it sees the cluster.
pub async fn ask_each(addresses: &[SocketAddr]) -> Vec<(SocketAddr, View)> {
    let mut views = Vec::with_capacity(addresses.len());
    for address in addresses {
        views.push((*address, ask(*address).await));
    }
    views
}

/// A client that turns to one node only.
///
/// # Errors
/// None in practice: the address is well formed.
pub fn client_of(address: SocketAddr) -> Result<Client, ClientError> {
    let patience = Duration::from_secs(2);
    let options = ClientOptions {
        client_id: "raftsman-cluster".to_owned(),
        connect_timeout: patience,
        request_timeout: patience,
        api_timeout: patience,
        ..ClientOptions::default()
    };
    Client::unconnected(&address.to_string(), options)
}

async fn ask(address: SocketAddr) -> View {
    client_of(address)?.describe_cluster().await
}

/// Whether the cluster serves: every node sees every node, none fenced, and the same active controller. If not, why.
pub fn judge(views: &[(SocketAddr, View)]) -> Result<i32, String> {
    let mut controllers = Vec::new();
    for (address, view) in views {
        let cluster = view.as_ref().map_err(|error| format!("{address} does not answer yet: {error}"))?;
        let serving = cluster.brokers.iter().filter(|broker| !broker.is_fenced).count();
        if serving < views.len() {
            return Err(format!("{address} sees {serving} of {} brokers", views.len()));
        }
        controllers.push(cluster.controller_id.ok_or_else(|| format!("{address} sees no active controller"))?);
    }
    match controllers.first() {
        Some(first) if controllers.iter().all(|id| id == first) => Ok(*first),
        _ => Err(format!("the nodes do not agree on the active controller: {controllers:?}")),
    }
}

#[cfg(test)]
mod tests {
    use raftsman_client::NodeDescription;

    use super::*;

    fn view(controller_id: Option<i32>, fenced: &[i32]) -> View {
        let brokers = (1..=2).map(|node_id| NodeDescription {
            node_id,
            host: "h".to_owned(),
            port: 1,
            is_fenced: fenced.contains(&node_id),
        });
        Ok(ClusterDescription { cluster_id: "c".to_owned(), controller_id, brokers: brokers.collect() })
    }

    fn judged(views: [View; 2]) -> Result<i32, String> {
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        judge(&views.map(|view| (address, view)))
    }

    #[test]
    fn ready_means_that_every_node_sees_all_of_them_and_one_controller() {
        assert_eq!(judged([view(Some(2), &[]), view(Some(2), &[])]), Ok(2));
        for (views, why) in [
            ([view(Some(2), &[]), view(Some(2), &[1])], "sees 1 of 2 brokers"),
            ([view(Some(2), &[]), view(None, &[])], "no active controller"),
            ([view(Some(2), &[]), view(Some(1), &[])], "do not agree"),
            ([view(Some(2), &[]), Err(ClientError::Closed)], "does not answer yet"),
        ] {
            let error = judged(views).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
