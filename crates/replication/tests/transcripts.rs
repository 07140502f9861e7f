//! Steps of the machines and the exact effects of each, in files a person can read and review as a diff.
//!
//! A line that begins with `>` is an event; the lines below it are its effects. `UPDATE_TRANSCRIPTS=1` rewrites them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use raftsman_replication::{
    Durability, Follower, FollowerEffect, FollowerEvent, IsrAnswer, Leader, LeaderEffect, LeaderEvent, LeaderSettings,
    LeadershipView, LogPosition, ReplicaView, SubscribeRequest, SubscriptionKey,
};
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, MonotonicTime, Offset, PartitionEpoch};

/// One event line: its verb, its plain words and its `key=value` pairs.
struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Line<'a> {
        let mut words = text.split_whitespace();
        let verb = words.next().expect("a verb");
        let (pairs, words): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
        Line { verb, words, pairs: pairs.iter().filter_map(|pair| pair.split_once('=')).collect() }
    }

    fn text(&self, key: &str) -> &'a str {
        self.pairs.get(key).unwrap_or_else(|| panic!("{} wants {key}=", self.verb))
    }

    fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or_else(|_| panic!("{key} of {} is no number", self.verb))
    }

    fn number_or(&self, key: &str, default: i64) -> i64 {
        if self.pairs.contains_key(key) { self.number(key) } else { default }
    }

    fn ids(&self, key: &str) -> Vec<BrokerId> {
        self.text(key).split(',').map(|id| BrokerId(id.parse().expect("a broker id"))).collect()
    }

    fn durability(&self) -> Durability {
        match self.pairs.get("durability") {
            Some(&"written") => Durability::Written,
            _ => Durability::Flushed,
        }
    }

    /// `start..end/flushed`
    fn log(&self) -> LogPosition {
        let (range, flushed) = self.text("log").split_once('/').expect("log=start..end/flushed");
        let (start, end) = range.split_once("..").expect("log=start..end/flushed");
        let number = |text: &str| text.parse().expect("an offset");
        LogPosition { start: number(start), end: number(end), flushed: number(flushed) }
    }

    /// `epoch:offset`, or `none`.
    fn epoch_end(&self, key: &str) -> Option<(LeaderEpoch, Offset)> {
        let (epoch, end) = self.text(key).split_once(':')?;
        Some((LeaderEpoch(epoch.parse().expect("an epoch")), end.parse().expect("an offset")))
    }

    /// `broker.stream.subscription`; its broker epoch is ten times the id unless `broker_epoch=` says otherwise.
    fn key(&self) -> SubscriptionKey {
        let parts: Vec<u32> = self.words[0].split('.').map(|part| part.parse().expect("a number")).collect();
        let [broker, stream, subscription] = parts[..] else { panic!("{} is no subscription", self.words[0]) };
        SubscriptionKey {
            broker: BrokerId(broker as i32),
            broker_epoch: BrokerEpoch(self.number_or("broker_epoch", i64::from(broker) * 10)),
            stream: u64::from(stream),
            subscription,
        }
    }

    /// Broker epochs are ten times the id unless `epochs=` says otherwise; `fenced=` lists who is not eligible.
    fn view(&self) -> LeadershipView {
        let fenced = if self.pairs.contains_key("fenced") { self.ids("fenced") } else { Vec::new() };
        let epoch_of = |id: BrokerId| {
            let given = self.pairs.get("epochs").and_then(|epochs| {
                epochs.split(',').find_map(|e| e.split_once(':').filter(|(b, _)| *b == id.to_string()))
            });
            given.map_or(i64::from(id.0) * 10, |(_, epoch)| epoch.parse().expect("a broker epoch"))
        };
        LeadershipView {
            leader_epoch: LeaderEpoch(self.number("epoch") as i32),
            partition_epoch: PartitionEpoch(self.number("pe") as i32),
            replicas: self
                .ids("replicas")
                .into_iter()
                .map(|broker| ReplicaView {
                    broker,
                    broker_epoch: BrokerEpoch(epoch_of(broker)),
                    eligible: !fenced.contains(&broker),
                })
                .collect(),
            isr: self.ids("isr"),
            min_insync_replicas: self.number_or("min", 1) as usize,
            durability: self.durability(),
            recovering: self.words.contains(&"recovering"),
        }
    }

    fn error(&self) -> ErrorCode {
        let name = self.words.last().expect("an error");
        *ErrorCode::ALL.iter().find(|code| code.name() == *name).unwrap_or_else(|| panic!("{name} is no error"))
    }
}

#[derive(Default)]
struct Stage {
    now: MonotonicTime,
    leader: Option<Leader>,
    follower: Option<Follower>,
}

