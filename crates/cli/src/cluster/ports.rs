use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::layout::NodeLayout;

/// Looks whether every address of a cluster can be listened on, before anything is started.
///
/// # Errors
/// One line that names all that cannot, and the remedy.
pub fn check(nodes: &[NodeLayout]) -> Result<(), String> {
    let mut in_use = Vec::new();
    for node in nodes {
        let both = [("clients", node.place.clients), ("controllers", node.place.controller)];
        for (whose, address) in both {
            match TcpListener::bind(address) {
                Ok(_) => (),
                Err(error) if error.kind() == ErrorKind::AddrInUse => in_use.push((node.id, whose, address)),
                Err(error) => {
                    return Err(format!(
                        "cannot listen on {address} for the {whose} of node {}: {error}; choose other ports with \
                         --base-port",
                        node.id
                    ));
                }
            }
        }
    }
    if in_use.is_empty() { Ok(()) } else { Err(describe(&in_use)) }
}

fn describe(in_use: &[(i32, &str, SocketAddr)]) -> String {
    let (ports, is) = if in_use.len() == 1 { ("port", "is") } else { ("ports", "are") };
    let each: Vec<String> = in_use
        .iter()
        .map(|(id, whose, address)| format!("{} (for the {whose} of node {id})", address.port()))
        .collect();
    format!(
        "{ports} {} {is} in use already: stop what listens there, or choose other ports with --base-port",
        each.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Place, lay_out};
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let clients = taken.local_addr().unwrap();
        let place = Place { clients, controller: free, directory: "d".into() };
        let nodes = lay_out(vec![place], &[]);
        let error = check(&nodes).unwrap_err();
        let expected = format!("port {} (for the clients of node 1) is in use already", clients.port());
        assert!(error.starts_with(&expected) && error.ends_with("--base-port"), "{error}");
        drop(taken);
        assert_eq!(check(&nodes), Ok(()));
    }
}
