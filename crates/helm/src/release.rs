//! Releases: what is done with them, and how they stand.

use std::{ffi::OsString, time::Duration};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    chart::Chart,
    error::{Error, Step},
    mask::Mask,
    options::{InstallOptions, UninstallOptions, UpgradeOptions},
    program::Helm,
    target::Target,
    workspace::Workspace,
};

/// How long it may take to tell how a release stands.
const LOOK: Duration = Duration::from_secs(60);

/// The state of a release, in Helm's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is installed.
    Deployed,
    /// Its last operation failed.
    Failed,
    /// It is being installed, or that was interrupted.
    PendingInstall,
    /// It is being upgraded, or that was interrupted.
    PendingUpgrade,
    /// It is being rolled back, or that was interrupted.
    PendingRollback,
    /// A newer revision has taken its place.
    Superseded,
    /// It is removed, and its history is kept.
    Uninstalled,
    /// It is being removed, or that was interrupted.
    Uninstalling,
    /// Helm does not know either.
    #[serde(other)]
    Unknown,
}

impl Phase {
    /// Helm's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
            Self::Superseded => "superseded",
            Self::Uninstalled => "uninstalled",
            Self::Uninstalling => "uninstalling",
            Self::Unknown => "unknown",
        }
    }

    /// Whether an operation is under way, or was interrupted.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

/// How a release stands. Its values and notes may hold secrets.
#[derive(Clone, PartialEq)]
pub struct Release {
    /// The revision.
    pub revision: i32,
    /// The state of it.
    pub phase: Phase,
    /// The name of the chart.
    pub chart: String,
    /// The version of the chart.
    pub version: String,
    /// The values that were given, without those of the chart.
    pub values: Map<String, Value>,
    /// When it was first installed.
    pub first_deployed: Option<Timestamp>,
    /// When the last operation began.
    pub last_deployed: Option<Timestamp>,
    /// What Helm says of the last operation.
    pub description: String,
    /// The notes of the chart.
    pub notes: String,
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Release")
            .field("revision", &self.revision)
            .field("phase", &self.phase)
            .field("chart", &self.chart)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Revision {
    /// Its number.
    pub revision: i32,
    /// The state of it.
    #[serde(rename = "status")]
    pub phase: Phase,
    /// Name and version of the chart, with a dash between.
    pub chart: String,
    /// When it was made.
    #[serde(default)]
    pub updated: Option<Timestamp>,
    /// What Helm says of it.
    #[serde(default)]
    pub description: String,
}

/// What `helm status` prints.
#[derive(Deserialize)]
struct Status {
    info: Info,
    #[serde(default)]
    config: Option<Map<String, Value>>,
    #[serde(default)]
    version: i32,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    first_deployed: Option<Timestamp>,
    #[serde(default)]
    last_deployed: Option<Timestamp>,
    #[serde(default)]
    description: String,
    status: Phase,
    #[serde(default)]
    notes: String,
}

/// What `helm get metadata` prints.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    chart: String,
    #[serde(default)]
    version: String,
}

impl Helm {
    /// Installs a chart.
    ///
    /// # Errors
    /// [`Error::InProgress`], [`Error::Unusable`], [`Error::Forbidden`], [`Error::ClusterUnreachable`],
    /// [`Error::TimedOut`], [`Error::TooLarge`], and [`Error::Failed`] for everything else, that there is such a release
    /// already among it.
    pub async fn install(
        &self,
        target: &Target,
        chart: &Chart,
        values: &Map<String, Value>,
        options: &InstallOptions,
    ) -> Result<(), Error> {
        self.write(target, "install", chart, values, options.flags(), options.deadline()).await
    }

    /// Upgrades a release to a chart and values.
    ///
    /// # Errors
    /// As for [`Self::install`], and [`Error::NoRelease`].
    pub async fn upgrade(
        &self,
        target: &Target,
        chart: &Chart,
        values: &Map<String, Value>,
        options: &UpgradeOptions,
    ) -> Result<(), Error> {
        self.write(target, "upgrade", chart, values, options.flags(), options.deadline()).await
    }