impl Stage {
    fn play(&mut self, line: &Line<'_>) -> Vec<String> {
        if line.verb == "at" {
            self.now = MonotonicTime::from_millis(line.words[0].parse().expect("milliseconds"));
            return Vec::new();
        }
        if line.verb == "lead" {
            return self.lead(line);
        }
        if line.verb == "follow" {
            return self.follow(line);
        }
        if self.leader.is_some() { self.step_leader(line) } else { self.step_follower(line) }
    }

    fn lead(&mut self, line: &Line<'_>) -> Vec<String> {
        let mut effects = Vec::new();
        let settings = LeaderSettings { replica_lag_time_max: Duration::from_secs(30), ..Default::default() };
        let me = BrokerId(line.number("me") as i32);
        let leader = Leader::new(settings, me, line.view(), line.log(), line.number("hw"), self.now, &mut effects);
        self.leader = Some(leader);
        effects.iter().map(show_leader).collect()
    }

    fn step_leader(&mut self, line: &Line<'_>) -> Vec<String> {
        let event = leader_event(line);
        let leader = self.leader.as_mut().expect("lead comes first");
        let mut effects = Vec::new();
        if line.verb == "may-append?" {
            return vec![format!("{:?}", leader.check_append())];
        }
        leader.step(self.now, event.expect("an event"), &mut effects);
        effects.iter().map(show_leader).collect()
    }

    fn follow(&mut self, line: &Line<'_>) -> Vec<String> {
        let last = LeaderEpoch(line.number("last") as i32);
        self.follower = Some(Follower::new(
            BrokerId(line.number("leader") as i32),
            LeaderEpoch(line.number("epoch") as i32),
            line.durability(),
            line.log(),
            (last, last),
            line.number("hw"),
        ));
        Vec::new()
    }

    fn step_follower(&mut self, line: &Line<'_>) -> Vec<String> {
        let follower = self.follower.as_mut().expect("follow comes first");
        let mut effects = Vec::new();
        follower.step(self.now, follower_event(line), &mut effects);
        effects.iter().map(show_follower).collect()
    }
}

fn leader_event(line: &Line<'_>) -> Option<LeaderEvent> {
    let partition_epoch = PartitionEpoch(line.number_or("on", 0) as i32);
    let answered = |answer| Some(LeaderEvent::IsrAnswered { partition_epoch, answer });
    match line.verb {
        "append" => Some(LeaderEvent::Appended { log_end_offset: line.words[0].parse().expect("an offset") }),
        "flush" => Some(LeaderEvent::Flushed { flushed_offset: line.words[0].parse().expect("an offset") }),
        "tick" => Some(LeaderEvent::Tick),
        "view" => Some(LeaderEvent::ViewChanged(line.view())),
        "unsubscribe" => Some(LeaderEvent::Unsubscribed { key: line.key() }),
        "without-room" => Some(LeaderEvent::WithoutRoom { key: line.key() }),
        "ack" => Some(LeaderEvent::Acked {
            key: line.key(),
            written_offset: line.number("written"),
            flushed_offset: line.number("flushed"),
            log_start_offset: line.number_or("start", 0),
        }),
        "log-start" => Some(LeaderEvent::LogStartMoved {
            log_start_offset: line.number("at"),
            kept_log_start_offset: line.number("kept"),
        }),
        "subscribe" => Some(LeaderEvent::Subscribed {
            request: SubscribeRequest {
                key: line.key(),
                leader_epoch: LeaderEpoch(line.number("epoch") as i32),
                log_end_offset: line.number("end"),
                last_epoch: LeaderEpoch(line.number("last") as i32),
                flushed_offset: line.number_or("flushed", line.number("end")),
                log_start_offset: line.number_or("own-start", 0),
            },
            log_start_offset: line.number_or("start", 0),
            epoch_end: line.epoch_end("known"),
        }),
        "committed" => answered(IsrAnswer::Committed),
        "refused" => answered(IsrAnswer::Refused(line.error())),
        "not-taken" => answered(IsrAnswer::NotTaken),
        "unknown" => answered(IsrAnswer::Unknown),
        "may-append?" => None,
        other => panic!("{other} is no event of a leader"),
    }
}

