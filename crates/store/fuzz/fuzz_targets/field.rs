//! Any field selector on any bytes: what is found does not depend on what else is looked for, and a path that leads
//! somewhere leads into JSON.

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
    for (requirement, values) in selector.requirements.iter().zip(&together) {
        assert_eq!(&extract(object, &[&requirement.path])[0], values);
        satisfies(&requirement.operator, values);
    }
});
