//! One round over one HelmRelease: look, plan, fetch, do, tell.

use std::time::Duration;

use api::{
    apps::{HelmRelease, HelmReleaseStatus},
    names::{apps::finalizers::APPS, helm::reasons},
};
use helm::{Chart, Error, Helm, InstallOptions, Phase, Release, Target, UninstallOptions, UpgradeOptions};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    access::{Access, Way},
    crds,
    parent::Parent,
    plan::{Facts, Step},
    status::{self, State},
    trouble::Trouble,
    wanted::{Place, Wanted, same_version},
};

/// What comes of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is as it is wanted, or gone.
    Done,
    /// It is to be looked at again, after a pause that grows.
    Again,
    /// It is to be looked at again after so long.
    After(Duration),
}

/// What a round works with.
pub(crate) struct Worker {
    pub(crate) parent: Parent,
    /// None where this process was given no executable.
    pub(crate) helm: Option<Helm>,
    pub(crate) access: std::sync::Arc<dyn Access>,
    /// The name of the cluster, for people.
    pub(crate) cluster: String,
    /// Who this is, for people.
    pub(crate) program: &'static str,
    /// While it is true nothing is changed in the cluster.
    pub(crate) halted: tokio::sync::watch::Receiver<bool>,
}

/// Why a round ended early.
enum Stop {
    Trouble(Trouble),
    /// The parent took no word; it may later.
    Parent(kube::Error),
    Wait(Duration),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Self::Parent(error)
    }
}

impl Worker {
    /// One round.
    pub(crate) async fn round(&self, release: HelmRelease) -> Outcome {
        let is_deleting = release.metadata.deletion_timestamp.is_some();
        let halted = *self.halted.borrow();
        let result = if halted {
            let why =
                format!("Nothing is changed in {}: its owner has frozen it, or it is paused.", self.cluster);
            Err(Stop::Trouble(Trouble::new(reasons::HALTED, why)))
        } else if is_deleting {
            self.remove(&release).await
        } else {
            self.bring(&release).await
        };
        let stop = match result {
            Ok(()) => return Outcome::Done,
            Err(stop) => stop,
        };
        match stop {
            Stop::Trouble(trouble) => {
                self.tell_trouble(&release, &trouble).await;
                // Without an executable, or halted, nothing gets better by itself: the end of a halt is heard of.
                if halted || self.helm.is_none() { Outcome::Done } else { Outcome::Again }
            }
            Stop::Parent(error) => {
                tracing::debug!(%error, release = release.name_any(), "the parent took no word of a HelmRelease");
                Outcome::Again
            }
            Stop::Wait(left) => Outcome::After(left),
        }
    }

    /// Takes the release of a deleted HelmRelease out of the cluster.
    async fn remove(&self, release: &HelmRelease) -> Result<(), Stop> {
        if !release.finalizers().iter().any(|finalizer| finalizer == APPS) {
            return Ok(());
        }
        if let Some(place) = Place::installed(release) {
            let helm = self.helm()?;
            let (target, _way) = self.target(&place, release).await?;
            let before = release.status.clone().unwrap_or_default();
            let generation = release.metadata.generation.unwrap_or_default();
            if !status::has_failed(&before, generation) {
                let sentence =
                    format!("The release {} is being removed from {}.", place.record(), self.cluster);
                let next = status::next(
                    &before,
                    generation,
                    None,
                    &State::Doing("uninstalling", sentence),
                    Timestamp::now(),
                );
                let next = HelmReleaseStatus { version: before.version, notes: before.notes.clone(), ..next };
                self.parent.tell(release, &next).await?;
            }
            let options = UninstallOptions::from(&release.spec.options);
            helm.uninstall(&target, &options).await.map_err(|error| self.trouble(&error, release))?;
            tracing::info!(cluster = self.cluster, release = place.record(), "a release was removed");
        }
        // As it is now: its status may have been written since.
        match self.parent.releases.get_opt(&release.name_any()).await? {
            Some(now) if now.uid() == release.uid() => Ok(self.parent.let_go(&now).await?),
            _ => Ok(()),
        }
    }

