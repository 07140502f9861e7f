use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Time and this process' processor time since some moment.
pub struct Meter {
    began: Instant,
    cpu: f64,
}

/// What moving some bytes took.
#[derive(Clone, Copy)]
pub struct Cost {
    pub bytes: u64,
    pub seconds: f64,
    /// User and system time of all threads. What the kernel's own threads do for us is not in it.
    pub cpu_seconds: f64,
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

impl Meter {
    pub fn start() -> Meter {
        Meter { cpu: cpu_seconds(), began: Instant::now() }
    }

    pub fn stop(&self, bytes: u64) -> Cost {
        Cost { bytes, seconds: self.began.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - self.cpu }
    }
}

impl Cost {
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    /// Prints a line: speed, its ratio to a limit, processor time per gigabyte, and the aim.
    pub fn print(&self, what: &str, limit: Option<(&str, Cost)>, aim: &str) {
        let speed = format!("{:.0} MB/s", self.bytes_per_second() / 1e6);
        let ratio = match limit {
            Some((name, limit)) => format!("{:.2} of {name}", self.bytes_per_second() / limit.bytes_per_second()),
            None => String::new(),
        };
        let cpu = self.cpu_seconds / self.bytes as f64 * 1e9;
        println!("  {what:<52} {speed:>11}  {ratio:<22} {cpu:>6.2} CPU-s/GB   {aim}");
    }
}
