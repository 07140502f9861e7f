use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use super::progress::SharedProgress;

/// Where the demo tells its story: on a terminal one line at the bottom is rewritten, elsewhere lines follow lines.
///
/// A reader that went away (a closed pipe) does not end the demo: its exit code still counts.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    is_terminal: bool,
}

impl Screen {
    /// The standard output.
    pub fn new() -> Screen {
        Screen { is_terminal: stdout().is_terminal() }
    }

    /// Says something that stays.
    pub fn say(self, text: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        let mut out = stdout().lock();
        let _ = writeln!(out, "{clear}{text}").and_then(|()| out.flush());
    }

    /// Shows the progress again and again, until it is dropped.
    pub async fn show(self, progress: SharedProgress) {
        let every = if self.is_terminal { Duration::from_millis(100) } else { Duration::from_secs(2) };
        loop {
            tokio::time::sleep(every).await;
            let line = progress.lock().line(Instant::now());
            if self.is_terminal {
                let mut out = stdout().lock();
                let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
            } else {
                self.say(&line);
            }
        }
    }
}
