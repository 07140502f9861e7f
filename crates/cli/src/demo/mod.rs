//! `raftsman demo`: the promise in one command. Three nodes on temporary data, a producer and a consumer that go on
//! while nodes are killed, and in the end the proof that nothing is lost, doubled or out of order.
//!
//! [`story`] is what happens, one step after the other. What it decides is in small pieces without I/O: whom to kill
//! ([`kill_choice`]), whether all is well again ([`topic_state`]), how long the gap was ([`recovery`]), and the table
//! ([`report`]). The judge of what was read is [`raftsman_client::History`].

mod kill_choice;
mod load;
mod progress;
mod reader;
mod recovery;
mod report;
mod scratch;
mod screen;
mod story;
mod tamper;
mod topic_state;

use std::process::ExitCode;
use std::time::Duration;

use scratch::Scratch;
use screen::Screen;
use story::{Plan, Story};
use tamper::Tamper;

use crate::cluster::{EndSignals, Node, lay_out};

const NODES: u8 = 3;
/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;
/// The default rate: so many records a second for each partition, so that a gap is seen to within a few milliseconds.
const RATE_PER_PARTITION: u32 = 200;

/// Show that killed nodes lose nothing: three nodes, a producer, a consumer, and SIGKILL.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many nodes to kill, one after the other: the one that leads most partitions, a follower, the active
    /// controller, and so on.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    kills: u16,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=100))]
    partitions: i32,
    /// Records a second over all partitions [default: 200 for each partition].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Seconds of calm before each kill and in the end.
    #[arg(long, hide = true, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// Alters one acknowledged batch in what was read back: the demo must notice.
    #[arg(long, hide = true)]
    tamper: Option<Tamper>,
}

impl Arguments {
    fn plan(&self) -> Plan {
        Plan {
            kills: usize::from(self.kills),
            partitions: self.partitions,
            rate: self.rate.unwrap_or(RATE_PER_PARTITION * self.partitions.unsigned_abs()),
            calm: Duration::from_secs(u64::from(self.seconds)),
            tamper: self.tamper,
        }
    }
}

/// Plays the demo. To be called on the main thread, outside of any runtime.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("raftsman demo: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ending = runtime.block_on(play(arguments.plan()));
    // Tasks still running belong to a story that has ended.
    runtime.shutdown_background();
    match ending {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Bad) => ExitCode::FAILURE,
        Ok(Ending::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("raftsman demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How a demo ended.
enum Ending {
    Good,
    /// It was played to its end, and the table names the fault.
    Bad,
    Interrupted,
}

/// Plays the demo and clears up after it.
async fn play(plan: Plan) -> Result<Ending, String> {
    let mut end = EndSignals::listen().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let failed = |error: std::io::Error| format!("no place for the nodes: {error}");
    let mut scratch = Scratch::make().map_err(failed)?;
    // The demo's own client dials a node that is back at once, so leadership may come back at once as well.
    let overrides = [("leader.imbalance.check.interval.seconds".to_owned(), "1".to_owned())];
    let nodes = lay_out(scratch.places(NODES).map_err(failed)?, &overrides).into_iter().map(Node::new).collect();
    let screen = Screen::new();
    let mut story = Story::new(plan, nodes, screen);
    let played = tokio::select! {
        played = story.play() => Some(played),
        () = end.received() => None,
    };
    // The nodes die before their data goes.
    story.kill_all().await.map_err(|error| format!("the nodes cannot be killed: {error}"))?;
    match played {
        None => {
            screen.say("Stopped before the end; nothing is left behind.");
            Ok(Ending::Interrupted)
        }
        Some(Ok(report)) if report.is_good() => {
            screen.say(&report.text());
            Ok(Ending::Good)
        }
        Some(Ok(report)) => {
            let folder = scratch.keep().display();
            screen.say(&format!("{}\nThe data and logs of the nodes are left in {folder}.", report.text()));
            Ok(Ending::Bad)
        }
        Some(Err(error)) => {
            // Below the line of the progress.
            screen.say("");
            Err(format!("{error} [the data and logs of the nodes are left in {}]", scratch.keep().display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_partitions_unless_it_is_given() {
        let arguments = |rate| Arguments { kills: 3, partitions: 6, rate, seconds: 2, tamper: None };
        assert_eq!(arguments(None).plan().rate, 1_200);
        assert_eq!(arguments(Some(7)).plan().rate, 7);
    }
}
