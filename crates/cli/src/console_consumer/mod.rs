//! `raftsman kafka-console-consumer`: records to standard output, with Kafka's flags and format.

mod arguments;
mod formatter;
mod source;

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use raftsman_client::Client;
use tokio::time::Instant;

pub use arguments::ConsumerArguments;

use crate::failure::Failure;
use crate::kafka::{ClientProperties, block_on};
use formatter::Formatter;
use source::Source;

/// How long one wait for records lasts, so that the end of a timeout is seen in time.
const POLL: Duration = Duration::from_millis(200);

/// Runs the command until enough was read, nothing comes for the timeout, or it is interrupted.
pub fn run(arguments: ConsumerArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    arguments.check()?;
    let properties = ClientProperties::read(arguments.config_file(), &arguments.properties())?;
    let formatter = Formatter::new(&arguments.formatter_properties()?)?;
    block_on(async {
        let mut options = properties.client_options("console-consumer")?;
        options.allow_auto_topic_creation = true;
        let client = Client::connect(&arguments.bootstrap_server, options).await?;
        let mut source = Source::open(client, &arguments, &properties).await?;
        let (count, read) = print_records(&mut source, &arguments, &formatter).await;
        let closed = source.close().await;
        eprintln!("Processed a total of {count} messages");
        read?;
        closed?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn print_records(
    source: &mut Source,
    arguments: &ConsumerArguments,
    formatter: &Formatter,
) -> (u64, Result<(), Failure>) {
    let mut count = 0;
    let mut output = BufWriter::new(std::io::stdout().lock());
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut last_record = Instant::now();
    loop {
        if arguments.max_messages.is_some_and(|most| count >= most) {
            return (count, Ok(()));
        }
        let polled = tokio::select! {
            polled = source.poll(POLL) => polled,
            _ = &mut interrupted => return (count, Ok(())),
        };
        let records = match polled {
            Ok(records) => records,
            Err(error) => return (count, Err(error.into())),
        };
        let left =
            arguments.max_messages.map_or(usize::MAX, |most| usize::try_from(most - count).unwrap_or(usize::MAX));
        for record in records.iter().take(left) {
            if formatter.write(record, &mut output).is_err() {
                // Whoever read our output has gone, `head` for one.
                return (count, Ok(()));
            }
            source.processed(record);
            count += 1;
            last_record = Instant::now();
        }
        if output.flush().is_err() {
            return (count, Ok(()));
        }
        if arguments.timeout_ms.is_some_and(|ms| last_record.elapsed() >= Duration::from_millis(ms)) {
            return (count, Ok(()));
        }
    }
}
