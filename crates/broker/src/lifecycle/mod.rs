//! Being part of the cluster: registration, the session with the active controller, and an orderly stop.

mod boot_id;
mod identity;
mod registration;
mod session;

pub use boot_id::kernel_boot_id;
pub use identity::BrokerIdentity;
pub(crate) use registration::Registration;
pub(crate) use session::{Lifecycle, LifecycleObserver, LifecycleStatus};
