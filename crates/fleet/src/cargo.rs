//! Running cargo from a program that cargo runs.

use std::process::Stdio;

use tokio::process::Command;

use crate::paths;

/// A cargo command in the checkout, as somebody would type it.
///
/// Cargo describes the package it runs in variables, and build scripts look at them: with those of `xtask`, what a
/// developer has just built would be built anew.
pub fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::workspace()).args(words).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}
