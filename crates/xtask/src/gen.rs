//! `cargo xtask gen`: writes what is generated and checked in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Writes `deploy/crds`; with `check`, only tells whether it is up to date.
///
/// # Errors
///
/// When a file cannot be written or, with `check`, when one differs from what would be written.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let directory = root().join("deploy/crds");
    let mut stale = Vec::new();
    for file in api::crds::files()? {
        let path = directory.join(&file.name);
        if std::fs::read_to_string(&path).is_ok_and(|current| current == file.contents) {
            continue;
        }
        if check {
            stale.push(path);
        } else {
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
            std::fs::write(&path, &file.contents)
                .with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("wrote {}", path.display());
        }
    }
    if !stale.is_empty() {
        bail!("out of date, run `cargo xtask gen`: {stale:?}");
    }
    Ok(())
}

/// The checkout this program was built from.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}
