//! What people see while they wait. Everything goes to stderr; colour only on a terminal.

use std::{
    fmt::Display,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

/// Prints steps as they happen.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    colour: bool,
    quiet: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Progress on stderr; `NO_COLOR` is honoured.
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none();
        Self { colour: wanted && std::io::stderr().is_terminal(), quiet: false }
    }

    /// No progress at all.
    pub fn quiet() -> Self {
        Self { colour: false, quiet: true }
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    /// The title of a group of steps.
    pub fn title(self, text: impl Display) {
        self.line(format_args!("\n{}", self.paint("1", text)));
    }

    /// A step that begins now and takes a while.
    pub fn begin(self, text: impl Display) -> Step {
        Step { progress: self, text: text.to_string(), began: Instant::now() }
    }

    /// A step that is done.
    pub fn done(self, text: impl Display) {
        self.line(format_args!("  {} {text}", self.paint("32", "✓")));
    }

    /// Something to know that is neither success nor failure.
    pub fn note(self, text: impl Display) {
        self.line(format_args!("  {}", self.paint("2", text)));
    }

    /// A step that failed.
    pub fn failed(self, text: impl Display) {
        self.line(format_args!("  {} {text}", self.paint("31", "✗")));
    }

    /// A command that is run, as one would type it.
    pub fn command(self, text: impl Display) {
        self.line(self.paint("2", format_args!("$ {text}")));
    }

    /// A line as it is.
    pub fn line(self, text: impl Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

/// A step under way; printed when it ends, with the time it took.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    text: String,
    began: Instant,
}

impl Step {
    /// The step is done.
    pub fn done(self) {
        self.progress.done(format_args!(
            "{} {}",
            self.text,
            self.progress.paint("2", seconds(self.began.elapsed()))
        ));
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("({:.1} s)", elapsed.as_secs_f64())
}
