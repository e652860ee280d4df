//! The directory of one operation.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// A directory that only we can read, with everything one operation reads and writes. It goes with its value.
#[derive(Debug)]
pub(crate) struct Workspace(tempfile::TempDir);

impl Workspace {
    pub(crate) fn new(parent: &Path) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("clusterway-helm-").permissions(fs::Permissions::from_mode(0o700));
        let directory = builder.tempdir_in(parent).map_err(|error| unusable(&error))?;
        fs::create_dir(directory.path().join("tmp")).map_err(|error| unusable(&error))?;
        Ok(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only we can read.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> Result<PathBuf, Error> {
        let path = self.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(contents)).map_err(|error| unusable(&error))?;
        Ok(path)
    }
}

fn unusable(error: &std::io::Error) -> Error {
    Error::Program(format!("its temporary files cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_read_it_and_it_leaves_nothing_behind() {
        let workspace = Workspace::new(&std::env::temp_dir()).unwrap();
        let file = workspace.write("values.json", b"{}").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(workspace.path()), mode(&file)), (0o700, 0o600));
        let path = workspace.path().to_owned();
        drop(workspace);
        assert!(fs::metadata(path).is_err());
    }
}
