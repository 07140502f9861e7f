#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raftsman_fuzz::run("response_frame", data));
