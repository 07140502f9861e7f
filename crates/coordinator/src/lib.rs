//! The group coordinator: classic consumer groups and the offsets committed for them.
//!
//! Pure. A [`Shard`] holds all groups of one `__consumer_offsets` partition. It joins two shapes:
//!
//! * Durable, shape A: [`State`] is what the partition's records add up to. Deciding (`offsets`, and `group` for the
//!   group's own record) only reads it and makes records; [`State::replay`] applies them, after they are in the log.
//! * Soft, shape B: members, sessions, rebalances under way (`group`) live in memory alone. They change with each
//!   event, and their timers are explicit deadlines that [`Shard::next_deadline`] names.
//!
//! A reply leaves only once every record it was judged against is committed; until then it is parked. When a record
//! cannot be written the shard is not rolled back: it is dropped and loaded again from the log.
//!
//! Reading order: [`Shard`], [`State`], `group`, `offsets`.

mod config;
mod deadlines;
mod group;
mod hash;
mod offsets;
mod record;
mod shard;
mod state;

pub use config::CoordinatorConfig;
pub use hash::partition_for;
pub use record::{Record, RecordError};
pub use shard::{Caller, DeletedTopic, Effect, Event, Now, Reply, Request, RequestId, Shard, WriteId};
pub use state::{State, StoredGroup};
