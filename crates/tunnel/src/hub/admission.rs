//! Which tunnels are let in.

use meta::{Status, StatusCause};

use crate::{Hello, HelloError, Version, hello::headers};

/// Why an agent was not given a tunnel. [`Refused::status`] is what it is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The agent speaks another major version, or its headers cannot be read.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The request asks for no WebSocket.
    #[error("the request asks for no WebSocket")]
    NotWebSocket,
    /// A newer holder of the agent's Lease has the tunnel.
    #[error("an agent of epoch {held} holds the tunnel, this one is of epoch {offered}")]
    Superseded {
        /// Epoch of the live tunnel.
        held: u64,
        /// Epoch of the refused one.
        offered: u64,
    },
    /// Another instance of the same epoch has the tunnel: two agents believe to hold the same Lease, or somebody
    /// uses a copied credential. Worth an Event.
    #[error("agent {holder} holds the tunnel of the same epoch {epoch}, {offered} is another instance")]
    Taken {
        /// Instance of the live tunnel.
        holder: String,
        /// Instance that was refused.
        offered: String,
        /// Epoch of both.
        epoch: u64,
    },
    /// So many tunnels of this cluster are being opened already.
    #[error("{0} tunnels of this cluster are being opened already")]
    Opening(usize),
    /// This hub is shutting down.
    #[error("this hub is shutting down")]
    Draining,
}

/// Seconds after which an agent should try a draining hub's address again: by then another replica stands behind it.
const RETRY_WHEN_DRAINING: u32 = 1;
/// Seconds after which a tunnel being opened is open or has failed.
const RETRY_WHEN_OPENING: u32 = 10;

impl Refused {
    /// A stable CamelCase word for Events, conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Hello(HelloError::Version { .. }) => "TunnelVersionMismatch",
            Self::Hello(_) => "TunnelHandshakeInvalid",
            Self::NotWebSocket => "WebSocketRequired",
            Self::Superseded { .. } => "AgentSuperseded",
            Self::Taken { .. } => "AgentDuplicate",
            Self::Opening(_) => "TunnelsOpening",
            Self::Draining => "HubDraining",
        }
    }

    /// The answer to the agent. The hub's protocol version travels in the details.
    pub fn status(&self) -> Status {
        let mut status = match self {
            Self::Hello(HelloError::Version { ours, theirs }) => Status::bad_request(format!(
                "This hub speaks tunnel protocol {ours}, the agent {theirs}: install versions of hub and agent that \
                 belong together."
            )),
            Self::Hello(error) => {
                Status::bad_request(format!("This is not a request of a Clusterway agent: {error}."))
            }
            Self::NotWebSocket => Status::bad_request(
                "A tunnel is a WebSocket: send Connection: Upgrade, Upgrade: websocket, Sec-WebSocket-Version: 13 and \
                 a Sec-WebSocket-Key.",
            ),
            Self::Superseded { held, offered } => Status::conflict(format!(
                "Another agent of this cluster took over: it holds the tunnel with epoch {held}, this agent's epoch \
                 is {offered}. It should stand by until it holds the Lease again."
            )),
            Self::Taken { holder, offered, epoch } => Status::conflict(format!(
                "Agent {holder} holds this cluster's tunnel with epoch {epoch}, and {offered} claims the same epoch. \
                 Make sure that only one agent is installed in the cluster and that its credential was not copied."
            )),
            Self::Opening(number) => Status::too_many_requests(format!(
                "{number} tunnels of this cluster are being opened already; wait until they are open or have failed."
            ))
            .retry_after(RETRY_WHEN_OPENING),
            Self::Draining => Status::unavailable("This hub is shutting down; another replica will answer.")
                .retry_after(RETRY_WHEN_DRAINING),
        };
        if let Self::Hello(HelloError::Version { ours, .. }) = self {
            status.details.get_or_insert_default().causes.push(version_cause(*ours));
        }
        status
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        refused.status()
    }
}

/// How a refusal tells the hub's version, so that it survives every proxy between hub and agent.
fn version_cause(ours: Version) -> StatusCause {
    StatusCause {
        reason: String::from("TunnelVersionMismatch"),
        message: ours.to_string(),
        field: headers::VERSION.as_str().to_owned(),
    }
}

/// The hub's version in a refusal, if it was refused for it.
pub(crate) fn version_in(status: &Status) -> Option<Version> {
    let causes = &status.details.as_ref()?.causes;
    causes.iter().find(|cause| cause.field == headers::VERSION.as_str())?.message.parse().ok()
}

/// Whether an agent that says `offered` of itself may have the tunnel that `held` has, if any has it.
pub(super) fn decide(held: Option<&Hello>, offered: &Hello) -> Result<(), Refused> {
    let Some(held) = held else { return Ok(()) };
    if offered.epoch > held.epoch {
        return Ok(());
    }
    if offered.epoch < held.epoch {
        return Err(Refused::Superseded { held: held.epoch, offered: offered.epoch });
    }
    if offered.instance == held.instance {
        // It knows better than we whether its old tunnel still lives.
        return Ok(());
    }
    Err(Refused::Taken {
        holder: held.instance.clone(),
        offered: offered.instance.clone(),
        epoch: held.epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    fn agent(instance: &str, epoch: u64) -> Hello {
        Hello {
            version: Version::OURS,
            features: Features::ours(),
            instance: instance.to_owned(),
            epoch,
            agent_version: String::from("0.1.0"),
        }
    }

    #[test]
    fn the_rules() {
        assert_eq!(decide(None, &agent("a", 1)), Ok(()));
        assert_eq!(decide(Some(&agent("a", 1)), &agent("a", 1)), Ok(()));
        assert_eq!(decide(Some(&agent("a", 1)), &agent("b", 2)), Ok(()));
        assert_eq!(
            decide(Some(&agent("b", 2)), &agent("a", 1)),
            Err(Refused::Superseded { held: 2, offered: 1 })
        );
        assert!(matches!(decide(Some(&agent("a", 1)), &agent("b", 1)), Err(Refused::Taken { .. })));
    }

    #[test]
    fn a_refused_version_says_both_versions_to_people_and_to_the_agent() {
        let theirs = Version { major: 9, minor: 1 };
        let status = Refused::Hello(HelloError::Version { ours: Version::OURS, theirs }).status();
        assert!(status.message.contains("1.0") && status.message.contains("9.1"), "{}", status.message);
        assert_eq!(version_in(&status), Some(Version::OURS));
    }
}
