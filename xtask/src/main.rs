//! Repository chores: `cargo xtask <chore>`. Each chore is one module; this file only finds it.

mod codegen;
mod proto;

use std::process::ExitCode;

type Chore = fn(&[String]) -> Result<(), String>;

const CHORES: &[(&str, &str, Chore)] =
    &[("codegen", "generate crates/protocol/src/messages from its schema/ (--check: only say whether it is up to date)", codegen::run), ("proto", "generate crates/rpc from proto/ (--check: only say whether it is up to date)", proto::run)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((_, _, chore)) = CHORES.iter().find(|(name, _, _)| arguments.first().is_some_and(|a| a == name)) else {
        eprintln!("cargo xtask <chore>, where a chore is one of:");
        for (name, purpose, _) in CHORES {
            eprintln!("  {name:<10} {purpose}");
        }
        return ExitCode::FAILURE;
    };
    match chore(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
