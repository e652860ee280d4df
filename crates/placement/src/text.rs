//! Texts for people, no longer than they should be.

/// How many names a list for people has.
const NAMES: usize = 10;

/// The first names, and how many there are beside them: `a, b and 3 more`.
pub(crate) fn names<T: AsRef<str>>(all: &[T]) -> String {
    let first: Vec<&str> = all.iter().take(NAMES).map(AsRef::as_ref).collect();
    match all.len().saturating_sub(NAMES) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The text, cut to `limit` bytes at a character; what is cut ends in an ellipsis.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_says_how_long_it_is() {
        let all: Vec<String> = (0..13).map(|n| n.to_string()).collect();
        assert_eq!(names(&all), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more");
        assert_eq!(names(&all[..2]), "0, 1");
        assert_eq!(names::<&str>(&[]), "");
    }

    #[test]
    fn a_cut_text_is_whole_characters_within_the_limit() {
        assert_eq!(cut("ok", 2), "ok");
        for limit in 3..12 {
            let text = cut("äöüäöüäöü", limit);
            assert!(text.len() <= limit && text.ends_with('…'), "{text}");
        }
    }
}
