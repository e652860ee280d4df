//! A certificate somebody else makes, from files.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use runtime::Tasks;
use rustls::sign::CertifiedKey;
use tracing::{info, warn};

use super::{Error, ServingCertificate};

/// Mounted Secrets change by a swapped link, which file watches miss: they are read again this often instead.
const REREAD: Duration = Duration::from_secs(60);

/// Serves with the certificate chain and key in these files (PEM), and with what they hold later, read once a minute
/// until the group ends. A file that cannot be used later leaves the last good certificate in force.
pub fn from_files(chain: &Path, key: &Path, tasks: &Tasks) -> Result<ServingCertificate, Error> {
    let (chain, key) = (chain.to_owned(), key.to_owned());
    let (mut known, first) = read(&chain, &key)?;
    let certificate = ServingCertificate::fixed(first);
    let keep = certificate.clone();
    tasks.spawn("serving certificate", async move {
        loop {
            tokio::time::sleep(REREAD).await;
            match read(&chain, &key) {
                Ok((bytes, _)) if bytes == known => {}
                Ok((bytes, fresh)) => {
                    keep.set(fresh);
                    known = bytes;
                    info!("the serving certificate was read again");
                }
                Err(error) => {
                    warn!(%error, "the serving certificate is not usable, the last one stays in force");
                }
            }
        }
    });
    Ok(certificate)
}

/// The chain's bytes, by which a change is seen, and the certificate.
fn read(chain_file: &PathBuf, key_file: &PathBuf) -> Result<(Vec<u8>, CertifiedKey), Error> {
    let bytes =
        |path: &PathBuf| std::fs::read(path).map_err(|source| Error::File { path: path.clone(), source });
    let text = bytes(chain_file)?;
    let chain = runtime::tls::certificates(&chain_file.display().to_string(), &text)?;
    let key = runtime::tls::private_key(&key_file.display().to_string(), &bytes(key_file)?)?;
    // Also refuses a key that does not belong to the certificate, as between two writes of a pair.
    let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?;
    Ok((text, certified))
}
