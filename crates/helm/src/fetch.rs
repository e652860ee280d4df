//! Gets a chart from its repository.

use std::{fs, path::PathBuf};

use crate::{
    chart::{Chart, Metadata},
    error::{Error, Step},
    mask::Mask,
    program::Helm,
    repository::{ALIAS, Repository},
    workspace::Workspace,
};

/// The longest `Chart.yaml` that is read.
const LONGEST_METADATA: usize = 1 << 20;

impl Helm {
    /// Fetches a chart. `version` is exact (`1.2.3`), a range that Helm understands (`^1.2`, `>=1 <3`), or nothing for the
    /// newest that is no pre-release; a registry needs one.
    ///
    /// # Errors
    /// [`Error::NoSuchChart`], [`Error::Unreachable`], [`Error::Refused`], [`Error::TooLarge`], [`Error::TimedOut`];
    /// [`Error::Unusable`] for what is not a chart that can be installed.
    pub async fn fetch(
        &self,
        repository: &Repository,
        chart: &str,
        version: Option<&str>,
    ) -> Result<Chart, Error> {
        check_name(chart)?;
        let version = version.map(str::trim).filter(|version| !version.is_empty());
        let workspace = self.workspace()?;
        repository.write(&workspace)?;
        let mask = repository.mask();
        let into = workspace.join("chart");
        fs::create_dir(&into)
            .map_err(|error| Error::Program(format!("its temporary files cannot be written: {error}")))?;
        let mut pull = vec![String::from("pull")];
        if repository.is_registry() {
            if version.is_none() {
                return Err(Error::NoSuchChart(String::from(
                    "a registry needs the version of the chart, and none is set",
                )));
            }
            pull.push(format!("{}/{chart}", repository.url.as_str().trim_end_matches('/')));
            if repository.plain_http {
                pull.push(String::from("--plain-http"));
            }
            if repository.authority.is_some() {
                pull.push(format!("--ca-file={}", workspace.join("authority.pem").display()));
            }
        } else {
            let update = ["repo", "update", ALIAS, "--fail-on-repo-update-fail"];
            self.run(&workspace, update, &mask, Step::Index, self.limits().fetch).await?;
            pull.push(format!("{ALIAS}/{chart}"));
        }
        if let Some(version) = version {
            pull.push(format!("--version={version}"));
        }
        pull.push(format!("--destination={}", into.display()));
        self.run(&workspace, pull, &mask, Step::Pull, self.limits().fetch).await?;
        let file = only_file(&into, self.limits().chart)?;
        let metadata = self.metadata(&workspace, &file).await?;
        if metadata.kind.as_deref().is_some_and(|kind| !kind.is_empty() && kind != "application") {
            let kind = metadata.kind.unwrap_or_default();
            return Err(Error::Unusable(format!(
                "{chart} is a chart of type {kind}, which is not for installing"
            )));
        }
        Ok(Chart { file, metadata, _workspace: workspace })
    }

    /// What a chart says of itself. Helm reads the whole archive for it, within its own bounds and ours.
    async fn metadata(&self, workspace: &Workspace, file: &std::path::Path) -> Result<Metadata, Error> {
        let args = ["show".as_ref(), "chart".as_ref(), file.as_os_str()];
        let printed = self.run(workspace, args, &Mask::default(), Step::Read, self.limits().fetch).await?;
        if printed.len() > LONGEST_METADATA {
            return Err(Error::TooLarge(String::from("its Chart.yaml is larger than 1 MiB")));
        }
        let text = String::from_utf8(printed)
            .map_err(|_| Error::Unusable(String::from("its Chart.yaml is not text")))?;
        serde_saphyr::from_str(&text).map_err(|_| {
            Error::Unusable(String::from("its Chart.yaml has no name and version that can be read"))
        })
    }
}

/// A name that is part of a path and no option.
fn check_name(chart: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let odd = chart.is_empty()
        || !chart.chars().all(plain)
        || chart.starts_with(['-', '/', '.'])
        || chart.ends_with('/')
        || chart.split('/').any(|part| part.is_empty() || part == "..");
    if odd { Err(Error::Unusable(format!("{chart:?} cannot be the name of a chart"))) } else { Ok(()) }
}

/// The archive that Helm has put there.
fn only_file(directory: &std::path::Path, largest: u64) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let archives =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "tgz"));
    let file = archives.into_iter().next();
    let file =
        file.ok_or_else(|| Error::Unusable(String::from("the repository gave something that is no chart")))?;
    let size = fs::metadata(&file).map_or(u64::MAX, |metadata| metadata.len());
    if size > largest {
        return Err(Error::TooLarge(format!(
            "the archive has {size} bytes, and at most {largest} are taken"
        )));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_name_is_neither_an_option_nor_a_way_out() {
        for good in ["web", "bitnami/web", "my_chart", "a.b-c"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "-f",
            "--post-renderer=x",
            "../web",
            "a/../b",
            "/etc/web",
            "a//b",
            "a/",
            "a b",
            "a\nb",
            ".hidden",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
