//! The shipped code under a simulated scheduler, network and disk. Everything follows from seeds.

mod regressions;
mod seeds;
