//! A certificate authority per cluster, and the certificates it issues.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use crate::paths;

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key`.
    pub fn write(&self, directory: &Path, name: &str) -> anyhow::Result<()> {
        paths::write(&directory.join(format!("{name}.crt")), &self.certificate)?;
        paths::write(&directory.join(format!("{name}.key")), &self.key)
    }
}

/// A certificate authority on disk: `NAME.crt` and `NAME.key`.
#[derive(Debug, Clone)]
pub struct Authority {
    directory: PathBuf,
    name: String,
}

impl Authority {
    /// Opens the authority, and makes it if it is not there.
    pub fn ensure(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let authority = Self { directory: directory.to_owned(), name: name.to_owned() };
        if !authority.certificate_file().is_file() {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.distinguished_name = named(name, &[])?;
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![
                KeyUsagePurpose::KeyCertSign,
                KeyUsagePurpose::CrlSign,
                KeyUsagePurpose::DigitalSignature,
            ];
            validity(&mut params);
            let certificate = params.self_signed(&key)?;
            Pair { certificate: certificate.pem(), key: key.serialize_pem() }.write(directory, name)?;
        }
        Ok(authority)
    }

    /// The certificate's file.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.join(format!("{}.crt", self.name))
    }

    /// The key's file.
    pub fn key_file(&self) -> PathBuf {
        self.directory.join(format!("{}.key", self.name))
    }

    /// The certificate, PEM.
    pub fn certificate(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(self.certificate_file()).context("cannot read the CA's certificate")
    }

    /// A certificate of a server.
    pub fn server(&self, name: &str, addresses: &[IpAddr], names: &[&str]) -> anyhow::Result<Pair> {
        let mut subjects: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        subjects.extend(addresses.iter().map(ToString::to_string));
        let mut params = CertificateParams::new(subjects)?;
        params.distinguished_name = named(name, &[])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// A certificate of a client: a user and its groups, at most two.
    pub fn client(&self, user: &str, groups: &[&str]) -> anyhow::Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(user, groups)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> anyhow::Result<Pair> {
        let key = KeyPair::from_pem(
            &std::fs::read_to_string(self.key_file()).context("cannot read the CA's key")?,
        )?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate()?, key)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        validity(&mut params);
        let own = KeyPair::generate()?;
        let certificate = params.signed_by(&own, &issuer)?;
        Ok(Pair { certificate: certificate.pem(), key: own.serialize_pem() })
    }
}

fn named(name: &str, groups: &[&str]) -> anyhow::Result<DistinguishedName> {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    // A name holds one value per attribute type; the organisation may also be spelled by its number.
    let types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    if groups.len() > types.len() {
        bail!(
            "a client certificate of the fleet holds at most {} groups, {name} has {}",
            types.len(),
            groups.len()
        );
    }
    for (kind, &group) in types.into_iter().zip(groups) {
        distinguished.push(kind, group);
    }
    Ok(distinguished)
}

/// Valid from yesterday, for ten years.
fn validity(params: &mut CertificateParams) {
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + time::Duration::days(3650);
}

/// Writes a new key pair, `NAME.key` and `NAME.pub`: what ServiceAccount tokens are signed and verified with.
pub fn write_signing_key(directory: &Path, name: &str) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    paths::write(&directory.join(format!("{name}.pub")), key.public_key_pem())?;
    paths::write(&directory.join(format!("{name}.key")), key.serialize_pem())
}
