use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where named network namespaces live on Linux.
const NAMESPACES: &str = "/run/netns";
/// The host's own number in each network.
const HOST: u8 = 254;

/// A network of the nodes' own: each node in a network namespace, all on a bridge, and the clients in the host's
/// namespace, so that nodes can be cut off each other, their clients, or both, in either direction. Needs root.
///
/// The bridge has a namespace of its own too: the host's packet filter has no say in it. The addresses are of
/// 198.18.0.0/15, which is set aside for tests (RFC 2544).
#[derive(Debug)]
pub struct NodeNetwork {
    /// The namespaces' names begin so: process, then the two bytes that tell networks apart.
    name: String,
    subnet: (u8, u8),
    nodes: usize,
}

impl NodeNetwork {
    /// What is missing on this machine, if anything.
    pub fn what_is_missing() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("network namespaces need root".to_owned());
        }
        ["ip", "iptables", "nsenter"].iter().find_map(|program| {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.is_err().then(|| format!("network namespaces need {program}"))
        })
    }

    /// Makes the network for nodes 1 to `nodes`.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn create(nodes: usize) -> Result<NodeNetwork, String> {
        run(Command::new("mkdir").args(["-p", NAMESPACES]))?;
        // One at a time, so that two do not take the same addresses.
        let lock = File::create("/run/raftsman-test-networks.lock").map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        remove_orphans()?;
        let taken = namespaces()?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let first = std::process::id().wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)) % 512;
        let subnet = (0..512)
            .map(|step| (first + step) % 512)
            .map(|number| (18 + (number / 256) as u8, (number % 256) as u8))
            .find(|(a, b)| !taken.iter().any(|name| name.contains(&format!("-{a}.{b}-"))))
            .ok_or("all 512 networks for tests are taken")?;
        let name = format!("raftsman-{}-{}.{}", std::process::id(), subnet.0, subnet.1);
        let network = NodeNetwork { name, subnet, nodes };
        network.lay_out()?;
        Ok(network)
    }

    fn lay_out(&self) -> Result<(), String> {
        let switch = self.switch();
        let interface = self.host_interface();
        let mut host = vec![format!("netns add {switch}")];
        host.extend(self.node_ids().map(|node| format!("netns add {}", self.namespace(node))));
        host.push(format!("link add {interface} type veth peer name host netns {switch}"));
        for node in self.node_ids() {
            let namespace = self.namespace(node);
            host.push(format!("link add n{node} netns {switch} type veth peer name eth0 netns {namespace}"));
        }
        host.push(format!("address add {}/24 dev {interface}", self.host_address()));
        host.push(format!("link set {interface} up"));
        batch(None, &host)?;
        let mut bridge = vec!["link add bridge type bridge".to_owned()];
        for port in std::iter::once("host".to_owned()).chain(self.node_ids().map(|node| format!("n{node}"))) {
            bridge.push(format!("link set {port} master bridge up"));
        }
        bridge.push("link set bridge up".to_owned());
        batch(Some(&switch), &bridge)?;
        for node in self.node_ids() {
            let inside = [
                format!("address add {}/24 dev eth0", self.address(node)),
                "link set eth0 up".to_owned(),
                "link set lo up".to_owned(),
            ];
            batch(Some(&self.namespace(node)), &inside)?;
        }
        Ok(())
    }

    /// A node's address.
    pub fn address(&self, node: i32) -> Ipv4Addr {
        Ipv4Addr::new(198, self.subnet.0, self.subnet.1, node as u8)
    }

    /// The program, and its arguments, that starts another inside a node's namespace.
    pub fn entrance(&self, node: i32) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={NAMESPACES}/{}", self.namespace(node)), "--".to_owned()]
    }

    /// Loses every packet that `from` sends to `to` from now on. The other direction stays.
    ///
    /// # Panics
    /// When the packet filter cannot be set: the fault would not be there.
    pub fn drop_packets(&self, from: i32, to: i32) {
        self.filter(to, &["-A", "INPUT", "-s", &self.address(from).to_string(), "-j", "DROP"]);
    }

    /// Loses every packet between a node and all clients.
    ///
    /// # Panics
    /// When the packet filter cannot be set.
    pub fn drop_clients(&self, node: i32) {
        self.filter(node, &["-A", "INPUT", "-s", &self.host_address().to_string(), "-j", "DROP"]);
        self.filter(node, &["-A", "OUTPUT", "-d", &self.host_address().to_string(), "-j", "DROP"]);
    }

    /// Ends every loss of packets.
    ///
    /// # Panics
    /// When the packet filter cannot be reset.
    pub fn heal(&self) {
        for node in self.node_ids() {
            self.filter(node, &["-F"]);
        }
    }

    fn filter(&self, node: i32, rule: &[&str]) {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMESPACES}/{}", self.namespace(node))).args(["iptables", "-w"]).args(rule);
        if let Err(error) = run(&mut command) {
            panic!("the packets of node {node} cannot be filtered: {error}");
        }
    }

    fn node_ids(&self) -> impl Iterator<Item = i32> + use<> {
        1..=self.nodes as i32
    }

    fn namespace(&self, node: i32) -> String {
        format!("{}-{node}", self.name)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    fn host_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, self.subnet.0, self.subnet.1, HOST)
    }

    /// Interfaces have names of at most 15 characters.
    fn host_interface(&self) -> String {
        format!("raftsman{}.{}", self.subnet.0, self.subnet.1)
    }
}

impl Drop for NodeNetwork {
    fn drop(&mut self) {
        // The interfaces go with their namespaces.
        for name in self.node_ids().map(|node| self.namespace(node)).chain([self.switch()]) {
            if let Err(error) = run(Command::new("ip").args(["netns", "delete", &name])) {
                eprintln!("namespace {name} is left behind: {error}");
            }
        }
    }
}

/// Removes what processes left that were killed before they could.
fn remove_orphans() -> Result<(), String> {
    for name in namespaces()? {
        let owner = name.strip_prefix("raftsman-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            run(Command::new("ip").args(["netns", "delete", &name]))?;
        }
    }
    Ok(())
}

fn namespaces() -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(NAMESPACES).map_err(|error| format!("{NAMESPACES}: {error}"))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Lets `ip` carry several commands out at once.
fn batch(namespace: Option<&str>, lines: &[String]) -> Result<(), String> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("ip: {error}"))?;
    if let Some(input) = child.stdin.as_mut() {
        input.write_all((lines.join("\n") + "\n").as_bytes()).map_err(|error| format!("ip: {error}"))?;
    }
    finished("ip -batch", &child.wait_with_output().map_err(|error| error.to_string())?)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    finished(&format!("{command:?}"), &output)
}

fn finished(what: &str, output: &std::process::Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