    /// Brings the release to what is wanted.
    async fn bring(&self, release: &HelmRelease) -> Result<(), Stop> {
        let wanted = Wanted::of(release).map_err(Stop::Trouble)?;
        let helm = self.helm()?;
        if let Some(old) = Place::installed(release).filter(|old| *old != wanted.place) {
            let (target, _way) = self.target(&old, release).await?;
            let options = UninstallOptions::from(&release.spec.options);
            helm.uninstall(&target, &options).await.map_err(|error| self.trouble(&error, release))?;
        }
        let (target, _way) = self.target(&wanted.place, release).await?;
        let found = helm.release(&target).await.map_err(|error| self.trouble(&error, release))?;
        let before = release.status.clone().unwrap_or_default();
        let generation = release.metadata.generation.unwrap_or_default();
        let install = InstallOptions::from(&release.spec.options);
        let facts = Facts {
            wanted: &wanted,
            settled: found
                .as_ref()
                .is_some_and(|found| status::is_settled(&before, generation, found.revision)),
            release: found.as_ref(),
            timeout: install.timeout,
            now: Timestamp::now(),
        };
        let step = facts.step();
        match step {
            Step::Nothing => return self.tell_ready(release, found.as_ref(), false).await,
            Step::Wait(left) => {
                let trouble = self.trouble_of(&Error::InProgress, release);
                self.tell(release, found.as_ref(), &State::Trouble(&trouble)).await?;
                return Err(Stop::Wait(left));
            }
            _ => {}
        }
        let repository = self.parent.repository(release).await.map_err(Stop::Trouble)?;
        let chart = helm.fetch(&repository, &release.spec.options.chart, wanted.version()).await;
        let chart = chart.map_err(|error| self.trouble(&error, release))?;
        if let Some(found) = found.as_ref().filter(|found| {
            found.phase == Phase::Deployed
                && wanted.same_but_version(found)
                && same_version(&found.version, &chart.metadata().version)
        }) {
            return self.tell_ready(release, Some(found), false).await;
        }
        let mut release = self.parent.record(release, &wanted.place).await?;
        if !status::has_failed(&before, generation) {
            let phase = if matches!(step, Step::Install { .. } | Step::Reinstall) {
                "pending-install"
            } else {
                "pending-upgrade"
            };
            let version = &chart.metadata().version;
            let sentence =
                format!("{} {version} is being brought to {}.", chart.metadata().name, self.cluster);
            release = self.tell(&release, found.as_ref(), &State::Doing(phase, sentence)).await?;
        }
        if release.metadata.generation != Some(generation) {
            // Something else is wanted meanwhile, which is looked at next: this must not be told of that.
            return Ok(());
        }
        let done = carry_out(helm, &release, step, &target, &chart, &wanted, install).await;
        let after = helm.release(&target).await.ok().flatten();
        match done {
            Ok(()) => self.tell_ready(&release, after.as_ref(), true).await,
            Err(error) => Err(self.trouble(&error, &release)),
        }
    }

    fn helm(&self) -> Result<&Helm, Stop> {
        self.helm.as_ref().ok_or_else(|| Stop::Trouble(Trouble::no_helm(&self.cluster, self.program)))
    }

    /// Where a release is, with what keeps the way there open.
    async fn target(&self, place: &Place, release: &HelmRelease) -> Result<(Target, Way), Stop> {
        let way = self
            .access
            .open()
            .await
            .map_err(|why| self.trouble(&Error::ClusterUnreachable(why.0), release))?;
        let (namespace, name) = (place.namespace.clone(), place.name.clone());
        Ok((Target { cluster: way.cluster.clone(), namespace, name }, way))
    }

    fn trouble(&self, error: &Error, release: &HelmRelease) -> Stop {
        Stop::Trouble(self.trouble_of(error, release))
    }

    fn trouble_of(&self, error: &Error, release: &HelmRelease) -> Trouble {
        let options = &release.spec.options;
        let version = options.version.as_deref().unwrap_or("in its newest version");
        Trouble::of(error, &format!("The chart {} {version}", options.chart), &self.cluster)
    }

    async fn tell(
        &self,
        release: &HelmRelease,
        found: Option<&Release>,
        state: &State<'_>,
    ) -> kube::Result<HelmRelease> {
        let before = release.status.clone().unwrap_or_default();
        let generation = release.metadata.generation.unwrap_or_default();
        let next = status::next(&before, generation, found, state, Timestamp::now());
        self.parent.tell(release, &next).await
    }

