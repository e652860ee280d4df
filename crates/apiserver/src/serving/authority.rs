//! The certificate authorities, as values: when one is made, followed by the next, and forgotten.
//!
//! ```text
//! current ──80 % of its life──► current + next ──a day, and published──► previous + current ──expired──► current
//! ```
//!
//! Everything that ever vouched for a certificate in use is in the bundle; only `current` signs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::Error;

const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
const CERTIFICATE_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a new authority is in every bundle before it signs.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// Clocks differ: certificates are valid a little before they are made.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// One certificate authority.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authority {
    certificate: String,
    key: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Authority {
    fn make(now: Timestamp) -> Result<Self, Error> {
        let (not_before, not_after) = (now - SKEW, now + AUTHORITY_LIFE);
        let mut params = CertificateParams::default();
        // A name of its own, so that nobody confuses two authorities that are trusted at the same time.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("clusterway-serving-ca@{}", now.as_second()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        (params.not_before, params.not_after) = (moment(not_before), moment(not_after));
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: key.serialize_pem(), not_before, not_after })
    }

    fn read(certificate: String, key: String) -> Result<Self, String> {
        let (not_before, not_after) = validity(&certificate)?;
        let pair = KeyPair::from_pem(&key).map_err(|_| String::from("the key is not usable"))?;
        let der = runtime::tls::certificates("the certificate", certificate.as_bytes())
            .map_err(|e| e.to_string())?;
        let first = der.first().ok_or("there is no certificate")?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(|_| "the certificate is not X.509")?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
            return Err(String::from("the key does not belong to the certificate"));
        }
        Ok(Self { certificate, key, not_before, not_after })
    }

    /// The moment when this much of its life has passed.
    fn after(&self, fraction: f64) -> Timestamp {
        part_of(self.not_before, self.not_after, fraction)
    }
}

/// The authorities of one installation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorities {
    current: Authority,
    /// The one to come, and when it may sign.
    next: Option<(Authority, Timestamp)>,
    /// Certificates of those that once signed, one PEM each.
    previous: Vec<String>,
}

/// A serving certificate and when to make another.
pub(super) struct Issued {
    pub(super) key: CertifiedKey,
    pub(super) renew_at: Timestamp,
}

impl Authorities {
    pub(super) fn make(now: Timestamp) -> Result<Self, Error> {
        Ok(Self { current: Authority::make(now)?, next: None, previous: Vec::new() })
    }

    /// The next step of the rotation, or `None` if nothing is due. `published` says that the bundle as it is now has
    /// reached everybody who has to trust us.
    pub(super) fn advance(&self, now: Timestamp, published: bool) -> Result<Option<Self>, Error> {
        let mut after = self.clone();
        after.previous.retain(|pem| validity(pem).is_ok_and(|(_, not_after)| now < not_after));
        if now >= self.current.not_after {
            // Nobody trusts it any more, so there is nothing to be careful about.
            after.current = match &self.next {
                Some((next, _)) if now < next.not_after => next.clone(),
                _ => Authority::make(now)?,
            };
            after.next = None;
            return Ok(Some(after));
        }
        match &self.next {
            None if now >= self.current.after(0.8) => {
                after.next = Some((Authority::make(now)?, now + OVERLAP));
            }
            Some((next, from)) if now >= *from && published => {
                after.previous.push(self.current.certificate.clone());
                after.current = next.clone();
                after.next = None;
            }
            _ => {}
        }
        Ok((after != *self).then_some(after))
    }

    /// Everybody to trust, PEM: the previous, the current and the next.
    pub(super) fn bundle(&self) -> String {
        let next = self.next.iter().map(|(next, _)| &next.certificate);
        self.previous.iter().chain([&self.current.certificate]).chain(next).map(String::as_str).collect()
    }

    /// Whether a certificate of `other` would be signed by the same authority.
    pub(super) fn signs_like(&self, other: &Self) -> bool {
        self.current == other.current
    }

    /// A serving certificate for `names`, valid for 90 days, to be renewed after two thirds of them.
    pub(super) fn issue(&self, names: &[String], now: Timestamp) -> Result<Issued, Error> {
        let issuer =
            Issuer::from_ca_cert_pem(&self.current.certificate, KeyPair::from_pem(&self.current.key)?)?;
        let (not_before, not_after) = (now - SKEW, (now + CERTIFICATE_LIFE).min(self.current.not_after));
        let mut params = CertificateParams::new(names.to_vec())?;
        params
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("clusterway", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (moment(not_before), moment(not_after));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
        let key = CertifiedKey::new(vec![certificate.der().clone()], key);
        Ok(Issued { key, renew_at: part_of(not_before, not_after, 2.0 / 3.0) })
    }

    /// The data of the Secret.
    pub(super) fn to_data(&self) -> BTreeMap<String, ByteString> {
        let mut data = BTreeMap::from([
            ("tls.crt", self.current.certificate.clone()),
            ("tls.key", self.current.key.clone()),
            ("ca.crt", self.bundle()),
            ("previous.crt", self.previous.concat()),
        ]);
        if let Some((next, from)) = &self.next {
            data.extend([
                ("next.crt", next.certificate.clone()),
                ("next.key", next.key.clone()),
                ("next-signs-from", from.to_string()),
            ]);
        }
        data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect()
    }

    /// The Secret's data, understood. An error says what is wrong, without a word of the data.
    pub(super) fn from_data(data: &BTreeMap<String, ByteString>) -> Result<Self, String> {
        let text = |key: &str| match data.get(key) {
            None => Ok(String::new()),
            Some(ByteString(bytes)) => {
                String::from_utf8(bytes.clone()).map_err(|_| format!("{key} is not text"))
            }
        };
        let current = Authority::read(text("tls.crt")?, text("tls.key")?)?;
        let next = match text("next.crt")? {
            certificate if certificate.is_empty() => None,
            certificate => {
                let from = text("next-signs-from")?.parse().map_err(|_| "next-signs-from is not a time")?;
                Some((Authority::read(certificate, text("next.key")?)?, from))
            }
        };
        Ok(Self { current, next, previous: split(&text("previous.crt")?) })
    }
}

/// Single certificates of a PEM text.
fn split(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END)
        .filter(|part| part.ends_with(END))
        .map(|part| format!("{}\n", part.trim_start()))
        .collect()
}

/// From when until when a certificate is valid.
fn validity(pem: &str) -> Result<(Timestamp, Timestamp), String> {
    let chain =
        runtime::tls::certificates("the certificate", pem.as_bytes()).map_err(|error| error.to_string())?;
    let first = chain.first().ok_or("there is no certificate")?;
    let (_, certificate) = X509Certificate::from_der(first).map_err(|_| "the certificate is not X.509")?;
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|_| "the certificate's dates are out of range")
    };
    let validity = certificate.validity();
    Ok((moment(validity.not_before)?, moment(validity.not_after)?))
}

fn part_of(from: Timestamp, to: Timestamp, fraction: f64) -> Timestamp {
    from + SignedDuration::from_secs((to.duration_since(from).as_secs_f64() * fraction) as i64)
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
#[path = "authority/tests.rs"]
mod tests;
