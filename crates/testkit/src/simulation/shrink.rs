use std::time::Duration;

use super::{Scenario, run};

/// A smaller scenario that breaks the same rule, found by leaving things out one at a time; the same one if there is none.
/// Runs at most `runs` scenarios.
pub fn shrink(scenario: &Scenario, runs: u32) -> Scenario {
    shrink_by(scenario, runs, |candidate| run(candidate, false).violation.map(|violation| violation.rule))
}

/// The search itself; `broken_by` says which rule a scenario breaks.
fn shrink_by(
    scenario: &Scenario,
    mut runs: u32,
    mut broken_by: impl FnMut(&Scenario) -> Option<&'static str>,
) -> Scenario {
    let Some(rule) = broken_by(scenario) else { return scenario.clone() };
    let mut smallest = scenario.clone();
    loop {
        let mut smaller = None;
        for candidate in candidates(&smallest) {
            if runs == 0 {
                return smallest;
            }
            runs -= 1;
            if broken_by(&candidate) == Some(rule) {
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
    less(&|s| s.throttles = false);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Fault;

    /// Breaks a rule where two producers meet a kill, and another one where a disk is wiped in front of five brokers.
    fn broken_by(scenario: &Scenario) -> Option<&'static str> {
        let has = |fault| scenario.faults.contains(&fault);
        match () {
            () if scenario.brokers == 5 && has(Fault::Wipe) => Some("the other"),
            () if scenario.producers >= 2 && has(Fault::Kill) => Some("the one"),
            () => None,
        }
    }

    fn large() -> Scenario {
        let faults = Fault::ALL.iter().copied().filter(|fault| *fault != Fault::Wipe).collect();
        Scenario {
            producers: 3,
            brokers: 5,
            groups: 2,
            reshapes: true,
            living: true,
            throttles: true,
            faults,
            ..Scenario::from_seed(7)
        }
    }

    #[test]
    fn what_a_rule_does_not_need_is_left_out() {
        let smallest = shrink_by(&large(), 1000, broken_by);
        assert_eq!((smallest.producers, &smallest.faults[..]), (2, &[Fault::Kill][..]));
        assert_eq!((smallest.brokers, smallest.groups, smallest.topics, smallest.consumers), (3, 0, 1, 0));
        assert!(!smallest.reshapes && !smallest.living && !smallest.throttles && !smallest.administers);
        assert!(candidates(&smallest).iter().all(|less| broken_by(less).is_none()), "{smallest}");
    }

    #[test]
    fn it_is_the_same_rule_that_stays_broken() {
        let mut both = large();
        both.faults.push(Fault::Wipe);
        let smallest = shrink_by(&both, 1000, broken_by);
        assert_eq!((smallest.brokers, &smallest.faults[..]), (5, &[Fault::Wipe][..]));
    }

    #[test]
    fn no_more_is_run_than_was_said_and_a_scenario_that_is_well_stays_as_it_is() {
        let mut runs = 0;
        let counted = |scenario: &Scenario| {
            runs += 1;
            broken_by(scenario)
        };
        shrink_by(&large(), 5, counted);
        assert_eq!(runs, 6, "the first look, and five");
        let well = Scenario { producers: 1, ..large() };
        assert_eq!(shrink_by(&well, 1000, broken_by), well);
    }
}
