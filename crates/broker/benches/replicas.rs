//! What many replicas cost a broker: opening them after it was killed, and holding them.
//!
//! `cargo xtask bench replicas [--replicas N] [--threads N] [--directory D]`. Everything is written below the directory (default
//! `target/bench-replicas`) and removed in the end; each replica takes about 24 KiB there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use raftsman_broker::replica::{
    BoxFuture, ControllerLink, IsrChange, IsrChangeFailure, IsrChangeResult, ReplicaConfig, ReplicaManager,
};
use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::{FileSystem, RealFs};
use raftsman_log::{Log, LogConfig};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{BrokerId, DirectoryId, LeaderEpoch, TopicId, Uuid, WallTime};
use rustix::fs::FlockOperation;

type Failure = Box<dyn std::error::Error>;

const NOW: WallTime = WallTime(1_700_000_000_000);
const PARTITIONS_PER_TOPIC: usize = 100;
const BATCHES: usize = 4;

struct Options {
    replicas: usize,
    threads: usize,
    directory: PathBuf,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench replicas: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-replicas");
    let mut options = Options { replicas: 10_000, threads: 2, directory };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            // What cargo itself hands over.
            "--bench" => {}
            "--replicas" => options.replicas = value()?.parse()?,
            "--threads" => options.threads = value()?.parse()?,
            "--directory" => options.directory = value()?.into(),
            other => return Err(format!("{other} is none of --replicas, --threads, --directory").into()),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), Failure> {
    if options.directory.exists() {
        std::fs::remove_dir_all(&options.directory)?;
    }
    let outcome = measure(options);
    std::fs::remove_dir_all(&options.directory)?;
    outcome
}

fn measure(options: &Options) -> Result<(), Failure> {
    let Options { replicas, threads, directory } = options;
    fill(directory, *replicas)?;
    println!("{replicas} replicas with {BATCHES} batches of 1 KiB each, {threads} threads");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let resident = resident_bytes()?;
    let manager = open(options, runtime.handle(), "opened after a kill that came before any flush")?;
    let each = resident_bytes()?.saturating_sub(resident) as f64 / *replicas as f64;
    println!("  {:<52} {:>8.2} KiB of memory for each, {} open files in all", "held", each / 1024.0, open_files()?);
    // Without a shutdown, which is as good as a kill. Everything was synced when they were opened.
    drop(manager);
    let manager = open(options, runtime.handle(), "opened after another kill (aim: 10,000 in 2 s)")?;
    let meter = Meter::start();
    if !manager.shutdown() {
        return Err("they could not be closed cleanly".into());
    }
    meter.print("closed");
    drop(manager);
    drop(open(options, runtime.handle(), "opened after that")?);
    Ok(())
}

fn open(options: &Options, runtime: &tokio::runtime::Handle, what: &str) -> Result<ReplicaManager, Failure> {
    let config = ReplicaConfig { recovery_threads: options.threads, ..ReplicaConfig::new(BrokerId(1)) };
    let files = free_directory(&options.directory)?;
    let meter = Meter::start();
    let manager = ReplicaManager::open(config, vec![files], Arc::new(NoController), runtime.clone())?;
    let opened = manager.partitions().len();
    if opened != options.replicas {
        return Err(format!("{opened} of {} replicas were opened", options.replicas).into());
    }
    meter.print(what);
    Ok(manager)
}

/// The directory, once the threads of a manager that was dropped have let go of it.
fn free_directory(path: &Path) -> Result<LogDirectory, Failure> {
    let lock = File::options().write(true).create(true).truncate(false).open(path.join(".lock"))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    drop(lock);
    Ok(LogDirectory::open(Arc::new(RealFs::new()), path)?)
}

/// Time, and processor time of all threads, since some moment.
struct Meter {
    began: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Meter {
        Meter { cpu: cpu_seconds(), began: Instant::now() }
    }

    fn print(&self, what: &str) {
        let (seconds, cpu) = (self.began.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        println!("  {what:<52} {seconds:>8.2} s {cpu:>8.2} CPU-s");
    }
}

/// Makes the logs, and drops them without a flush, as a kill does.
fn fill(directory: &Path, replicas: usize) -> Result<(), Failure> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFs::new());
    let files = LogDirectory::open(Arc::clone(&fs), directory)?;
    files.write_meta_properties(&MetaProperties {
        cluster_id: None,
        node_id: BrokerId(1),
        directory_id: Some(DirectoryId(Uuid([3; 16]))),
        has_joined: false,
    })?;
    let config = Arc::new(LogConfig::default());
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW.0, Some(b"key"), Some(&[7; 1000]), &[]);
    let batch = builder.build(0, LeaderEpoch(-1));
    for i in 0..replicas {
        let (topic, partition) = (i / PARTITIONS_PER_TOPIC, (i % PARTITIONS_PER_TOPIC) as i32);
        let path = files.partition_path(&format!("bench{topic}"), partition);
        let mut id = [1; 16];
        id[..8].copy_from_slice(&(topic as u64 + 1).to_be_bytes());
        let config = Arc::clone(&config);
        let (mut log, _) = Log::open(Arc::clone(&fs), path, TopicId(Uuid(id)), config, true, 0, NOW)?;
        for _ in 0..BATCHES {
            log.append_as_leader(batch.clone(), LeaderEpoch(1), NOW)?;
        }
    }
    Ok(())
}

fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn resident_bytes() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

fn open_files() -> Result<usize, Failure> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

/// Nobody leads anything here, so nobody asks.
struct NoController;

impl ControllerLink for NoController {
    fn alter_partition(
        &self,
        _changes: Vec<IsrChange>,
    ) -> BoxFuture<'_, Result<Vec<IsrChangeResult>, IsrChangeFailure>> {
        Box::pin(async { Err(IsrChangeFailure::NotTaken("there is no controller".to_owned())) })
    }

    fn report_unreachable(&self, _broker: BrokerId) {}

    fn directory_offline(&self, directory: DirectoryId) {
        eprintln!("bench replicas: the directory {directory:?} failed");
    }
}
