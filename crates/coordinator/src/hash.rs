/// The `__consumer_offsets` partition of a group: Java's string hash over UTF-16 units, made non-negative, modulo the
/// number of partitions. It decides where a group's records live, so it never changes.
pub fn partition_for(group_id: &str, partition_count: i32) -> i32 {
    let hash = group_id.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The smallest integer has no absolute value; Kafka takes 0 for it.
    hash.checked_abs().unwrap_or(0) % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_javas_string_hash() {
        // Hashes as Java computes them: "" 0, "a" 97, "orders" -1008770331, "polygenelubricants" the smallest integer.
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("a", 50), 47);
        assert_eq!(partition_for("orders", i32::MAX), 1_008_770_331);
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        // One character outside the basic plane is two UTF-16 units: 0xd83d * 31 + 0xde80.
        assert_eq!(partition_for("\u{1f680}", i32::MAX), 0xd83d * 31 + 0xde80);
        assert_eq!(partition_for("anything", 0), 0);
    }
}
