#![no_main]

#[path = "../claims.rs"]
#[allow(dead_code, reason = "each target makes one claim")]
mod claims;

libfuzzer_sys::fuzz_target!(|text: &str| claims::flows_read_themselves(text));
