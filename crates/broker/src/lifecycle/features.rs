/// The features this release supports, with the lowest and highest level of each (KIP-584). What a cluster uses of them
/// is finalized by its controllers.
pub const SUPPORTED_FEATURES: &[(&str, i16, i16)] = &[("metadata.version", 1, 1)];