    /// Goes back to a revision; this makes a new one.
    ///
    /// # Errors
    /// As for [`Self::upgrade`].
    pub async fn rollback(
        &self,
        target: &Target,
        revision: i32,
        options: &UpgradeOptions,
    ) -> Result<(), Error> {
        let workspace = self.workspace()?;
        let mut args = vec![String::from("rollback"), target.name.clone(), revision.to_string()];
        args.extend(options.rollback_flags());
        self.on(target, &workspace, args, &Mask::default(), options.deadline()).await.map(drop)
    }

    /// Removes a release with all its objects and its history. That there is none is fine.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::ClusterUnreachable`], [`Error::TimedOut`], [`Error::Failed`].
    pub async fn uninstall(&self, target: &Target, options: &UninstallOptions) -> Result<(), Error> {
        let workspace = self.workspace()?;
        let mut args =
            vec![String::from("uninstall"), target.name.clone(), String::from("--ignore-not-found")];
        args.extend(options.flags());
        self.on(target, &workspace, args, &Mask::default(), options.deadline()).await.map(drop)
    }

    /// How a release stands; nothing if there is none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::ClusterUnreachable`], [`Error::TimedOut`], [`Error::Failed`].
    pub async fn release(&self, target: &Target) -> Result<Option<Release>, Error> {
        let workspace = self.workspace()?;
        let status = self.look(target, &workspace, &["status"], &["--output", "json"]).await;
        let status: Status = match status {
            Ok(printed) => read(&printed)?,
            Err(Error::NoRelease) => return Ok(None),
            Err(other) => return Err(other),
        };
        let revision = format!("--revision={}", status.version);
        let named =
            self.look(target, &workspace, &["get", "metadata"], &["--output", "json", &revision]).await;
        let named: Named = match named {
            Ok(printed) => read(&printed)?,
            // It went between the two questions.
            Err(Error::NoRelease) => return Ok(None),
            Err(other) => return Err(other),
        };
        let values = status.config.unwrap_or_default();
        let mut mask = Mask::default();
        mask.add_values(&Value::Object(values.clone()));
        Ok(Some(Release {
            revision: status.version,
            phase: status.info.status,
            chart: named.chart,
            version: named.version,
            first_deployed: status.info.first_deployed,
            last_deployed: status.info.last_deployed,
            // They may repeat values.
            description: mask.hide(&status.info.description),
            notes: mask.hide(&status.info.notes),
            values,
        }))
    }

    /// The revisions of a release, oldest first; none if there is no such release.
    ///
    /// # Errors
    /// As for [`Self::release`].
    pub async fn history(&self, target: &Target) -> Result<Vec<Revision>, Error> {
        let workspace = self.workspace()?;
        match self.look(target, &workspace, &["history"], &["--output", "json"]).await {
            Ok(printed) => read(&printed),
            Err(Error::NoRelease) => Ok(Vec::new()),
            Err(other) => Err(other),
        }
    }

    /// The objects of a release as they were rendered, YAML. It may hold Secrets.
    ///
    /// # Errors
    /// As for [`Self::release`], and [`Error::NoRelease`].
    pub async fn manifest(&self, target: &Target) -> Result<String, Error> {
        let workspace = self.workspace()?;
        let printed = self.look(target, &workspace, &["get", "manifest"], &[]).await?;
        String::from_utf8(printed).map_err(|_| Error::Failed(String::from("its manifest is not text")))
    }

    /// The CRDs of a chart and of the charts it depends on, YAML.
    ///
    /// # Errors
    /// [`Error::Unusable`], [`Error::TooLarge`], [`Error::TimedOut`].
    pub async fn crds(&self, chart: &Chart) -> Result<String, Error> {
        let workspace = self.workspace()?;
        let args = ["show".as_ref(), "crds".as_ref(), chart.file().as_os_str()];
        let printed = self.run(&workspace, args, &Mask::default(), Step::Read, LOOK).await?;
        String::from_utf8(printed).map_err(|_| Error::Unusable(String::from("its CRDs are not text")))
    }

