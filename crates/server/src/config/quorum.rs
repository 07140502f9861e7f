//! Who the controllers are: `controller.quorum.voters`, or `controller.quorum.bootstrap.servers` (KIP-853).

use super::endpoint::{Endpoint, VoterAddress, parse_host_port};
use super::error::ConfigError;
use super::settings::Settings;

/// The controllers a node is told of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Quorum {
    pub voters: Vec<VoterAddress>,
    pub bootstrap_servers: Vec<(String, u16)>,
}

impl Quorum {
    /// Reads both keys, and makes a node with the controller role that names nobody but itself a quorum of one.
    pub fn derive(
        settings: &Settings,
        node_id: i32,
        is_controller: bool,
        own: Option<(&Endpoint, &Endpoint)>,
    ) -> Result<Quorum, ConfigError> {
        let key = "controller.quorum.voters";
        let allowed = "a list of id@host:port, as in 1@c1:9093,2@c2:9093,3@c3:9093";
        let voters: Vec<VoterAddress> = settings
            .list(key)
            .into_iter()
            .map(|text| VoterAddress::parse(text).ok_or_else(|| settings.refuse(key, allowed)))
            .collect::<Result<_, _>>()?;
        check_voters(settings, &voters, node_id, is_controller)?;
        let key = "controller.quorum.bootstrap.servers";
        let bootstrap_servers: Vec<(String, u16)> = settings
            .list(key)
            .into_iter()
            .map(|text| {
                let address = parse_host_port(text).filter(|(host, _)| !host.is_empty());
                address.ok_or_else(|| settings.refuse(key, "a list of host:port"))
            })
            .collect::<Result<_, _>>()?;
        let mut quorum = Quorum { voters, bootstrap_servers };
        match own {
            Some(own) if quorum.names_only(own) => {
                quorum.voters = vec![VoterAddress { node_id, host: own.1.host.clone(), port: own.1.port }];
            }
            None if quorum.voters.is_empty() && quorum.bootstrap_servers.is_empty() => {
                return Err(ConfigError::Missing {
                    key: "controller.quorum.voters",
                    why: "a broker without the controller role has to know the controllers; \
                          set it, or controller.quorum.bootstrap.servers"
                        .to_owned(),
                });
            }
            _ => {}
        }
        Ok(quorum)
    }

    /// Nobody is named, or only this node's own controller listener.
    fn names_only(&self, (listener, advertised): (&Endpoint, &Endpoint)) -> bool {
        let is_own = |(host, port): &(String, u16)| {
            let names = [advertised.host.as_str(), listener.host.as_str(), "localhost", "127.0.0.1", "::1"];
            (*port == advertised.port || *port == listener.port) && names.contains(&host.as_str())
        };
        self.voters.is_empty() && self.bootstrap_servers.len() <= 1 && self.bootstrap_servers.iter().all(is_own)
    }
}

fn check_voters(
    settings: &Settings,
    voters: &[VoterAddress],
    node_id: i32,
    is_controller: bool,
) -> Result<(), ConfigError> {
    let key = "controller.quorum.voters";
    for (i, voter) in voters.iter().enumerate() {
        if voters[..i].iter().any(|earlier| earlier.node_id == voter.node_id) {
            return Err(settings.refuse(key, format!("each id once; {} stands twice", voter.node_id)));
        }
        if voters[..i].iter().any(|earlier| (&earlier.host, earlier.port) == (&voter.host, voter.port)) {
            return Err(settings.refuse(key, format!("each address once; {}:{} stands twice", voter.host, voter.port)));
        }
    }
    let listed = voters.iter().any(|voter| voter.node_id == node_id);
    if is_controller && !voters.is_empty() && !listed {
        return Err(
            settings.refuse(key, format!("node.id {node_id} in the list, because process.roles has controller"))
        );
    }
    if !is_controller && listed {
        return Err(settings.refuse(key, format!("no node.id {node_id}, because process.roles has no controller")));
    }
    Ok(())
}
