//! What we ship is what we say: the CRDs and everything else under `deploy` and `manifests`.

#[cfg(test)]
mod apps;
#[cfg(test)]
mod crds;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod pedia;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod roles;