    async fn write(
        &self,
        target: &Target,
        verb: &str,
        chart: &Chart,
        values: &Map<String, Value>,
        flags: Vec<String>,
        deadline: Duration,
    ) -> Result<(), Error> {
        let workspace = self.workspace()?;
        let values = Value::Object(values.clone());
        let file = workspace.write("values.json", values.to_string().as_bytes())?;
        let mut mask = Mask::default();
        mask.add_values(&values);
        let mut args: Vec<OsString> = vec![verb.into(), target.name.clone().into(), chart.file().into()];
        args.extend(["--values".into(), file.into()]);
        args.extend(flags.into_iter().map(OsString::from));
        self.on(target, &workspace, args, &mask, deadline).await.map(drop)
    }

    async fn look(
        &self,
        target: &Target,
        workspace: &Workspace,
        verb: &[&str],
        flags: &[&str],
    ) -> Result<Vec<u8>, Error> {
        let args = verb.iter().copied().chain([target.name.as_str()]).chain(flags.iter().copied());
        let args: Vec<OsString> = args.map(OsString::from).collect();
        self.on(target, workspace, args, &Mask::default(), LOOK).await
    }

    /// Runs Helm with the kubeconfig of a target.
    async fn on(
        &self,
        target: &Target,
        workspace: &Workspace,
        args: Vec<impl Into<OsString>>,
        mask: &Mask,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        if !workspace.join(crate::command::KUBECONFIG).is_file() {
            target.write(workspace)?;
        }
        let mut mask = mask.clone();
        mask.add(target.cluster.token.expose_secret());
        let namespace = format!("--namespace={}", target.namespace);
        let args = args.into_iter().map(Into::into).chain([OsString::from(namespace)]);
        self.run(workspace, args, &mask, Step::Release, deadline).await
    }
}

/// What Helm prints is not repeated: it holds values.
fn read<'a, T: Deserialize<'a>>(printed: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(printed)
        .map_err(|_| Error::Failed(String::from("helm answers in a form that this version does not know")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_prints_is_read() {
        let status: Status = read(
            br#"{"name":"one","info":{"first_deployed":"2026-11-21T21:55:04.24241687Z","last_deployed":"2026-11-21T21:55:04.936437598Z",
            "deleted":"","description":"Upgrade complete","status":"deployed","notes":"note two\n"},"config":{"a":"two"},
            "manifest":"---\n","version":2,"namespace":"t1"}"#,
        )
        .unwrap();
        assert_eq!((status.version, status.info.status), (2, Phase::Deployed));
        assert!(status.config.is_some() && status.info.first_deployed < status.info.last_deployed);
        let history: Vec<Revision> = read(
            br#"[{"revision":1,"updated":"2026-11-21T21:55:04.24241687Z","status":"superseded","chart":"cm-0.1.0","app_version":"",
            "description":"Install complete"},{"revision":2,"updated":"2026-11-21T21:55:04.9Z","status":"something-new",
            "chart":"cm-0.1.0","app_version":"","description":""}]"#,
        )
        .unwrap();
        assert_eq!(
            history.iter().map(|one| one.phase).collect::<Vec<_>>(),
            [Phase::Superseded, Phase::Unknown]
        );
    }

    #[test]
    fn every_phase_has_helms_word() {
        for phase in [
            Phase::Deployed,
            Phase::Failed,
            Phase::PendingInstall,
            Phase::PendingUpgrade,
            Phase::PendingRollback,
        ] {
            assert_eq!(serde_json::from_str::<Phase>(&format!("{:?}", phase.as_str())).unwrap(), phase);
        }
        assert!(Phase::PendingUpgrade.is_pending() && !Phase::Failed.is_pending());
    }
}
