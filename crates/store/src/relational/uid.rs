//! Uids in few bytes.

/// A uid: a UUID as its 16 bytes, anything else as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Uid {
    Uuid([u8; 16]),
    Text(String),
}

impl Uid {
    pub(crate) fn new(text: &str) -> Self {
        parse_uuid(text).map_or_else(|| Self::Text(text.to_owned()), Self::Uuid)
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Uuid(bytes) => {
                let mut text = String::with_capacity(36);
                for (at, byte) in bytes.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
                    }
                }
                text
            }
        }
    }
}

/// Only the canonical form in lower case, so that the text comes back as it was.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let mut digits =
        bytes.iter().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23)).map(|(_, digit)| {
            match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            }
        });
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_comes_back_as_it_was() {
        for text in [
            "8f2d6f3c-1f0e-4a57-9c0b-0123456789ab",
            "8F2D6F3C-1F0E-4A57-9C0B-0123456789AB",
            "",
            "node-1",
            "é",
        ] {
            assert_eq!(Uid::new(text).text(), text);
        }
        assert!(matches!(Uid::new("8f2d6f3c-1f0e-4a57-9c0b-0123456789ab"), Uid::Uuid(_)));
    }
}
