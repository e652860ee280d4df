//! Any text as a continue token, also one in the right wrapping: refused, or a position that its own token gives back.

#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use store::{Query, Resource, Token};

fuzz_target!(|data: &[u8]| {
    let query = Query::of(Resource::new("apps", "v1", "deployments"));
    let wrapped = format!("k1.{}", URL_SAFE_NO_PAD.encode(data));
    for text in [String::from_utf8_lossy(data).into_owned(), wrapped] {
        if let Ok(position) = Token::from_client(text).position(&query) {
            assert_eq!(Token::new(&query, &position).position(&query).unwrap(), position);
        }
    }
});