    async fn tell_ready(
        &self,
        release: &HelmRelease,
        found: Option<&Release>,
        is_news: bool,
    ) -> Result<(), Stop> {
        self.tell(release, found, &State::Ready).await?;
        if is_news {
            let found = found.map_or_else(String::new, |found| format!("{} {}", found.chart, found.version));
            let note = format!("{found} is deployed in {}.", self.cluster);
            tracing::info!(
                cluster = self.cluster,
                release = release.name_any(),
                "a release is as it is wanted"
            );
            self.parent.events.normal(release, reasons::UPDATED, &note).await;
        }
        Ok(())
    }

    /// Tells of trouble, with an Event if it is another than before.
    async fn tell_trouble(&self, release: &HelmRelease, trouble: &Trouble) {
        // What happens to the release while it fails is looked at afresh: Helm may have noted it.
        let found = match (Place::installed(release), trouble.reason) {
            (Some(place), reason)
                if ![reasons::UNREACHABLE, reasons::NO_HELM, reasons::HALTED].contains(&reason) =>
            {
                match self.target(&place, release).await {
                    Ok((target, _way)) => match &self.helm {
                        Some(helm) => helm.release(&target).await.ok().flatten(),
                        None => None,
                    },
                    Err(_) => None,
                }
            }
            _ => None,
        };
        let Ok(Some(now)) = self.parent.releases.get_opt(&release.name_any()).await else { return };
        let before = now.status.clone().unwrap_or_default();
        let generation = release.metadata.generation.unwrap_or_default();
        let next =
            status::next(&before, generation, found.as_ref(), &State::Trouble(trouble), Timestamp::now());
        let told = |status: &HelmReleaseStatus| {
            status.conditions.first().map(|one| (one.reason.clone(), one.message.clone()))
        };
        let is_news = told(&before) != told(&next);
        if let Err(error) = self.parent.tell(&now, &next).await {
            tracing::debug!(%error, "the status of a HelmRelease could not be written");
        }
        if is_news {
            let locating = [
                reasons::NO_SUCH_CHART,
                reasons::REPOSITORY_UNREACHABLE,
                reasons::CREDENTIALS_REFUSED,
                reasons::CREDENTIALS_MISSING,
            ];
            let reason =
                if locating.contains(&trouble.reason) { reasons::LOCATE_FAILURE } else { reasons::FAILURE };
            self.parent.events.warning(release, reason, &trouble.message).await;
        }
    }
}

/// Carries out what has to be done.
async fn carry_out(
    helm: &Helm,
    release: &HelmRelease,
    step: Step,
    target: &Target,
    chart: &Chart,
    wanted: &Wanted,
    mut install: InstallOptions,
) -> Result<(), Error> {
    let options = &release.spec.options;
    let upgrade = UpgradeOptions::from(options);
    if options.replace_crds.unwrap_or_default() && !install.skip_crds {
        crds::replace(&target.cluster, &helm.crds(chart).await?).await?;
    }
    if let Step::Install { replace: true } = step {
        install.replace = true;
    }
    match step {
        Step::Install { .. } => helm.install(target, chart, &wanted.values, &install).await,
        Step::Reinstall => {
            helm.uninstall(target, &UninstallOptions::from(options)).await?;
            helm.install(target, chart, &wanted.values, &install).await
        }
        Step::Recover => {
            let history = helm.history(target).await?;
            let good =
                history.iter().rev().find(|one| matches!(one.phase, Phase::Deployed | Phase::Superseded));
            match good {
                Some(good) => helm.rollback(target, good.revision, &upgrade).await?,
                None => helm.uninstall(target, &UninstallOptions::from(options)).await?,
            }
            if good.is_none() {
                return helm.install(target, chart, &wanted.values, &install).await;
            }
            helm.upgrade(target, chart, &wanted.values, &upgrade).await
        }
        Step::Upgrade => helm.upgrade(target, chart, &wanted.values, &upgrade).await,
        Step::Nothing | Step::Wait(_) => Ok(()),
    }
}
