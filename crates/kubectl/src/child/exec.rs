//! Credential plug-ins of the child kubeconfig (`client.authentication.k8s.io`).

use std::process::Stdio;

use jiff::{SignedDuration, Timestamp};
use kube::config::{ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::Credential;
use crate::failure::Failure;

/// How long before its end a credential is replaced.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// A credential plug-in and its last answer.
#[derive(Debug)]
pub(super) struct Exec {
    config: ExecConfig,
    command: String,
    last: Option<(Credential, Option<Timestamp>)>,
}

#[derive(Deserialize)]
struct Answer {
    status: Option<AnswerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerStatus {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Exec {
    pub(super) fn new(config: ExecConfig) -> Result<Self, Failure> {
        let command = config
            .command
            .clone()
            .ok_or_else(|| Failure::new("the exec plug-in of the child kubeconfig has no command"))?;
        if config.provide_cluster_info {
            return Err(Failure::new(format!("the exec plug-in {command:?} of the child kubeconfig cannot be used"))
                .because("it asks for the child's address (provideClusterInfo), and the child is not visited at its address")
                .next("use a token or a client certificate of the child"));
        }
        Ok(Self { config, command, last: None })
    }

    /// The last answer while it holds, else a new one.
    pub(super) async fn credential(&mut self) -> Result<Credential, Failure> {
        if let Some((credential, end)) = &self.last
            && end.is_none_or(|end| Timestamp::now() + EARLY < end)
        {
            return Ok(credential.clone());
        }
        // Only the first run may ask questions: later the terminal is kubectl's.
        let answer = self.run(self.last.is_none()).await?;
        self.last = Some(answer.clone());
        Ok(answer.0)
    }

    async fn run(&self, first: bool) -> Result<(Credential, Option<Timestamp>), Failure> {
        let interactive = first && self.config.interactive_mode != Some(ExecInteractiveMode::Never);
        let request = json!({
            "apiVersion": self.config.api_version,
            "kind": "ExecCredential",
            "spec": { "interactive": interactive },
        });
        let mut command = Command::new(&self.command);
        command
            .args(self.config.args.iter().flatten())
            .envs(
                self.config
                    .env
                    .iter()
                    .flatten()
                    .filter_map(|pair| Some((pair.get("name")?, pair.get("value")?))),
            )
            .env("KUBERNETES_EXEC_INFO", request.to_string())
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stderr(Stdio::inherit())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let failed =
            || Failure::new(format!("the exec plug-in {:?} of the child kubeconfig failed", self.command));
        let output = command.output().await.map_err(|error| {
            let failure = failed().because(error);
            match &self.config.install_hint {
                Some(hint) => failure.next(hint.clone()),
                None => failure.next("is it installed and on your PATH?"),
            }
        })?;
        if !output.status.success() {
            return Err(failed().because(output.status));
        }
        // The parser's words could repeat the credential.
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed().because("it did not print an ExecCredential"))?;
        let status = answer.status.ok_or_else(|| failed().because("its answer has no status"))?;
        let end = status.expiration_timestamp;
        match status {
            AnswerStatus {
                client_certificate_data: Some(certificate), client_key_data: Some(key), ..
            } => Ok((Credential::Certificate { certificate: certificate.into(), key: key.into() }, end)),
            AnswerStatus { token: Some(token), .. } if !token.is_empty() => {
                Ok((Credential::Token(token.into()), end))
            }
            _ => Err(failed().because("its answer holds neither a token nor a client certificate")),
        }
    }
}
