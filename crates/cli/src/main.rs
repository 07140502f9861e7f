//! `raftsman`: a Kafka cluster and its tools in one program.
//!
//! Reading order: [`arguments`] (what can be typed), then one module per command.

mod arguments;
mod cluster;
mod console_consumer;
mod console_producer;
mod delete_records;
mod demo;
mod dump_log;
mod failure;
mod health;
mod kafka;
mod log_dirs;
mod output;
mod server;
mod topics;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log_level = arguments.log_level.as_deref();
    let done = match arguments.command {
        Command::Server(command) => server::run(command, log_level),
        Command::Cluster(command) => Ok(cluster::run(command)),
        Command::Demo(command) => Ok(demo::run(command)),
        Command::Health(command) => health::run(&command, log_level),
        Command::KafkaTopics(command) => topics::run(command, log_level),
        Command::KafkaDeleteRecords(command) => delete_records::run(&command, log_level),
        Command::DumpLog(command) => dump_log::run(&command, log_level),
        Command::KafkaLogDirs(command) => log_dirs::run(&command, log_level),
        Command::KafkaConsoleProducer(command) => console_producer::run(command, log_level),
        Command::KafkaConsoleConsumer(command) => console_consumer::run(command, log_level),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
