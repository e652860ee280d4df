//! Flags, width and precision of a verb.

use super::Out;

#[derive(Debug, Clone, Default)]
pub(crate) struct Spec {
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    pub(crate) sharp: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    /// `%#v`: as Go would write the value.
    pub(crate) go_syntax: bool,
}

impl Spec {
    /// Writes `text` at the width that is asked for.
    pub(crate) fn pad(&self, out: &mut Out, text: &[u8]) {
        self.pad_with(out, text, if self.zero && !self.minus { b'0' } else { b' ' });
    }

    pub(crate) fn pad_with(&self, out: &mut Out, text: &[u8], filler: u8) {
        let Some(width) = self.width else { return out.push(text) };
        let missing = width.saturating_sub(String::from_utf8_lossy(text).chars().count());
        if self.minus {
            out.push(text);
            out.repeat(b' ', missing);
        } else {
            out.repeat(filler, missing);
            out.push(text);
        }
    }
}
