//! The raftsman binary.
//
// NOTE to helper S (remove when wiring): helper D is writing `crates/cli/src/demo/` and `crates/cli/src/cluster/` right now
// (subcommands `demo` and `cluster`, each a module with `pub struct Arguments` (clap::Args) and `pub fn run(Arguments) -> ExitCode`).
// You write main.rs, `server`, `kafka-topics`, `kafka-console-producer`, `kafka-console-consumer`, `health`, bin/*.sh, and wire D's two modules in.
fn main() {}
