//! What went wrong, as a person at a terminal needs it: what failed, why, and what to do next.

use std::fmt;

/// A failed command. Prints as one to three lines; never holds a credential.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    cause: Option<String>,
    next: Option<String>,
}

impl Failure {
    /// What failed.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cause: None, next: None }
    }

    /// Why, in the words of whoever knows.
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// What to do now: a sentence or a command.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// A request to the parent that failed: `doing` completes "cannot …".
    pub(crate) fn parent(doing: &str, error: &kube::Error) -> Self {
        let failure = Self::new(format!("cannot {doing}"));
        match error {
            kube::Error::Api(status) => {
                let failure = failure.because(&status.message);
                match status.code {
                    401 => failure.next(
                        "the parent does not accept your credential: log in again, or choose another one with --context",
                    ),
                    403 => failure.next(
                        "ask the parent's administrator for that right; kubectl auth whoami shows who you are there",
                    ),
                    404 if status.message.contains("the server could not find") => failure.next(
                        "is this the parent, and is the hub installed there? Choose the parent with --context or --kubeconfig",
                    ),
                    _ => failure,
                }
            }
            other => failure.because(chain(other)).next(
                "kubectl cluster-info shows whether the parent can be reached with the same kubeconfig",
            ),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "\nhint: {next}")?;
        }
        Ok(())
    }
}

/// An error with everything that caused it, without saying the same twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_next() {
        let failure = Failure::new("cannot read f").because("no such file").next("ls shows what is there");
        assert_eq!(failure.to_string(), "error: cannot read f: no such file\nhint: ls shows what is there");
    }
}
