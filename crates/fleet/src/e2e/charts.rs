//! Chart repositories for scenarios: an open one, and one over TLS that wants a name and a password.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use testkit::charts::{Charts, Options};
use tokio::sync::OnceCell;

use crate::fleet::Fleet;

/// Who is let in where a password is wanted. The password must not be seen anywhere.
const USER: &str = "robot";
/// A password that is like nothing else.
pub const PASSWORD: &str = "planted-4f1d-of-the-repository";

/// A chart that is put into a repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// The name.
    pub name: String,
    /// The versions, all with the same files.
    pub versions: Vec<String>,
    /// Whether it is put into the repository that wants a password.
    #[serde(default)]
    pub private: bool,
    /// The files beside `Chart.yaml`. As in every step, `${name}` is filled in.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// The repositories, served from when they are first asked for.
#[derive(Default)]
pub struct Repositories {
    both: OnceCell<(Charts, Charts)>,
}

impl Repositories {
    async fn both(&self, fleet: &Fleet) -> anyhow::Result<&(Charts, Charts)> {
        let serve = || async {
            let helm = &fleet.tools().helm;
            let private = Options { tls: true, credentials: Some((USER.to_owned(), PASSWORD.to_owned())) };
            anyhow::Ok((
                Charts::serve_with(helm, Options::default()).await?,
                Charts::serve_with(helm, private).await?,
            ))
        };
        self.both.get_or_try_init(serve).await
    }

    /// What `${…}` stands for where charts are spoken of.
    pub async fn variables(&self, fleet: &Fleet) -> anyhow::Result<Vec<(String, String)>> {
        let (open, private) = self.both(fleet).await?;
        let authority = STANDARD.encode(private.authority().unwrap_or_default());
        let all = [
            ("charts.url", open.url()),
            ("charts.registry", open.registry()),
            ("private.url", private.url()),
            ("private.user", STANDARD.encode(USER)),
            ("private.password", STANDARD.encode(PASSWORD)),
            ("private.authority", authority),
            ("private.secret", PASSWORD.to_owned()),
        ];
        Ok(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Puts a chart into its repository.
    pub async fn add(&self, fleet: &Fleet, chart: &Chart) -> anyhow::Result<()> {
        let (open, private) = self.both(fleet).await?;
        let repository = if chart.private { private } else { open };
        let files: Vec<(&str, &str)> =
            chart.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        for version in &chart.versions {
            repository.add(&chart.name, version, &files)?;
        }
        Ok(())
    }
}
