//! What is worked on: one object of the parent.

use std::fmt;

use kube::Resource;

/// Namespace and name of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    /// Empty for objects without a namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Name {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Of an object.
    pub(crate) fn of<K: Resource>(object: &K) -> Self {
        let metadata = object.meta();
        Self::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }

    /// The path of the object of this name.
    pub(crate) fn path<K: Resource<DynamicType = ()>>(&self) -> String {
        format!("{}/{}", self.collection::<K>(), self.name)
    }

    /// The path of the collection it is in.
    pub(crate) fn collection<K: Resource<DynamicType = ()>>(&self) -> String {
        K::url_path(&(), Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// An object that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// Its clusters are chosen, its Bases kept, its status summed.
    Subscription(Name),
    /// Its Description is kept.
    Base(Name),
    /// It is let go where its cluster is lost.
    Description(Name),
    /// It is deleted where nobody refers to it.
    Content(Name),
    /// It is marked as somebody's feed.
    Manifest(Name),
    /// It is marked as somebody's feed.
    HelmChart(Name),
    /// It is marked with its feed.
    Globalization(Name),
    /// It is marked with its feed.
    Localization(Name),
}

impl Key {
    fn parts(&self) -> (&'static str, &Name) {
        match self {
            Self::Subscription(name) => ("Subscription", name),
            Self::Base(name) => ("Base", name),
            Self::Description(name) => ("Description", name),
            Self::Content(name) => ("Content", name),
            Self::Manifest(name) => ("Manifest", name),
            Self::HelmChart(name) => ("HelmChart", name),
            Self::Globalization(name) => ("Globalization", name),
            Self::Localization(name) => ("Localization", name),
        }
    }

    /// The kind of the object.
    pub(crate) fn kind(&self) -> &'static str {
        self.parts().0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind} {name}")
    }
}
