use crc_fast::CrcAlgorithm;

/// CRC-32C (Castagnoli), the checksum of record batches and of producer snapshots.
pub fn crc32c(bytes: &[u8]) -> u32 {
    // The crate returns every width in 64 bits; a 32-bit algorithm fills the lower half only.
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC-32 (IEEE 802.3), the checksum of messages of formats 0 and 1.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::{crc32, crc32c};

    #[test]
    fn give_the_published_check_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
