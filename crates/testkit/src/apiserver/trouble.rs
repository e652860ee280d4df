//! What can go wrong, and with which requests.

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// `/readyz`, `/healthz`, `/version`.
    Probe,
    /// `/api`, `/apis` and what is below them.
    Discovery,
    /// A list, or its first page.
    List,
    /// A further page of a list.
    Page,
    /// A list of one object: what is the newest resource version?
    Newest,
    /// A watch.
    Watch,
}

/// What a server does instead of answering as it should.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Refuses with a `Status` of this code, and asks to be left alone for so many seconds.
    Refuses(u16, Option<u32>),
    /// A watch that consists of an ERROR event with this code.
    ErrorEvent(u16),
    /// Says this instead, with a code and a content type.
    Says(u16, &'static str, &'static str),
    /// Answers with this header.
    Header(&'static str, &'static str),
    /// The body ends after so many bytes as if that were all.
    Ends(usize),
    /// The body breaks off after so many bytes.
    Breaks(usize),
    /// After so many bytes of the body nothing comes any more, and no end either.
    Stalls(usize),
    /// Every object is told twice.
    Twice,
    /// Page after page of so many objects that nobody made.
    EndlessPages(usize),
    /// An object without end.
    EndlessObject,
}

/// A fault, and what it happens to.
#[derive(Debug, Clone)]
pub struct Trouble {
    asks: Vec<Ask>,
    /// Of every resource if empty.
    path: String,
    fault: Fault,
    /// How often it is still going to happen; for ever, if nobody says so.
    left: Option<u32>,
}

impl Trouble {
    /// `fault` happens to every request for one of `asks` at `path`; at any path if that is empty.
    pub fn new(asks: &[Ask], path: &str, fault: Fault) -> Self {
        Self { asks: asks.to_vec(), path: path.to_owned(), fault, left: None }
    }

    /// It happens so often only.
    pub fn times(self, times: u32) -> Self {
        Self { left: Some(times), ..self }
    }

    pub(super) fn fits(&self, ask: Ask, path: &str) -> bool {
        self.left != Some(0) && self.asks.contains(&ask) && (self.path.is_empty() || self.path == path)
    }

    pub(super) fn happens(&mut self) -> Fault {
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        self.fault
    }
}
