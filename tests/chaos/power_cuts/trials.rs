use std::time::{Duration, Instant};

use raftsman_testkit::{Found, Load, LoadOptions, LoadReport};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::leftovers::Leftovers;
use super::living::{Care, LifeReport, LivingTopic};
use super::rig::Rig;
use super::{trial_count, turn};

/// A cluster takes so many cuts before the next trial gets a new one.
const TRIALS_PER_CLUSTER: usize = 10;
const PATIENCE: Duration = Duration::from_secs(120);

/// What trials of one kind came to.
#[derive(Default)]
struct Findings {
    trials: usize,
    acked: usize,
    lost: usize,
    trials_with_loss: usize,
    given_up: usize,
    faults: Vec<String>,
    longest_wait: Duration,
    /// Records that compaction and retention took away.
    compacted: usize,
    retained: usize,
    leftovers: Leftovers,
}

#[test]
fn one_node_loses_nothing() {
    let Some(_turn) = turn() else { return };
    trials("flushed", |random| vec![random.random_range(0..3)]).assert_nothing_lost();
}

#[test]
fn all_nodes_lose_nothing() {
    let Some(_turn) = turn() else { return };
    trials("flushed", |_| vec![0, 1, 2]).assert_nothing_lost();
}

/// One of three is no loss under Kafka's rule either: the others have what it lacks, and its new boot id tells that it
/// may lack something.
#[test]
fn one_node_loses_nothing_though_its_acks_were_not_flushed() {
    let Some(_turn) = turn() else { return };
    trials("written", |random| vec![random.random_range(0..3)]).assert_nothing_lost();
}

/// Here the trials are seen to bite: without flushes they lose what was acknowledged.
#[test]
fn all_nodes_lose_acks_that_were_not_flushed() {
    let Some(_turn) = turn() else { return };
    let findings = trials("written", |_| vec![0, 1, 2]);
    assert!(findings.lost > 0, "{} power cuts lost nothing that was never flushed", findings.trials);
}

/// Makes trials; `choose` says whose power is cut in one.
fn trials(durability: &str, choose: impl Fn(&mut StdRng) -> Vec<usize>) -> Findings {
    let mut findings = Findings::default();
    let mut rig: Option<Rig> = None;
    let started = Instant::now();
    // A few without flushes show that the trials bite.
    let usually = if durability == "flushed" { 10 } else { 3 };
    for number in 0..trial_count(usually) {
        if number % TRIALS_PER_CLUSTER == 0 {
            // The old cluster ends first: two would compete for the processors.
            drop(rig.take());
        }
        let rig = rig.get_or_insert_with(|| Rig::start(durability));
        let mut random = StdRng::seed_from_u64(number as u64);
        let nodes = choose(&mut random);
        trial(rig, number, &nodes, &mut random, &mut findings);
    }
    let Findings { trials, acked, lost, trials_with_loss, given_up, longest_wait, .. } = &findings;
    let Findings { compacted, retained, leftovers, .. } = &findings;
    println!(
        "{durability}: {trials} power cuts in {:.0} s, {acked} acked, {lost} of them lost in {trials_with_loss} trials, {given_up} given up; \
         a partition got no ack for {longest_wait:.1?} at the most; {compacted} compacted away, {retained} past \
         retention; left by the cuts: {leftovers}",
        started.elapsed().as_secs_f64()
    );
    findings
}

fn trial(rig: &mut Rig, number: usize, nodes: &[usize], random: &mut StdRng, findings: &mut Findings) {
    let topic = format!("cut-{number}");
    // A few dirty logs are synced one by one, more of them by one sync of the whole disk.
    let partitions = if random.random_bool(0.5) { 3 } else { 12 };
    rig.create_topic(&topic, partitions, &[]);
    let mut options = LoadOptions::new(&topic, partitions);
    options.value_bytes = random.random_range(10..8000);
    if rig.durability == "written" {
        // After a loss the producer's sequences fit no more, and it tries each batch for as long as it may.
        options.on_the_way_max = 5;
        options.producer.delivery_timeout = Duration::from_secs(5);
    }
    let load = Load::start(&rig.cluster.bootstrap_servers(), options);
    // Where acks may be lost rightly, lost records in a compacted log say nothing.
    let loses_nothing = rig.durability == "flushed" || nodes.len() == 1;
    let cares: &[Care] = if loses_nothing { &[Care::Compacted, Care::Retained] } else { &[] };
    let living: Vec<LivingTopic> = cares.iter().map(|care| LivingTopic::start(rig, number, *care)).collect();
    living.iter().for_each(|topic| topic.wait_until_records_go(rig, nodes));
    load.wait_for_acks(random.random_range(1..2000), PATIENCE);
    std::thread::park_timeout(Duration::from_micros(random.random_range(0..30_000)));

    rig.cut(nodes);
    findings.leftovers += rig.power_on(nodes);

    load.wait_for_acks(200, PATIENCE);
    rig.wait_until_in_sync(&topic);
    living.iter().for_each(|topic| rig.wait_until_in_sync(&topic.name));
    let names: Vec<String> = living.iter().map(|topic| topic.name.clone()).chain([topic.clone()]).collect();
    let bootstrap = rig.cluster.bootstrap_servers();
    let ((report, found), lives) = std::thread::scope(|scope| {
        let bootstrap = &bootstrap;
        let ends: Vec<_> = living.into_iter().map(|topic| scope.spawn(|| topic.finish(bootstrap))).collect();
        (load.stop_and_read(), ends.into_iter().map(|end| end.join().expect("a topic can be read")).collect::<Vec<_>>())
    });
    let faults_before = findings.faults.len();
    findings.take_load(number, nodes, &report, &found);
    findings.take_lives(number, &lives);
    if findings.faults.len() > faults_before {
        rig.keep_evidence(&topic);
    }
    names.iter().for_each(|name| rig.delete_topic(name));
}

impl Findings {
    fn take_load(&mut self, number: usize, nodes: &[usize], report: &LoadReport, found: &[Found]) {
        let verdict = report.history.judge(found);
        println!(
            "trial {number}: cut of {nodes:?}, {} acked: {verdict}; {} given up",
            report.history.len(),
            report.given_up.len()
        );
        report.given_up.iter().take(3).for_each(|line| println!("  {line}"));
        self.trials += 1;
        self.acked += report.history.len();
        let lost = verdict.lost.len() + verdict.unseen.len();
        self.lost += lost;
        self.trials_with_loss += usize::from(lost > 0);
        self.given_up += report.given_up.len();
        self.longest_wait = self.longest_wait.max(report.longest_wait);
        if !verdict.is_clean() {
            self.faults.push(format!("trial {number}: {verdict}"));
        }
    }

    fn take_lives(&mut self, number: usize, lives: &[LifeReport]) {
        for life in lives {
            println!("trial {number}: {life}");
            self.acked += life.acked;
            self.given_up += life.given_up;
            *(if life.care == Care::Compacted { &mut self.compacted } else { &mut self.retained }) += life.gone;
            if life.fault.is_some() {
                self.faults.push(format!("trial {number}: {life}"));
            }
        }
    }

    /// Nothing that was promised is missing, and the cuts came in the midst of what they were to come in.
    fn assert_nothing_lost(&self) {
        assert_eq!((self.given_up, &self.faults), (0, &Vec::new()));
        assert!(self.compacted > 0, "nothing was compacted");
        assert!(self.retained > 0, "nothing was past retention");
        assert!(self.leftovers != Leftovers::default(), "no cut came while files were swapped or deleted");
    }
}
