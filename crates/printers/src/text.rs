//! Phrases that many kinds share.

use std::fmt::{Display, Write as _};

use crate::decode::{Text, TextMap};

/// What is printed for a value that an object does not have.
pub(crate) const NONE: &str = "<none>";
/// What is printed for a setting that nobody made.
pub(crate) const UNSET: &str = "<unset>";
/// What is printed for a value nobody can know.
pub(crate) const UNKNOWN: &str = "<unknown>";

/// The items with a separator between them.
pub(crate) fn join<T: Display>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    let mut text = String::new();
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{item}");
    }
    text
}

/// The first items, and how many more there are: `a,b,c + 2 more...`.
pub(crate) fn join_some<T: Display>(
    items: impl IntoIterator<Item = T>,
    most: usize,
    separator: &str,
) -> String {
    let mut items = items.into_iter();
    let mut text = join(items.by_ref().take(most), separator);
    let more = items.count();
    if more > 0 {
        let _ = write!(text, " + {more} more...");
    }
    text
}

/// Labels or annotations as `key=value`, in the order of their keys; `<none>` if there are none.
pub(crate) fn labels(labels: &TextMap<'_>) -> String {
    if labels.is_empty() {
        return NONE.into();
    }
    join(labels.iter().map(|(key, value)| format!("{key}={value}")), ",")
}

/// The text of a setting; `<unset>` if nobody made it.
pub(crate) fn or_unset<'s>(setting: Option<&'s Text<'_>>) -> &'s str {
    setting.map_or(UNSET, |text| text)
}