fn follower_event(line: &Line<'_>) -> FollowerEvent {
    let subscription = line.number_or("sub", 0) as u32;
    match line.verb {
        "connected" => FollowerEvent::Connected,
        "disconnected" => FollowerEvent::Disconnected,
        "tick" => FollowerEvent::Tick,
        "named" => FollowerEvent::Named { subscription },
        "data" => FollowerEvent::Data {
            subscription,
            previous_offset: line.number("previous"),
            previous_epoch: LeaderEpoch(line.number("epoch") as i32),
            high_watermark: line.number("hw"),
            log_start_offset: line.number_or("start", 0),
        },
        "appended" => FollowerEvent::Appended {
            log_end_offset: line.number("end"),
            last_epoch: LeaderEpoch(line.number("epoch") as i32),
        },
        "append-refused" => FollowerEvent::AppendRefused,
        "no-room" => FollowerEvent::NoRoom,
        "room" => FollowerEvent::Room,
        "flush" => FollowerEvent::Flushed { flushed_offset: line.words[0].parse().expect("an offset") },
        "watermark" => FollowerEvent::Watermark {
            subscription,
            high_watermark: line.number("hw"),
            log_start_offset: line.number_or("start", 0),
        },
        "log-start" => FollowerEvent::LogStartMoved {
            log_start_offset: line.number("at"),
            kept_log_start_offset: line.number("kept"),
        },
        "diverging" => {
            FollowerEvent::Diverging { subscription, leader_end: line.number("end"), own: line.epoch_end("own") }
        }
        "refused" => {
            FollowerEvent::Refused { subscription, error: line.error(), log_start_offset: line.number_or("start", 0) }
        }
        "cut" => FollowerEvent::Cut {
            log: line.log(),
            last_epoch: LeaderEpoch(line.number("last") as i32),
            last_record_epoch: LeaderEpoch(line.number("last") as i32),
        },
        other => panic!("{other} is no event of a follower"),
    }
}

fn show_leader(effect: &LeaderEffect) -> String {
    let key = |key: &SubscriptionKey| format!("{}.{}.{}", key.broker, key.stream, key.subscription);
    match effect {
        LeaderEffect::Accept { key: k, from } => format!("accept {} from {from}", key(k)),
        LeaderEffect::Diverge { key: k, epoch, end_offset } => {
            format!("diverge {} at the end of epoch {epoch}: {end_offset}", key(k))
        }
        LeaderEffect::Refuse { key: k, error, log_start_offset } => {
            format!("refuse {} {} (log starts at {log_start_offset})", key(k), error.name())
        }
        LeaderEffect::Forget { key: k } => format!("forget {}", key(k)),
        LeaderEffect::HighWatermarkAdvanced { to } => format!("high watermark {to}"),
        LeaderEffect::LowWatermarkMoved { to } => format!("low watermark {to}"),
        LeaderEffect::TooFewInSync => "too few in sync".to_owned(),
        LeaderEffect::AlterPartition(p) => {
            let isr: Vec<String> = p.new_isr.iter().map(|(id, epoch)| format!("{id}@{epoch}")).collect();
            let recovered = if p.recovered { " recovered" } else { "" };
            format!("alter partition on {} to {}{recovered}", p.partition_epoch, isr.join(","))
        }
    }
}

fn show_follower(effect: &FollowerEffect) -> String {
    match effect {
        FollowerEffect::Subscribe { log_end_offset, last_epoch, flushed_offset, log_start_offset } => {
            let start = start(*log_start_offset);
            format!("subscribe at {log_end_offset} (epoch {last_epoch}, flushed {flushed_offset}{start})")
        }
        FollowerEffect::Append => "append".to_owned(),
        FollowerEffect::Truncate { to } => format!("truncate to {to}"),
        FollowerEffect::Restart { at } => format!("restart at {at}"),
        FollowerEffect::Ack { subscription, written_offset, flushed_offset, log_start_offset } => {
            let start = start(*log_start_offset);
            format!("ack {subscription}: written {written_offset}, flushed {flushed_offset}{start}")
        }
        FollowerEffect::WithoutRoom { subscription } => format!("without room {subscription}"),
        FollowerEffect::LookForRoom => "look for room".to_owned(),
        FollowerEffect::HighWatermarkAdvanced { to } => format!("high watermark {to}"),
        FollowerEffect::AdvanceLogStart { to } => format!("delete below {to}"),
    }
}

/// Where a log starts, if it is worth a word.
fn start(offset: i64) -> String {
    if offset == 0 { String::new() } else { format!(", starts at {offset}") }
}

/// The transcript with its effects as they are.
fn replay(text: &str) -> String {
    let mut stage = Stage::default();
    let mut out = String::new();
    for line in text.lines() {
        if let Some(event) = line.strip_prefix("> ") {
            out.push_str(&format!("{line}\n"));
            for effect in stage.play(&Line::parse(event)) {
                out.push_str(&format!("  {effect}\n"));
            }
        } else if line.starts_with('#') || line.is_empty() {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

#[test]
fn transcripts_are_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let written = std::fs::read_to_string(&path).unwrap();
        let now = replay(&written);
        if update {
            std::fs::write(&path, now).unwrap();
        } else {
            assert_eq!(written, now, "{} (UPDATE_TRANSCRIPTS=1 rewrites it)", path.display());
        }
    }
}
