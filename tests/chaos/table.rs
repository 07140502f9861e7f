//! The table of a campaign.

use std::fmt::Write;
use std::time::Duration;

use crate::fault::FAULTS;
use crate::run::{Report, Run};
use crate::workload::WORKLOADS;

/// What became of every run.
#[derive(Default)]
pub struct Table {
    runs: Vec<(Run, Result<Report, String>)>,
}

impl Table {
    /// One more run.
    pub fn add(&mut self, run: Run, result: Result<Report, String>) {
        self.runs.push((run, result));
    }

    /// The runs that failed, with what failed and the command that repeats them.
    pub fn failures(&self) -> Vec<String> {
        let failed = |(run, result): &(Run, Result<Report, String>)| {
            let error = result.as_ref().err()?;
            Some(format!("{}: {error}", run.command()))
        };
        self.runs.iter().filter_map(failed).collect()
    }

    /// How many runs there were.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Markdown: a line for each fault, with the waits of each workload as p50 and maximum over its strikes.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| fault | runs | failed | acked | unknown: there, not there |");
        let mut rule = String::from("|---|---|---|---|---|");
        for workload in WORKLOADS {
            let _ = write!(text, " {workload}: p50, max ms |");
            rule += "---|";
        }
        let _ = writeln!(text, "\n{rule}");
        for (name, fault) in FAULTS {
            let runs: Vec<_> = self.runs.iter().filter(|(run, _)| run.fault == *fault).collect();
            if runs.is_empty() {
                continue;
            }
            let reports: Vec<&Report> = runs.iter().filter_map(|(_, result)| result.as_ref().ok()).collect();
            let acked: usize = reports.iter().map(|report| report.judgement.acked).sum();
            let present: usize = reports.iter().map(|report| report.judgement.indeterminate.present).sum();
            let absent: usize = reports.iter().map(|report| report.judgement.indeterminate.absent).sum();
            let failed = runs.len() - reports.len();
            let _ = write!(text, "| {name} | {} | {failed} | {acked} | {present}, {absent} |", runs.len());
            for workload in WORKLOADS {
                let of_it = runs.iter().filter(|(run, _)| run.workload == *workload);
                let waits =
                    of_it.filter_map(|(_, result)| result.as_ref().ok()).flat_map(|report| report.waits.clone());
                let _ = write!(text, " {} |", spread(waits.collect()));
            }
            text.push('\n');
        }
        text
    }
}

fn spread(mut waits: Vec<Duration>) -> String {
    waits.sort();
    match waits.last() {
        None => "–".to_owned(),
        Some(longest) => format!("{}, {}", waits[(waits.len() - 1) / 2].as_millis(), longest.as_millis()),
    }
}
