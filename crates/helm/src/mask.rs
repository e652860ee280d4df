//! Takes secrets out of what Helm says. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// What stands where a secret was.
const MASK: &str = "[hidden]";
/// A value that is shorter could be any word of a sentence.
const SHORTEST: usize = 8;
/// The same under a key that speaks of a secret.
const SHORTEST_SECRET: usize = 3;
/// So many values are looked for; a message is short.
const MOST: usize = 10_000;

/// The texts that must not be seen.
#[derive(Clone, Default)]
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// A credential, whatever its length.
    pub(crate) fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(STANDARD.encode(secret));
            self.0.push(secret.to_owned());
        }
    }

    /// The texts in the values of a chart: all that are long, and short ones whose key speaks of a secret.
    pub(crate) fn add_values(&mut self, values: &Value) {
        self.walk(values, false);
    }

    fn walk(&mut self, value: &Value, secret: bool) {
        if self.0.len() >= MOST {
            return;
        }
        match value {
            Value::String(text) if text.len() >= if secret { SHORTEST_SECRET } else { SHORTEST } => {
                self.add(text);
            }
            Value::Number(number) if secret => {
                let text = number.to_string();
                if text.len() >= SHORTEST_SECRET {
                    self.add(&text);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, secret)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.walk(value, secret || speaks_of_a_secret(key));
                }
            }
            _ => {}
        }
    }

    /// The text without the secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        // The longest first: a secret may be part of another.
        let mut found: Vec<&str> =
            self.0.iter().map(String::as_str).filter(|secret| text.contains(*secret)).collect();
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

fn speaks_of_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "secret", "token", "key", "credential", "auth", "private", "cert"]
        .iter()
        .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn long_values_and_short_ones_of_secret_keys_are_hidden_also_in_base64() {
        let mut mask = Mask::default();
        mask.add_values(
            &json!({ "db": { "password": "abc", "host": "db" }, "banner": "hello world", "tier": "web" }),
        );
        assert_eq!(mask.hide("abc YWJj db hello world web"), "[hidden] [hidden] db [hidden] web");
    }

    proptest! {
        #[test]
        fn a_credential_is_never_left(secret in "[a-zA-Z0-9!$%&/=?+*#-]{1,40}", before in ".{0,20}", after in ".{0,20}") {
            let mut mask = Mask::default();
            mask.add(&secret);
            prop_assume!(!MASK.contains(&secret));
            let hidden = mask.hide(&format!("{before}{secret}{after}"));
            let outside = hidden.replace(MASK, "\u{0}");
            prop_assert!(!outside.contains(&secret));
        }
    }
}
