//! One partition's replication: what a leader and a follower may do, and when a record is committed.
//!
//! Shape B (event / effect), pure. [`Leader`] decides the high watermark, the in-sync replicas it asks the controller
//! for, and which follower may be sent what; [`Follower`] decides where its log must be cut and what may be appended.
//! The rules are KIP-966's (strict min ISR, maximal ISR while a change is under way), KIP-101, KIP-279 and KIP-320
//! (truncation by leader epoch, never to the high watermark) and KIP-903 (broker epochs), with one of our own: under
//! [`Durability::Flushed`] a record counts on a replica when it is on its disk.
//!
//! Reading order: [`epochs`] (do two logs agree?), [`isr`] (which replicas count), [`high_watermark`], then the machines.
//! [`CatchUpQuota`] and [`Allowances`] say how fast who is not in sync may catch up where somebody limits that (KIP-73).

mod allowances;
pub mod catch_up_quota;
pub mod contact;
pub mod epochs;
pub mod follower;
pub mod high_watermark;
pub mod isr;
pub mod leader;
mod position;

pub use allowances::Allowances;
pub use catch_up_quota::CatchUpQuota;
pub use contact::ControllerContact;
pub use follower::{Follower, FollowerEffect, FollowerEvent};
pub use leader::{
    IsrAnswer, IsrProposal, Leader, LeaderEffect, LeaderEvent, LeaderSettings, LeadershipView, NotEnoughReplicas,
    ReplicaView, SubscribeRequest, SubscriptionKey,
};
pub use position::{Durability, LogPosition};
