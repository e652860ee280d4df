//! Foreign templates on an object of every kind of value: an answer or an error with its place, never a panic, never
//! more than the limits.

#![no_main]

use gotemplate::{Environment, Limits, Template};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let limits =
        Limits { output_bytes: 10_000, steps: 20_000, depth: 50, memory_bytes: 1_000_000, regex_size: 300 };
    let random = |bytes: &mut [u8]| bytes.fill(7);
    let environment = Environment {
        now: "2024-02-29T12:00:00Z".parse().ok(),
        random: Some(&random),
        ..Environment::default()
    };
    let data = json!({
        "s": "text é", "n": 3, "f": 2.5, "l": [1, "a", null, [2], { "k": "v" }], "m": { "a": { "b": 1 }, "c": "x" },
        "z": null
    });
    match Template::parse("t", text) {
        Ok(template) => {
            if let Ok(output) = template.render(&data, &limits, &environment) {
                assert!(output.len() <= 3 * limits.output_bytes);
            }
        }
        Err(error) => assert!(error.line as usize <= text.split('\n').count()),
    }
});
