#![no_main]

#[path = "../../tests/corpus/entries.rs"]
#[allow(dead_code, reason = "each target has one of them")]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::dead_letter(bytes));
