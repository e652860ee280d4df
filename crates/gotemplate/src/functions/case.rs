//! Upper and lower case, and the cases of programmers.

use super::{Function, Type};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["upper"], &[Type::Text], |cx, args| {
        cx.text(args.chars(0).chars().map(upper).collect::<String>())
    }),
    Function::new(&["lower"], &[Type::Text], |cx, args| {
        cx.text(args.chars(0).chars().map(lower).collect::<String>())
    }),
    Function::new(&["title"], &[Type::Text], |cx, args| cx.text(title(&args.chars(0)))),
    Function::new(&["untitle"], &[Type::Text], |cx, args| cx.text(untitle(&args.chars(0)))),
    Function::new(&["swapcase"], &[Type::Text], |cx, args| cx.text(swap(&args.chars(0)))),
    Function::new(&["camelcase"], &[Type::Text], |cx, args| cx.text(pascal(&args.chars(0)))),
    Function::new(&["snakecase"], &[Type::Text], |cx, args| cx.text(separated(&args.chars(0), '_'))),
    Function::new(&["kebabcase"], &[Type::Text], |cx, args| cx.text(separated(&args.chars(0), '-'))),
    Function::new(&["initials"], &[Type::Text], |cx, args| cx.text(initials(args.bytes(0)))),
];

/// Go maps one character to one, and leaves those that would become several.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    mapped.next().filter(|_| mapped.len() == 0).unwrap_or(c)
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// `strings.Title`: the first letter of each word.
fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let starts = if before.is_ascii() {
                !before.is_ascii_alphanumeric() && before != '_'
            } else {
                before.is_whitespace() && !before.is_alphanumeric()
            };
            before = c;
            if starts { upper(c) } else { c }
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut starts = true;
    text.chars()
        .map(|c| {
            let first = std::mem::replace(&mut starts, c.is_whitespace());
            if first && !c.is_whitespace() { lower(c) } else { c }
        })
        .collect()
}

fn swap(text: &str) -> String {
    let mut behind_space = true;
    text.chars()
        .map(|c| {
            let swapped = match c {
                c if c.is_uppercase() => lower(c),
                c if c.is_lowercase() => upper(c),
                c => {
                    behind_space = c.is_whitespace();
                    return c;
                }
            };
            behind_space = false;
            swapped
        })
        .collect()
}

/// The first byte of each word, as a character of Latin-1: sprig's function does not know others.
fn initials(text: &[u8]) -> String {
    let mut behind_gap = true;
    let first = |c: &char| {
        let is_space = c.is_whitespace();
        std::mem::replace(&mut behind_gap, is_space) && !is_space
    };
    text.iter().map(|b| char::from(*b)).filter(first).collect()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `http_server` to `HttpServer`.
fn pascal(text: &str) -> String {
    let start = text.find(|c| !is_connector(c)).unwrap_or(text.len());
    let (connectors, rest) = text.split_at(start);
    let mut result = String::from(connectors);
    let mut chars = rest.chars();
    let Some(first) = chars.next() else {
        // Of connectors alone, sprig's function writes the last one twice.
        result.extend(connectors.chars().next_back());
        return result;
    };
    let mut in_upper = first.is_uppercase();
    let mut last = upper(first);
    for mut c in chars {
        if is_connector(c) && is_connector(last) {
            result.push(last);
            last = c;
            continue;
        }
        if is_connector(last) {
            in_upper = c.is_uppercase();
            c = upper(c);
        } else {
            if in_upper {
                if c.is_uppercase() {
                    c = lower(c);
                } else {
                    in_upper = false;
                }
            }
            result.push(last);
        }
        last = c;
    }
    result.push(last);
    result
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// Go's `unicode.IsPunct`, for what names consist of.
fn is_punctuation(c: char) -> bool {
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        c if c.is_ascii() => c.is_ascii_punctuation(),
        '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}' => true,
        c => matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}'),
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_uppercase()
}

/// The next word of `text`, its kind, and what is behind it.
fn next_word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else { return (Word::None, "", "") };
    let run = |kind: fn(char) -> bool| text.find(|c| !kind(c)).unwrap_or(text.len());
    let (word, end) = if is_connector(first) {
        (Word::Connector, run(is_connector))
    } else if is_punctuation(first) {
        (Word::Punctuation, run(is_punctuation))
    } else if first.is_uppercase() {
        let uppers = run(char::is_uppercase);
        let behind = &text[uppers..];
        let follows_letter = behind.starts_with(is_letter);
        if text[..uppers].chars().count() > 1 {
            // "HTTPServer" is "HTTP" and "Server".
            let last = text[..uppers].chars().next_back().map_or(0, char::len_utf8);
            (Word::Upper, if follows_letter { uppers - last } else { uppers })
        } else if follows_letter {
            let letters = behind.find(|c| !is_letter(c)).unwrap_or(behind.len());
            (Word::Upper, uppers + letters)
        } else {
            (Word::Upper, uppers)
        }
    } else if is_letter(first) {
        (Word::Letters, run(is_letter))
    } else if first.is_numeric() {
        (Word::Number, run(char::is_numeric))
    } else {
        let other = |c: char| !(c.is_alphabetic() || c.is_numeric() || is_connector(c) || is_punctuation(c));
        (Word::Other, text.find(|c| !other(c)).unwrap_or(text.len()))
    };
    (word, &text[..end], &text[end..])
}

/// `HTTPServer` to `http_server`.
fn separated(text: &str, connector: char) -> String {
    let mut result = String::with_capacity(text.len() + 8);
    let write = |result: &mut String, kind: Word, word: &str| match kind {
        Word::Upper | Word::Letters => result.extend(word.chars().map(lower)),
        Word::Connector => result.extend(word.chars().map(|_| connector)),
        _ => result.push_str(word),
    };
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Word::Connector {
            write(&mut result, kind, word);
        }
        let (before, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match before {
            Word::Number => {
                while matches!(kind, Word::Letters | Word::Number) {
                    write(&mut result, kind, word);
                    (kind, word, rest) = next_word(rest);
                }
                if !matches!(kind, Word::None | Word::Punctuation | Word::Connector) {
                    result.push(connector);
                }
            }
            Word::Connector => write(&mut result, before, last),
            Word::Punctuation => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punctuation) {
                    result.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind != Word::Letters {
                    // "Bld4Floor" is "bld4_floor".
                    write(&mut result, Word::Number, number);
                    if !matches!(kind, Word::Connector | Word::Punctuation) {
                        result.push(connector);
                    }
                    continue;
                }
                // "HTTP2xx" is "http_2xx".
                result.push(connector);
                write(&mut result, Word::Number, number);
                while matches!(kind, Word::Letters | Word::Number) {
                    write(&mut result, kind, word);
                    (kind, word, rest) = next_word(rest);
                }
                if !matches!(kind, Word::None | Word::Connector | Word::Punctuation) {
                    result.push(connector);
                }
            }
        }
    }
    write(&mut result, kind, word);
    result
}
