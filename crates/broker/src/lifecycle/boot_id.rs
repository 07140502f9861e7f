/// The id the kernel drew at its boot: an unclean restart of the process under the same one kept the page cache.
/// Empty where the system does not tell, which counts as another boot each time.
pub fn kernel_boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => id.trim().to_owned(),
        Err(error) => {
            tracing::warn!("the kernel's boot id is not known: {error}");
            String::new()
        }
    }
}
