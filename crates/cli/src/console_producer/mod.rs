//! `raftsman kafka-console-producer`: lines from standard input, with Kafka's flags.

mod arguments;
mod line_reader;

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;

use raftsman_client::{Client, Delivery, Producer, ProducerRecord};
use tokio::sync::mpsc;

pub use arguments::{ProducerArguments, raw_key_value};

use crate::failure::Failure;
use crate::kafka::{ClientProperties, block_on};
use line_reader::LineReader;

/// Lines read ahead of the producer.
const LINES_AHEAD: usize = 1_024;
/// Records on their way at a time.
const UNSETTLED: usize = 10_000;

/// Runs the command until standard input ends.
pub fn run(arguments: ProducerArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    let properties = ClientProperties::read(arguments.config_file(), &arguments.properties())?;
    let reader = LineReader::new(&arguments.reader_properties()?)?;
    block_on(async {
        let mut options = properties.client_options("console-producer")?;
        options.allow_auto_topic_creation = true;
        options.api_timeout = std::time::Duration::from_millis(arguments.max_block_ms);
        let client = Client::connect(arguments.bootstrap_server()?, options).await?;
        let producer = Producer::new(client, arguments.producer_options(&properties)?);
        let sent = send_lines(&producer, &arguments, reader).await;
        producer.close().await;
        sent
    })
}

async fn send_lines(
    producer: &Producer,
    arguments: &ProducerArguments,
    mut reader: LineReader,
) -> Result<ExitCode, Failure> {
    let topic: Arc<str> = Arc::from(arguments.topic.as_str());
    let mut lines = read_standard_input();
    let mut unsettled: std::collections::VecDeque<Delivery> = std::collections::VecDeque::new();
    let mut failed = 0u64;
    while let Some(line) = lines.recv().await {
        let line = line.map_err(Failure::system("cannot read standard input"))?;
        let Some(parsed) = reader.parse(&line)? else { continue };
        let record = ProducerRecord { topic: topic.clone(), ..parsed };
        let delivery = producer.send(record).await?;
        if arguments.sync {
            failed += u64::from(!settled(delivery).await);
            continue;
        }
        unsettled.push_back(delivery);
        if unsettled.len() > UNSETTLED
            && let Some(oldest) = unsettled.pop_front()
        {
            failed += u64::from(!settled(oldest).await);
        }
    }
    for delivery in unsettled {
        failed += u64::from(!settled(delivery).await);
    }
    // Kafka's tool ends with 0 here; a script that counts on its records wants to know.
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn settled(delivery: Delivery) -> bool {
    match delivery.await {
        Ok(_) => true,
        Err(error) => {
            eprintln!("Error when sending message: {error}");
            false
        }
    }
}

/// Standard input has no asynchronous form worth the name: a thread reads it line by line.
fn read_standard_input() -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, lines) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = input.read_until(b'\n', &mut line).map(|count| (count > 0).then_some(line));
            let Some(read) = read.transpose() else { return };
            let is_end = read.is_err();
            if sender.blocking_send(read).is_err() || is_end {
                return;
            }
        }
    });
    lines
}
