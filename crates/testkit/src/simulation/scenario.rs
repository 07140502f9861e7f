use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::nemesis::Fault;

/// One course of a simulation: everything else follows from these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What the generators start from.
    pub seed: u64,
    /// How many brokers there are.
    pub brokers: i32,
    /// How many of the nodes are controllers, too.
    pub controllers: i32,
    /// How many topics are made in the beginning.
    pub topics: usize,
    /// Partitions of each of them.
    pub partitions: i32,
    /// Clients that produce.
    pub producers: usize,
    /// Clients that read.
    pub consumers: usize,
    /// Consumer groups, each of a topic of its own.
    pub groups: usize,
    /// Members of each of them.
    pub members: usize,
    /// Whether a broker joins, and brokers are unregistered.
    pub reshapes: bool,
    /// Whether topics come and go and settings change.
    pub administers: bool,
    /// Whether logs are compacted, retention is busy and records are deleted.
    pub living: bool,
    /// Whether replication is throttled, now this replica's, now that one's.
    pub throttles: bool,
    /// `durability` of the topics: `written` or else `flushed`.
    pub written: bool,
    /// For how long faults happen.
    pub stormy: Duration,
    /// The pause between two faults, on average.
    pub fault_interval: Duration,
    /// Which faults happen.
    pub faults: Vec<Fault>,
    /// How many faults at most.
    pub faults_max: u32,
}

impl Scenario {
    /// What a seed stands for.
    pub fn from_seed(seed: u64) -> Scenario {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed_0000_0000_0001);
        let controllers = if rng.random_range(0..6) == 0 { 1 } else { 3 };
        let written = rng.random_range(0..4) == 0;
        // Each run has some of the faults: those that have all of them find what needs many of one kind too rarely.
        let share = rng.random_range(2..10);
        let mut faults: Vec<Fault> = Fault::ALL.iter().copied().filter(|_| rng.random_range(0..10) < share).collect();
        if written {
            faults.retain(|fault| !matches!(fault, Fault::PowerCutAll));
        }
        // From numbers of their own: what came later changes nothing of what a seed stood for before.
        let mut later = StdRng::seed_from_u64(seed ^ 0x5eed_0000_0000_0002);
        let mut latest = StdRng::seed_from_u64(seed ^ 0x5eed_0000_0000_0003);
        let groups = if later.random_range(0..2) == 0 { later.random_range(1..3) } else { 0 };
        Scenario {
            seed,
            groups,
            members: later.random_range(1..4),
            reshapes: later.random_range(0..4) == 0,
            living: later.random_range(0..3) == 0,
            throttles: latest.random_range(0..4) == 0,
            brokers: if rng.random_range(0..4) == 0 { 5 } else { 3 },
            controllers,
            topics: rng.random_range(1..3),
            partitions: rng.random_range(1..3),
            producers: rng.random_range(1..4),
            consumers: rng.random_range(1..3),
            administers: rng.random_range(0..3) == 0,
            written,
            stormy: Duration::from_millis(rng.random_range(4000..12_000)),
            fault_interval: Duration::from_millis([150, 400, 1000, 2500][rng.random_range(0..4)]),
            faults,
            faults_max: u32::MAX,
        }
    }
}

impl Scenario {
    /// The least `min.insync.replicas` of any topic. What is only written is lost with the power, so of `n` replicas that have to
    /// be in sync `n - 1` may lose theirs: with 1 a single power cut loses data, and may.
    pub(super) fn min_insync_least(&self) -> i32 {
        if self.written && self.faults.contains(&Fault::PowerCut) { 2 } else { 1 }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        write!(
            f,
            "seed={} brokers={} controllers={} topics={} partitions={} producers={} consumers={} groups={} members={} reshapes={} living={} throttles={} administers={} written={} \
             stormy_ms={} fault_interval_ms={} faults_max={} faults={}",
            self.seed,
            self.brokers,
            self.controllers,
            self.topics,
            self.partitions,
            self.producers,
            self.consumers,
            self.groups,
            self.members,
            self.reshapes,
            self.living,
            self.throttles,
            self.administers,
            self.written,
            self.stormy.as_millis(),
            self.fault_interval.as_millis(),
            self.faults_max,
            faults.join(",")
        )
    }
}

impl FromStr for Scenario {
    type Err = String;

    /// Reads what `Display` wrote: the seed's own scenario where a key is not given.
    fn from_str(text: &str) -> Result<Scenario, String> {
        fn parse<T: FromStr>(key: &str, value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("{key}={value} is no value for it"))
        }
        let pairs: Vec<(&str, &str)> = text.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        let seed = pairs.iter().find(|(key, _)| *key == "seed").ok_or("there is no seed= in it")?;
        let mut scenario = Scenario::from_seed(parse("seed", seed.1)?);
        for (key, value) in pairs {
            match key {
                "seed" => {}
                "brokers" => scenario.brokers = parse(key, value)?,
                "controllers" => scenario.controllers = parse(key, value)?,
                "topics" => scenario.topics = parse(key, value)?,
                "partitions" => scenario.partitions = parse(key, value)?,
                "producers" => scenario.producers = parse(key, value)?,
                "consumers" => scenario.consumers = parse(key, value)?,
                "groups" => scenario.groups = parse(key, value)?,
                "members" => scenario.members = parse(key, value)?,
                "reshapes" => scenario.reshapes = parse(key, value)?,
                "living" => scenario.living = parse(key, value)?,
                "throttles" => scenario.throttles = parse(key, value)?,
                "administers" => scenario.administers = parse(key, value)?,
                "written" => scenario.written = parse(key, value)?,
                "stormy_ms" => scenario.stormy = Duration::from_millis(parse(key, value)?),
                "fault_interval_ms" => scenario.fault_interval = Duration::from_millis(parse(key, value)?),
                "faults_max" => scenario.faults_max = parse(key, value)?,
                "faults" => {
                    let names = value.split(',').filter(|name| !name.is_empty());
                    scenario.faults = names.map(Fault::from_str).collect::<Result<_, _>>()?;
                }
                other => return Err(format!("{other} is nothing a scenario has")),
            }
        }
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a failing seed prints is what replays it.
    #[test]
    fn a_scenario_is_read_as_it_was_written() {
        for seed in 0..500 {
            let scenario = Scenario::from_seed(seed);
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        let own = Scenario {
            brokers: 4,
            controllers: 2,
            topics: 9,
            partitions: 8,
            producers: 7,
            consumers: 6,
            groups: 5,
            members: 4,
            reshapes: true,
            administers: true,
            living: true,
            throttles: true,
            written: true,
            stormy: Duration::from_millis(1234),
            fault_interval: Duration::from_millis(56),
            faults: vec![Fault::Wipe],
            faults_max: 78,
            seed: 9,
        };
        assert_eq!(own.to_string().parse(), Ok(own.clone()));
        let quiet = Scenario { faults: Vec::new(), ..own };
        assert_eq!(quiet.to_string().parse(), Ok(quiet));
    }

    #[test]
    fn what_is_not_said_is_the_seeds_own() {
        let scenario: Scenario = "seed=3 brokers=5".parse().expect("a scenario");
        assert_eq!(scenario, Scenario { brokers: 5, ..Scenario::from_seed(3) });
    }

    #[test]
    fn what_is_no_scenario_is_refused_by_name() {
        for (text, named) in [
            ("brokers=3", "seed="),
            ("seed=x", "seed=x"),
            ("seed=1 brokers=many", "brokers=many"),
            ("seed=1 nodes=3", "nodes"),
            ("seed=1 faults=Kill,Flood", "Flood"),
        ] {
            let error = text.parse::<Scenario>().expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
