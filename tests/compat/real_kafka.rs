use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use raftsman_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::clients::{java, succeed};

const PATIENCE: Duration = Duration::from_secs(180);

/// A broker of Apache Kafka itself: one node, KRaft, on a loopback address.
pub struct RealKafka {
    /// What clients are told.
    pub bootstrap_servers: String,
    /// Its `log.dirs`.
    pub data: PathBuf,
    child: Child,
    output: PathBuf,
}

impl RealKafka {
    /// Formats a directory below `directory` and starts the broker on it.
    pub fn start(directory: &Path) -> RealKafka {
        let data = directory.join("kafka-data");
        let [client, controller] = addresses();
        let properties = directory.join("kafka.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://{client},CONTROLLER://{controller}\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@{controller}\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.num.partitions=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n",
            data.display()
        );
        std::fs::write(&properties, text).expect("a file can be written");
        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"]).arg(&properties);
        succeed(format);
        let output = directory.join("kafka.log");
        let file = File::create(&output).expect("a file can be made");
        let kafka = java("kafka.Kafka");
        // It must not outlive a test that is killed by much.
        let mut command = Command::new("timeout");
        command.args(["--kill-after", "60", "600"]).arg(kafka.get_program()).args(kafka.get_args());
        command.arg(&properties).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a file can be shared")).stderr(file);
        let child = command.spawn().expect("java can be started");
        let mut kafka = RealKafka { bootstrap_servers: client.clone(), data, child, output };
        wait_until("Kafka to listen", PATIENCE, || {
            assert!(matches!(kafka.child.try_wait(), Ok(None)), "Kafka ended: {}", kafka.output());
            std::net::TcpStream::connect(&client).is_ok()
        });
        kafka
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
        std::fs::read_to_string(&self.output).unwrap_or_default()
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

/// Two addresses on a loopback network of this process's own, so that nobody takes the ports before Kafka does.
fn addresses() -> [String; 2] {
    let [_, _, a, b] = std::process::id().to_be_bytes();
    let free = || TcpListener::bind((std::net::Ipv4Addr::new(127, a.max(1), b, 77), 0)).expect("there is a free port");
    let taken = [free(), free()];
    taken.map(|listener| listener.local_addr().expect("a bound listener has an address").to_string())
}
