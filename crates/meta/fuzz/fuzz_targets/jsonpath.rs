//! Foreign templates on a foreign object (first line the template, the rest JSON): an answer, never a panic, never more
//! values than the budget.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meta::JsonPath;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let (template, object) = text.split_once('\n').unwrap_or((text, ""));
    let object: Value = serde_json::from_str(object)
        .unwrap_or_else(|_| json!({"a": [{"b": 1, "c": "x"}, {"b": 2.5}, null, [true]], "c": {"b": "y"}}));
    for path in [JsonPath::parse(template), JsonPath::parse_relaxed(template)] {
        match path {
            Ok(path) => {
                assert!(path.find(&object).len() <= 100_000);
                path.to_text(&object);
            }
            Err(error) => assert!(template.is_char_boundary(error.position)),
        }
    }
});
