use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use raftsman_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::clients::{java, succeed};

const PATIENCE: Duration = Duration::from_secs(180);
const PROPERTIES: &str = "kafka.properties";
const OUTPUT: &str = "kafka.log";
const PID: &str = "kafka.pid";

/// A broker of Apache Kafka itself: one node, KRaft, on a loopback address.
pub struct RealKafka {
    /// What clients are told.
    pub bootstrap_servers: String,
    /// Its `log.dirs`.
    pub data: PathBuf,
    directory: PathBuf,
    child: Child,
}

/// The cluster it is formatted for.
pub const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

impl RealKafka {
    /// Formats a directory below `directory` and starts the broker on it.
    pub fn start(directory: &Path) -> RealKafka {
        RealKafka::start_with(directory, "")
    }

    /// The same, with more lines in its properties.
    pub fn start_with(directory: &Path, settings: &str) -> RealKafka {
        let data = directory.join("kafka-data");
        let [client, controller] = addresses();
        let properties = directory.join(PROPERTIES);
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://{client},CONTROLLER://{controller}\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@{controller}\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.num.partitions=1\n\
             transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.num.partitions=1\nshare.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n{settings}",
            data.display()
        );
        std::fs::write(&properties, text).expect("a file can be written");
        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
        succeed(format);
        let child = launch(directory);
        let mut kafka = RealKafka { bootstrap_servers: client, data, directory: directory.to_owned(), child };
        kafka.wait_until_listening();
        kafka
    }

    /// Kills it in mid-work; `start_again` goes on with what it left.
    pub fn kill(&mut self) {
        let pid = std::fs::read_to_string(self.directory.join(PID)).expect("Kafka's process id was noted");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("it is a process id");
        kill_process(pid, Signal::KILL).expect("a process of our own can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts it on its directory, which its last process has left.
    pub fn start_again(&mut self) {
        self.child = launch(&self.directory);
        self.wait_until_listening();
    }

    fn wait_until_listening(&mut self) {
        wait_until("Kafka to listen", PATIENCE, || {
            assert!(matches!(self.child.try_wait(), Ok(None)), "Kafka ended: {}", self.output());
            std::net::TcpStream::connect(&self.bootstrap_servers).is_ok()
        });
    }

    /// Stops it in good order: its files are as it leaves them.
    pub fn stop(mut self) -> PathBuf {
        self.terminate();
        wait_until("Kafka to stop", PATIENCE, || self.child.try_wait().expect("a child can be asked").is_some());
        self.data.clone()
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a child can be signalled");
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.directory.join(OUTPUT)).unwrap_or_default()
    }
}

impl Drop for RealKafka {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            // `timeout` kills it if it does not go by itself.
            let _ = self.child.wait();
        }
    }
}

/// Starts a broker on a directory that was formatted for it.
fn launch(directory: &Path) -> Child {
    let file = File::options().create(true).append(true).open(directory.join(OUTPUT)).expect("a file can be made");
    let kafka = java("kafka.Kafka");
    // It must not outlive a test that is killed by much. Who is to be killed is not `timeout`, which would leave it alone.
    let mut command = Command::new("timeout");
    command.args(["--kill-after", "60", "900", "sh", "-c", "echo $$ >\"$0\"; exec \"$@\""]).arg(directory.join(PID));
    command.arg(kafka.get_program()).args(kafka.get_args()).arg(directory.join(PROPERTIES)).stdin(Stdio::null());
    command.stdout(file.try_clone().expect("a file can be shared")).stderr(file);
    command.spawn().expect("java can be started")
}

/// Two addresses on a loopback network of this process's own, so that nobody takes the ports before Kafka does.
fn addresses() -> [String; 2] {
    let [_, _, a, b] = std::process::id().to_be_bytes();
    let free = || TcpListener::bind((std::net::Ipv4Addr::new(127, a.max(1), b, 77), 0)).expect("there is a free port");
    let taken = [free(), free()];
    taken.map(|listener| listener.local_addr().expect("a bound listener has an address").to_string())
}
