//! Where everything lies on disk.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The checkout that is worked in: where `cargo xtask` was called, else where this program was built.
pub fn workspace() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.ancestors().find(|path| path.join("Cargo.lock").is_file()).map(Path::to_path_buf);
    root.unwrap_or(manifest)
}

/// Where a fleet called `name` keeps everything it has. It belongs to the checkout, whatever `CARGO_TARGET_DIR` says,
/// so that two checkouts do not disturb each other.
pub fn fleet(name: &str) -> PathBuf {
    workspace().join("target").join(name)
}

/// Where built tools are kept over checkouts: `CLUSTERWAY_CACHE`, else `~/.cache/clusterway`.
pub fn cache() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("CLUSTERWAY_CACHE") {
        return Ok(PathBuf::from(path));
    }
    let home = std::env::home_dir().context("neither CLUSTERWAY_CACHE nor a home directory is known")?;
    Ok(home.join(".cache/clusterway"))
}

/// Writes a file in one step, so that nobody ever reads half of it.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, contents).with_context(|| format!("cannot write {}", temporary.display()))?;
    std::fs::rename(&temporary, path).with_context(|| format!("cannot write {}", path.display()))
}
