/// Why bytes are not a valid message. Positions count from the start of the decoded frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends inside a field.
    #[error("the message ends too early: {needed} bytes expected at byte {at}, {left} left")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
        /// Where the field starts.
        at: usize,
    },
    /// A length prefix that the rest of the frame, or the protocol's own limits, cannot hold.
    #[error("a {what} of length {length} at byte {at} does not fit: {left} bytes left")]
    BadLength {
        /// What the length belongs to.
        what: &'static str,
        /// The length read.
        length: u32,
        /// Bytes that are left.
        left: usize,
        /// Where the content would start.
        at: usize,
    },
    /// A null where the version allows none.
    #[error("a {what} at byte {at} is null, which this version does not allow")]
    Null {
        /// What is null.
        what: &'static str,
        /// Just behind the null marker.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("the string at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where the string starts.
        at: usize,
    },
    /// A variable-length integer that runs on for too long.
    #[error("the variable-length integer before byte {at} is too long")]
    BadVarint {
        /// Just behind the last byte read.
        at: usize,
    },
    /// More tagged fields than [`MAX_TAGGED_FIELDS`](crate::MAX_TAGGED_FIELDS).
    #[error("{count} tagged fields before byte {at} are more than any message has")]
    TooManyTaggedFields {
        /// The count read.
        count: u32,
        /// Just behind the count.
        at: usize,
    },
    /// A tagged field whose declared size is not the size of its content.
    #[error("tagged field {tag} declares an end at byte {end}, but its content ends at byte {at}")]
    BadTaggedField {
        /// The field's tag.
        tag: u32,
        /// The end its size announces.
        end: usize,
        /// The end found.
        at: usize,
    },
    /// So many empty or tiny elements that they would take many times the frame's size in memory.
    #[error("a frame of {frame_bytes} bytes holds more tiny elements than any client has use for, up to byte {at}")]
    TooDense {
        /// The frame's length.
        frame_bytes: usize,
        /// Where the array starts that was one too many.
        at: usize,
    },
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Bytes behind the end of the message.
    #[error("{left} unexpected bytes behind the message, from byte {at}")]
    TrailingBytes {
        /// How many.
        left: usize,
        /// Where they start.
        at: usize,
    },
}

/// Why a message cannot be written in a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field that carries something the version cannot express, and that must not be dropped silently.
    #[error(
        "{field} is set but version {version} cannot carry it: use a version that has it or leave it at its default"
    )]
    UnsupportedField {
        /// Struct and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A null where the version allows none.
    #[error("{field} is null, which version {version} does not allow")]
    Null {
        /// Struct and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Content longer than its length prefix can say.
    #[error("a {what} of {length} bytes or elements is longer than the protocol allows")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        length: usize,
    },
}
