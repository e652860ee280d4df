//! What both ends say of themselves in the headers of the upgrade, before the first byte of the tunnel.

use std::{collections::BTreeSet, fmt, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Names of the handshake's headers.
pub mod headers {
    use http::HeaderName;

    /// `major.minor` of the protocol, of either side.
    pub const VERSION: HeaderName = HeaderName::from_static("clusterway-tunnel-version");
    /// Comma-separated names of what the sender can do beyond the protocol's version.
    pub const FEATURES: HeaderName = HeaderName::from_static("clusterway-tunnel-features");
    /// Unique per agent process.
    pub const AGENT_INSTANCE: HeaderName = HeaderName::from_static("clusterway-agent-instance");
    /// `leaseTransitions` of the agent's Lease.
    pub const AGENT_EPOCH: HeaderName = HeaderName::from_static("clusterway-agent-epoch");
    /// The agent's own version.
    pub const AGENT_VERSION: HeaderName = HeaderName::from_static("clusterway-agent-version");
    /// Unique per hub process.
    pub const HUB_INSTANCE: HeaderName = HeaderName::from_static("clusterway-hub-instance");
}

/// Names are kept short: they end in logs and messages.
const MAX_NAME: usize = 128;
const MAX_FEATURES: usize = 64;

/// Version of the protocol. Ends with the same `major` understand each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when old and new ends do not understand each other any more.
    pub major: u16,
    /// Changes when something was added that the other end may ignore.
    pub minor: u16,
}

impl Version {
    /// What this build speaks.
    pub const OURS: Self = Self { major: 1, minor: 0 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !digits(major) || !digits(minor) {
            return Err(());
        }
        Ok(Self { major: major.parse().map_err(|_| ())?, minor: minor.parse().map_err(|_| ())? })
    }
}

/// A set of named abilities; an unknown one is kept and ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features(BTreeSet<String>);

impl Features {
    /// What this build can do beyond version 1.0: nothing yet.
    pub fn ours() -> Self {
        Self::default()
    }

    /// Whether the other side can do this.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// A set of these names; those that are none (see [`Hello`]) are left out.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter(|name| is_name(name)).take(MAX_FEATURES).map(str::to_owned).collect())
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// Why a handshake's headers were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The other end speaks another major version.
    #[error("this end speaks tunnel protocol {ours}, the other end {theirs}")]
    Version {
        /// Ours.
        ours: Version,
        /// Theirs.
        theirs: Version,
    },
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(HeaderName),
    /// A header's value is not of its form.
    #[error("the header {0} cannot be read")]
    Malformed(HeaderName),
}

/// What an agent says of itself.
///
/// Instance, version and features are names: 1 to 128 ASCII letters, digits and `-_.:+`.
///
/// ```
/// use tunnel::{Features, Hello, Version};
/// let hello = Hello {
///     version: Version::OURS,
///     features: Features::ours(),
///     instance: "6b1f".into(),
///     epoch: 3,
///     agent_version: "0.1.0".into(),
/// };
/// let mut headers = http::HeaderMap::new();
/// hello.write(&mut headers)?;
/// assert_eq!(Hello::try_from(&headers)?, hello);
/// # Ok::<(), tunnel::HelloError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The protocol it speaks.
    pub version: Version,
    /// What it can do beyond that.
    pub features: Features,
    /// Unique per agent process: one instance may hold tunnels to several replicas of the hub.
    pub instance: String,
    /// `leaseTransitions` of the agent's Lease: a higher epoch replaces a lower one.
    pub epoch: u64,
    /// The agent's version, for people.
    pub agent_version: String,
}

impl Hello {
    /// Writes the headers; fails if a field is not a name.
    pub fn write(&self, to: &mut HeaderMap) -> Result<(), HelloError> {
        write_common(to, self.version, &self.features)?;
        insert_name(to, headers::AGENT_INSTANCE, &self.instance)?;
        insert_name(to, headers::AGENT_VERSION, &self.agent_version)?;
        to.insert(headers::AGENT_EPOCH, HeaderValue::from(self.epoch));
        Ok(())
    }
}

impl TryFrom<&HeaderMap> for Hello {
    type Error = HelloError;

