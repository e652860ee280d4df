//! What can go wrong with a store, by what the caller can do about it.

/// An error of a store. No message holds an object's body or a value of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing of the operation has happened, and it may succeed later as it is: the store is busy or gone, the disk
    /// is full. If a database went away at the very end, all of the operation may have happened; to repeat it does no
    /// harm.
    #[error("the store cannot do this now: {0}")]
    Retry(String),
    /// The query is at fault. Answered with a 400 that names the parameter.
    #[error("{parameter}: {reason}")]
    Invalid {
        /// The parameter as the contract names it in a URL, such as `orderby`.
        parameter: &'static str,
        /// What is wrong with it, for the person who wrote it.
        reason: String,
    },
    /// What is stored cannot be read. The store has to be made anew and the clusters synced again; nothing is lost
    /// by that but time.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A newer version of this program has written the store. Nothing was changed.
    #[error("the store has schema version {found}, this program knows versions up to {known}")]
    Newer {
        /// The version found.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The storage configuration is at fault.
    #[error("storage configuration: {key} {reason}")]
    Config {
        /// The key as it stands in the file.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// This build has no back end of the configured type.
    #[error("this program has no storage of type {kind}, only {known}")]
    Unsupported {
        /// The configured type.
        kind: String,
        /// Those there are.
        known: String,
    },
    /// Another process holds the store.
    #[error("another process holds the store {0}")]
    Held(String),
    /// Somebody else has begun a relist of the same resource of the same cluster since, or another process has taken
    /// over writing it: what was to be written may be older than what is stored. List anew.
    #[error("another process or another list has taken over")]
    Superseded,
    /// Anything else: the operation did not happen, and there is no reason to think it ever will.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl Error {
    /// A query's fault.
    pub fn invalid(parameter: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { parameter, reason: reason.into() }
    }

    /// The configuration's fault.
    pub fn config(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Config { key, reason: reason.into() }
    }

    /// Whether the same operation may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::Held(_))
    }
}
