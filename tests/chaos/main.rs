//! Real processes under faults: a campaign over every fault and workload, and a short selection of it for every run
//! of the tests. `cargo xtask chaos` runs the campaign.
//!
//! Reading order: [`fault`] (what is done to the cluster), [`workload`] (what clients do meanwhile and what must hold
//! afterwards), [`run`] (one fault under one workload), then [`campaign`] and [`selection`].

mod aims;
mod campaign;
mod fault;
mod nemesis;
mod run;
mod selection;
mod table;
mod timings;
mod waiting;
mod workload;
