//! `raftsman kafka-topics`: Kafka's flags, formats and words.

mod arguments;
mod describe;
mod execute;
mod names;

use std::process::ExitCode;

pub use arguments::TopicsArguments;
pub use names::{TopicFilter, chosen};

use crate::failure::Failure;
use crate::kafka::{ClientProperties, block_on};
use crate::output::say;

/// Runs the command. Like Kafka's tool it says what went wrong on standard output and ends with 1.
pub fn run(arguments: TopicsArguments, log_level: Option<&str>) -> Result<ExitCode, Failure> {
    raftsman_server::logging::start(log_level, "error");
    let action = arguments.action()?;
    let properties = ClientProperties::read(arguments.command_config.as_deref(), &[])?;
    let done = block_on(async {
        let options = properties.client_options("admin")?;
        let client = raftsman_client::Client::connect(&arguments.bootstrap_server, options).await?;
        execute::execute(&client, action, &arguments).await
    });
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => {
            say!("Error while executing topic command : {failure}");
            Ok(ExitCode::FAILURE)
        }
    }
}
