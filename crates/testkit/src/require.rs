/// Skips a test that needs something this machine lacks, saying so; with `CI=true` that is a failure.
///
/// # Panics
/// With `CI=true`.
pub fn skip(what_is_missing: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must not skip: {what_is_missing}");
    eprintln!("skipped: {what_is_missing}");
}
