use std::time::Duration;

use super::{Scenario, run};

/// A smaller scenario that breaks the same rule, found by leaving things out one at a time; the same one if there is none.
/// Runs at most `runs` scenarios.
pub fn shrink(scenario: &Scenario, mut runs: u32) -> Scenario {
    let Some(rule) = run(scenario, false).violation.map(|violation| violation.rule) else { return scenario.clone() };
    let mut smallest = scenario.clone();
    loop {
        let mut smaller = None;
        for candidate in candidates(&smallest) {
            if runs == 0 {
                return smallest;
            }
            runs -= 1;
            if run(&candidate, false).violation.is_some_and(|violation| violation.rule == rule) {
                smaller = Some(candidate);
                break;
            }
        }
        match smaller {
            Some(candidate) => smallest = candidate,
            None => return smallest,
        }
    }
}

/// Everything that is one thing less, the largest savings first.
fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut less = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            candidates.push(candidate);
        }
    };
    less(&|s| s.stormy = s.stormy.mul_f32(0.5).max(Duration::from_millis(1000)));
    less(&|s| s.stormy = s.stormy.mul_f32(0.8).max(Duration::from_millis(1000)));
    less(&|s| s.administers = false);
    less(&|s| s.producers = s.producers.saturating_sub(1).max(1));
    less(&|s| s.consumers = s.consumers.saturating_sub(1));
    less(&|s| s.groups = s.groups.saturating_sub(1));
    less(&|s| s.members = s.members.saturating_sub(1).max(1));
    less(&|s| s.reshapes = false);
    less(&|s| s.living = false);
    less(&|s| s.topics = 1);
    less(&|s| s.partitions = 1);
    less(&|s| s.brokers = 3);
    less(&|s| s.controllers = 1);
    for fault in &scenario.faults {
        less(&|s| s.faults.retain(|kept| kept != fault));
    }
    less(&|s| s.faults_max = s.faults_max.min(200) / 2);
    less(&|s| s.faults_max = s.faults_max.min(200).saturating_sub(1));
    candidates
}
