//! Foreign text as selectors: what is read is written so that it is read as the same, an error points into the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meta::{FieldSelector, LabelSelector};

fuzz_target!(|text: &str| {
    match LabelSelector::parse(text) {
        Ok(selector) => {
            selector.matches(&[("a".to_owned(), text.to_owned())].into());
            assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
        Err(error) => assert!(text[error.position..].starts_with(&error.found)),
    }
    match FieldSelector::parse(text) {
        Ok(selector) => assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector)),
        Err(error) => assert!(text[error.position..].starts_with(&error.found)),
    }
});
