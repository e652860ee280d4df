//! Go's regular expressions, written as the `regex` crate's.
//!
//! Both are automata and take linear time. They differ in what `\d`, `\w`, `\s` and `\b` mean (ASCII in Go), in what stands
//! for itself, and in how classes nest.

use regex::{Regex, RegexBuilder};

use crate::error::{Fault, Limit};

/// More than Go repeats anything.
const REPETITIONS: u32 = 1_000;

#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// With repetitions written out: how much work a character of the text can be.
    pub(super) size: usize,
}

impl Pattern {
    pub(super) fn compile(pattern: &str, limit: usize) -> Result<Self, Fault> {
        let mut translator = Translator {
            rest: pattern,
            result: String::with_capacity(pattern.len() + 16),
            sizes: vec![0],
            last: 0,
            limit,
        };
        translator.run()?;
        let size = translator.sizes.iter().sum::<usize>() + translator.last;
        if size > limit {
            return Err(Limit::Regex.into());
        }
        // The size above is what counts; this stops what large Unicode classes would make of it.
        let regex = RegexBuilder::new(&translator.result)
            .size_limit(limit.saturating_mul(2_000))
            .dfa_size_limit(limit.saturating_mul(500))
            .nest_limit(100)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => Limit::Regex.into(),
                _ => invalid(),
            })?;
        Ok(Self { regex, size: size.max(1) })
    }
}

/// What is wrong is not said: a pattern can come from the data.
fn invalid() -> Fault {
    Fault::failed("the regular expression is not valid")
}

struct Translator<'p> {
    rest: &'p str,
    result: String,
    /// Of what stands before the last piece, for each open group.
    sizes: Vec<usize>,
    /// Of the last piece, which a repetition would repeat.
    last: usize,
    limit: usize,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        let mut is_repeated = false;
        while let Some(c) = self.next() {
            let was_repeated = std::mem::replace(&mut is_repeated, false);
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => {
                    self.piece(0);
                    self.sizes.push(0);
                    self.result.push('(');
                    if self.rest.starts_with("?P=") || self.rest.starts_with("?P>") {
                        return Err(invalid());
                    }
                }
                ')' => {
                    let inner = self.sizes.pop().unwrap_or(0) + self.last;
                    if self.sizes.is_empty() {
                        return Err(invalid());
                    }
                    self.last = inner + 1;
                    self.result.push(')');
                }
                '*' | '+' | '?' => {
                    if was_repeated {
                        return Err(invalid());
                    }
                    self.last = self.last.saturating_add(1);
                    self.result.push(c);
                    self.lazy();
                    is_repeated = true;
                }
                '{' => {
                    if let Some((length, least, most)) = repetition(self.rest) {
                        if was_repeated || most.unwrap_or(least).max(least) > REPETITIONS {
                            return Err(invalid());
                        }
                        self.last = self.last.saturating_mul(most.unwrap_or(least + 1).max(1) as usize);
                        self.last = self.last.saturating_add(1);
                        self.result.push('{');
                        self.result.push_str(&self.rest[..length]);
                        self.rest = &self.rest[length..];
                        self.lazy();
                        is_repeated = true;
                    } else {
                        self.piece(1);
                        self.result.push_str("\\{");
                    }
                }
                '}' => {
                    self.piece(1);
                    self.result.push_str("\\}");
                }
                c => {
                    self.piece(1);
                    self.result.push(c);
                }
            }
            if self.sizes.iter().sum::<usize>().saturating_add(self.last) > self.limit {
                return Err(Limit::Regex.into());
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    /// Begins a piece of that size.
    fn piece(&mut self, size: usize) {
        if let Some(before) = self.sizes.last_mut() {
            *before = before.saturating_add(self.last);
        }
        self.last = size;
    }

    /// A `?` behind a repetition belongs to it.
    fn lazy(&mut self) {
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            self.result.push('?');
        }
    }

    /// Behind a backslash, outside of a class.
    fn escape(&mut self) -> Result<(), Fault> {
        self.piece(1);
        let c = self.next().ok_or_else(invalid)?;
        match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.last = 2;
                self.result.extend(["[", perl(c), "]"]);
            }
            'b' => self.result.push_str("(?-u:\\b)"),
            'B' => self.result.push_str("(?-u:\\B)"),
            'A' => self.result.push_str("\\A"),
            'z' => self.result.push_str("\\z"),
            'C' => return Err(Fault::failed(r"\C is not supported in regular expressions")),
            'p' | 'P' => {
                self.last = 30;
                self.unicode_class(c)?;
            }
            'Q' => {
                let (literal, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                self.last = 0;
                for c in literal.chars() {
                    self.piece(1);
                    self.literal(c);
                }
            }
            // An end without a beginning is nothing.
            'E' => {}
            c => self.literal_escape(c)?,
        }
        Ok(())
    }

    /// Escapes that mean one character.
    fn literal_escape(&mut self, c: char) -> Result<(), Fault> {
        match c {
            'a' | 'f' | 't' | 'n' | 'r' | 'v' => self.result.extend(['\\', c]),
            'x' => {
                self.result.push_str("\\x");
                if let Some(braced) = self.rest.strip_prefix('{') {
                    let end = braced.find('}').ok_or_else(invalid)?;
                    self.result.push_str(&self.rest[..end + 2]);
                    self.rest = &braced[end + 1..];
                }
            }
            '0'..='7' => {
                let digits = self.rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                if c != '0' && digits == 0 {
                    return Err(invalid());
                }
                let octal = format!("{c}{}", &self.rest[..digits]);
                self.rest = &self.rest[digits..];
                let code = u32::from_str_radix(&octal, 8).map_err(|_| invalid())?;
                let code = format!("\\x{{{code:x}}}");
                self.result.push_str(&code);
            }
            c if c.is_ascii_punctuation() => self.literal(c),
            _ => return Err(invalid()),
        }
        Ok(())
    }

    /// `\pN` or `\p{Greek}`, behind the letter.
    fn unicode_class(&mut self, letter: char) -> Result<(), Fault> {
        self.result.extend(['\\', letter]);
        let length = match self.rest.chars().next().ok_or_else(invalid)? {
            '{' => self.rest.find('}').ok_or_else(invalid)? + 1,
            c => c.len_utf8(),
        };
        self.result.push_str(&self.rest[..length]);
        self.rest = &self.rest[length..];
        Ok(())
    }

    /// Behind `[`.
    fn class(&mut self) -> Result<(), Fault> {
        self.piece(2);
        self.result.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            self.result.push('^');
        }
        let mut is_first = true;
        loop {
            self.last += 1;
            if !is_first && let Some(rest) = self.rest.strip_prefix(']') {
                self.rest = rest;
                self.result.push(']');
                return Ok(());
            }
            is_first = false;
            if self.rest.starts_with("[:")
                && let Some(end) = self.rest.find(":]")
            {
                self.result.push_str(&self.rest[..end + 2]);
                self.rest = &self.rest[end + 2..];
            } else if !self.shorthand()? {
                self.class_char()?;
                let is_range =
                    self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1;
                if is_range {
                    self.next();
                    self.result.push('-');
                    self.class_char()?;
                }
            }
        }
    }

    /// `\d` or `\pL` in a class, if that is next.
    fn shorthand(&mut self) -> Result<bool, Fault> {
        let Some(rest) = self.rest.strip_prefix('\\') else { return Ok(false) };
        let Some(letter) = rest.chars().next().filter(|c| "dswDSWpP".contains(*c)) else { return Ok(false) };
        self.rest = &rest[1..];
        match letter {
            'd' | 's' | 'w' => self.result.push_str(perl(letter)),
            'D' | 'S' | 'W' => self.result.extend(["[", perl(letter), "]"]),
            _ => {
                self.last += 30;
                self.unicode_class(letter)?;
            }
        }
        Ok(true)
    }

    /// One character of a class. Whatever the `regex` crate might read in it is escaped.
    fn class_char(&mut self) -> Result<(), Fault> {
        match self.next().ok_or_else(invalid)? {
            '\\' => {
                let escaped = self.next().ok_or_else(invalid)?;
                self.literal_escape(escaped)
            }
            c => {
                self.literal(c);
                Ok(())
            }
        }
    }

    /// A character that stands for itself, in a class or outside.
    fn literal(&mut self, c: char) {
        self.result.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// Without brackets.
fn perl(class: char) -> &'static str {
    match class {
        'd' => "0-9",
        'D' => "^0-9",
        's' => r"\t\n\x0c\r ",
        'S' => r"^\t\n\x0c\r ",
        'w' => "0-9A-Za-z_",
        _ => "^0-9A-Za-z_",
    }
}

