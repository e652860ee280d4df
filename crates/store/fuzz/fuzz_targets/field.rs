//! Any field selector on any bytes: in JSON, what is found does not depend on what else is looked for; and anything else does
//! no harm.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meta::FieldSelector;
use store::field::{extract, metadata_only, satisfies};

fuzz_target!(|input: (&str, &[u8])| {
    let (selector, object) = input;
    let _ = metadata_only(object);
    let Ok(selector) = FieldSelector::parse(selector) else { return };
    let paths: Vec<_> = selector.requirements.iter().map(|requirement| &requirement.path).collect();
    let together = extract(object, &paths);
    let is_json = serde_json::from_slice::<serde_json::Value>(object).is_ok();
    for (requirement, values) in selector.requirements.iter().zip(&together) {
        let alone = &extract(object, &[&requirement.path])[0];
        assert!(!is_json || alone == values, "alone {alone:?}, together {values:?}");
        satisfies(&requirement.operator, values);
    }
});