    /// Reads the headers of a request. The version comes first: of another one nothing else is understood.
    fn try_from(from: &HeaderMap) -> Result<Self, HelloError> {
        let version = read_version(from)?;
        let epoch = read_text(from, headers::AGENT_EPOCH)?;
        let plain = !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit());
        let epoch =
            epoch.parse().ok().filter(|_| plain).ok_or(HelloError::Malformed(headers::AGENT_EPOCH))?;
        Ok(Self {
            version,
            features: read_features(from)?,
            instance: read_name(from, headers::AGENT_INSTANCE)?,
            epoch,
            agent_version: read_name(from, headers::AGENT_VERSION)?,
        })
    }
}

/// What a hub answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol it speaks.
    pub version: Version,
    /// What it can do beyond that.
    pub features: Features,
    /// Unique per hub process: tells an agent which replica it reached.
    pub hub_instance: String,
}

impl Welcome {
    /// Writes the headers; fails if a field is not a name.
    pub fn write(&self, to: &mut HeaderMap) -> Result<(), HelloError> {
        write_common(to, self.version, &self.features)?;
        insert_name(to, headers::HUB_INSTANCE, &self.hub_instance)
    }
}

impl TryFrom<&HeaderMap> for Welcome {
    type Error = HelloError;

    fn try_from(from: &HeaderMap) -> Result<Self, HelloError> {
        let version = read_version(from)?;
        Ok(Self {
            version,
            features: read_features(from)?,
            hub_instance: read_name(from, headers::HUB_INSTANCE)?,
        })
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:+".contains(&b);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

/// The nearest name to any text: what no name may hold becomes a dash.
pub(crate) fn to_name(text: &str) -> String {
    let dashed = text.chars().map(|c| if c.is_ascii() && is_name(c.encode_utf8(&mut [0])) { c } else { '-' });
    let name: String = dashed.take(MAX_NAME).collect();
    if name.is_empty() { String::from("-") } else { name }
}

fn write_common(to: &mut HeaderMap, version: Version, features: &Features) -> Result<(), HelloError> {
    insert(to, headers::VERSION, &version.to_string())?;
    to.remove(headers::FEATURES);
    if !features.0.is_empty() {
        insert(to, headers::FEATURES, &features.to_string())?;
    }
    Ok(())
}

fn insert_name(to: &mut HeaderMap, header: HeaderName, value: &str) -> Result<(), HelloError> {
    if is_name(value) { insert(to, header, value) } else { Err(HelloError::Malformed(header)) }
}

fn insert(to: &mut HeaderMap, header: HeaderName, value: &str) -> Result<(), HelloError> {
    let value = HeaderValue::from_str(value).map_err(|_| HelloError::Malformed(header.clone()))?;
    to.insert(header, value);
    Ok(())
}

/// The one value of a header: two of them could be read differently by two readers.
fn read_text(from: &HeaderMap, header: HeaderName) -> Result<&str, HelloError> {
    let mut values = from.get_all(&header).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Err(HelloError::Missing(header)),
        (Some(value), None) => value.to_str().map_err(|_| HelloError::Malformed(header)),
        (Some(_), Some(_)) => Err(HelloError::Malformed(header)),
    }
}

fn read_name(from: &HeaderMap, header: HeaderName) -> Result<String, HelloError> {
    let text = read_text(from, header.clone())?;
    if is_name(text) { Ok(text.to_owned()) } else { Err(HelloError::Malformed(header)) }
}

fn read_version(from: &HeaderMap) -> Result<Version, HelloError> {
    let text = read_text(from, headers::VERSION)?;
    let theirs: Version = text.parse().map_err(|()| HelloError::Malformed(headers::VERSION))?;
    let ours = Version::OURS;
    if theirs.major == ours.major { Ok(theirs) } else { Err(HelloError::Version { ours, theirs }) }
}

fn read_features(from: &HeaderMap) -> Result<Features, HelloError> {
    if !from.contains_key(headers::FEATURES) {
        return Ok(Features::default());
    }
    let malformed = HelloError::Malformed(headers::FEATURES);
    let names = read_text(from, headers::FEATURES)?.split(',').map(str::trim);
    let names: Vec<&str> = names.take(MAX_FEATURES + 1).collect();
    if names.len() > MAX_FEATURES || !names.iter().all(|name| is_name(name)) {
        return Err(malformed);
    }
    Ok(Features::of(names))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers_of(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    const GOOD: [(&str, &str); 4] = [
        ("clusterway-tunnel-version", "1.7"),
        ("clusterway-agent-instance", "a"),
        ("clusterway-agent-epoch", "0"),
        ("clusterway-agent-version", "0.1.0+dev"),
    ];

    #[test]
    fn another_minor_version_is_welcome_and_another_major_one_is_named_with_ours() {
        assert_eq!(Hello::try_from(&headers_of(&GOOD)).unwrap().version, Version { major: 1, minor: 7 });
        let mut headers = headers_of(&GOOD);
        headers.insert("clusterway-tunnel-version", HeaderValue::from_static("2.0"));
        let error = Hello::try_from(&headers).unwrap_err();
        assert_eq!(error.to_string(), "this end speaks tunnel protocol 1.0, the other end 2.0");
    }

    #[test]
    fn of_an_unknown_version_nothing_else_is_read() {
        let headers = headers_of(&[("clusterway-tunnel-version", "3.1")]);
        assert!(matches!(Hello::try_from(&headers), Err(HelloError::Version { .. })));
    }

    #[test]
    fn missing_doubled_and_malformed_headers_are_named() {
        for (name, _) in GOOD {
            let mut headers = headers_of(&GOOD);
            headers.remove(name);
            assert_eq!(Hello::try_from(&headers), Err(HelloError::Missing(HeaderName::from_static(name))));
            for bad in ["", "a b", "-1", "+1", "1,2", "99999999999999999999999"] {
                let mut headers = headers_of(&GOOD);
                headers.insert(name, HeaderValue::from_str(bad).unwrap());
                let read = Hello::try_from(&headers);
                if name == "clusterway-agent-epoch"
                    || name == "clusterway-tunnel-version"
                    || bad.contains([' ', ','])
                {
                    assert_eq!(
                        read,
                        Err(HelloError::Malformed(HeaderName::from_static(name))),
                        "{name}: {bad}"
                    );
                }
            }
            let mut headers = headers_of(&GOOD);
            headers.append(name, HeaderValue::from_static("1.0"));
            assert_eq!(Hello::try_from(&headers), Err(HelloError::Malformed(HeaderName::from_static(name))));
        }
    }

    proptest! {
        #[test]
        fn every_text_has_a_name(text in "\\PC{0,200}") {
            let name = to_name(&text);
            prop_assert!(is_name(&name));
            prop_assert!(!is_name(&text) || name == text);
        }

        #[test]
        fn a_hello_is_read_as_it_was_written(
            minor: u16,
            features in prop::collection::vec("[a-z0-9-]{1,16}", 0..8),
            instance in "[A-Za-z0-9_.:+-]{1,64}",
            epoch: u64,
            agent_version in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(-[a-z]{1,5})?",
        ) {
            let version = Version { major: Version::OURS.major, minor };
            let features = Features::of(features.iter().map(String::as_str));
            let hello = Hello { version, features, instance, epoch, agent_version };
            let mut headers = HeaderMap::new();
            hello.write(&mut headers).unwrap();
            prop_assert_eq!(Hello::try_from(&headers), Ok(hello));
        }

        #[test]
        fn what_is_read_can_be_written_again(
            version in "1\\.[0-9]{1,2}", instance in "\\PC{0,40}", epoch in "[0-9 +-]{0,24}", agent in "\\PC{0,40}", features in "[a-z, ]{0,40}",
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (headers::VERSION, version), (headers::AGENT_INSTANCE, instance), (headers::AGENT_EPOCH, epoch),
                (headers::AGENT_VERSION, agent), (headers::FEATURES, features),
            ] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            if let Ok(hello) = Hello::try_from(&headers) {
                let mut again = HeaderMap::new();
                hello.write(&mut again).unwrap();
                prop_assert_eq!(Hello::try_from(&again), Ok(hello));
            }
        }
    }
}