/// `n}`, `n,}` or `n,m}`: its length, and how often. Any other brace stands for itself.
fn repetition(text: &str) -> Option<(usize, u32, Option<u32>)> {
    let end = text.find('}')?;
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().unwrap_or(u32::MAX - 1))
    };
    let (least, most) = match text[..end].split_once(',') {
        None => number(&text[..end]).map(|count| (count, Some(count)))?,
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((end + 1, least, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn translated(pattern: &str) -> String {
        Pattern::compile(pattern, 2_000).unwrap().regex.as_str().to_owned()
    }

    #[test]
    fn classes_are_ascii_as_in_go() {
        assert_eq!(translated(r"\d+\b[\w-]*"), r"[0-9]+(?-u:\b)[0-9A-Za-z_\-]*");
        assert_eq!(translated(r"[[:alpha:]&&b[]"), r"[[:alpha:]\&\&b\[]");
        assert_eq!(translated(r"a{,5}{x}"), r"a\{,5\}\{x\}");
        assert_eq!(translated(r"\Qa.b\E+"), r"a\.b+");
        assert_eq!(translated(r"a{2,3}?b{4}"), r"a{2,3}?b{4}");
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in
            ["(", ")", "a**", "a{2}{3}", "[a", "a{1001}", r"\", r"(?=a)", r"\1", r"\8", "[z-a]", "*a"]
        {
            assert_eq!(Pattern::compile(pattern, 2_000).unwrap_err().kind, ErrorKind::Function, "{pattern}");
        }
    }

    #[test]
    fn nested_repetitions_are_counted_out() {
        for pattern in ["((a{100}){100}){100}", "(a{1000}){1000}", r"(\pL{100}){50}"] {
            let fault = Pattern::compile(pattern, 2_000).unwrap_err();
            assert_eq!(fault.kind, ErrorKind::Limit(Limit::Regex), "{pattern}");
        }
    }
}
