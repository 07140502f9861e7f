use std::fmt;
use std::io::{ErrorKind, Write, stdout};

/// Prints a line, as `println!` does; but a reader that went away (a closed pipe, `head` for one) ends nothing: what
/// the command does, and its exit code, still count.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::say_line(format_args!($($text)*))
    };
}

pub(crate) use say;

/// What [`say`] stands for. What cannot be written for another reason is said on standard error.
pub(crate) fn say_line(text: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(stdout().lock(), "{text}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("cannot write to standard output: {error}");
    }
}
