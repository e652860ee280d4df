//! Where the server is and how to connect to it, from the storage configuration.

use std::{collections::BTreeMap, str::FromStr as _, time::Duration};

use super::tls::{self, Files, Tls};
use crate::{Config, Error};

/// Where the database is, and how much of it and of memory is used.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) server: tokio_postgres::Config,
    pub(super) tls: Tls,
    /// Connections at most; one of them writes. At least 2.
    pub connections: u32,
    /// Connections kept while nobody needs them.
    pub idle_connections: u32,
    /// How many objects are looked up and sorted in memory for an answer at most; if its conditions leave more, it is
    /// found in order, some objects at a time.
    pub most_looked_up: u64,
}

/// The password is not shown.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("hosts", &self.server.get_hosts())
            .field("user", &self.server.get_user())
            .field("database", &self.server.get_dbname())
            .finish_non_exhaustive()
    }
}

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What of a `dsn` is ours and not the driver's.
const TLS_KEYS: [&str; 4] = ["sslmode", "sslcert", "sslkey", "sslrootcert"];
/// What the driver knows. Anything else that other drivers take is left out.
const DRIVER_KEYS: [&str; 11] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "target_session_attrs",
    "keepalives_idle",
];

impl PostgresOptions {
    /// From a connection string: `host=… user=… dbname=…`, or `postgres://…`.
    ///
    /// ```
    /// let options = store::PostgresOptions::new("postgres://search@db.example.com/clusterway?sslmode=verify-full")?;
    /// assert!(format!("{options:?}").contains("db.example.com"));
    /// # Ok::<(), store::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(dsn: &str) -> Result<Self, Error> {
        Self::from_config(&Config { dsn: Some(dsn.to_owned()), ..Config::default() })
    }

    /// From the storage configuration.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn from_config(config: &Config) -> Result<Self, Error> {
        let mut files = Files {
            certificate: config.ssl_cert_file.clone(),
            key: config.ssl_key_file.clone(),
            root: config.ssl_root_cert_file.clone(),
        };
        let mut mode = config.ssl_mode.clone();
        let mut server = match &config.dsn {
            Some(dsn) => {
                let mut given = split(dsn)?;
                // Of the driver's own default: TLS where the server offers it.
                mode = given.tls.remove("sslmode").or(mode).or_else(|| Some("prefer".into()));
                files.certificate = given.tls.remove("sslcert").or(files.certificate);
                files.key = given.tls.remove("sslkey").or(files.key);
                files.root = given.tls.remove("sslrootcert").or(files.root);
                tokio_postgres::Config::from_str(&given.driver)
                    // The driver's words could quote the password.
                    .map_err(|_| Error::config("dsn", "is not a connection to a PostgreSQL database"))?
            }
            None => of_parts(config)?,
        };
        if let (None, Some(password)) = (server.get_password(), &config.password) {
            server.password(password);
        }
        if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
            return Err(Error::config("host", "is required"));
        }
        if server.get_dbname().is_none() {
            return Err(Error::config("database", "is required"));
        }
        let (mode, tls) = tls::of_mode(mode.as_deref(), &files)?;
        server.ssl_mode(mode).connect_timeout(CONNECT);
        server.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(30));
        if server.get_application_name().is_none() {
            server.application_name("clusterway");
        }
        if config.conn_pool.max_open_conns < 2 {
            return Err(Error::config("connPool.maxOpenConns", "must be at least 2: one connection writes"));
        }
        Ok(Self {
            server,
            tls,
            connections: config.conn_pool.max_open_conns,
            idle_connections: config.conn_pool.max_idle_conns,
            most_looked_up: 20_000,
        })
    }

    /// The server, for messages.
    pub(super) fn place(&self) -> String {
        use tokio_postgres::config::Host;
        let hosts = self.server.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.server.get_hostaddrs().iter().map(ToString::to_string);
        hosts.chain(addresses).next().unwrap_or_default()
    }
}

fn of_parts(config: &Config) -> Result<tokio_postgres::Config, Error> {
    let mut server = tokio_postgres::Config::new();
    if let Some(host) = &config.host {
        server.host(host);
    }
    if let Some(port) = &config.port {
        server.port(port.parse().map_err(|_| Error::config("port", "is not a number of a port"))?);
    }
    if let Some(user) = &config.user {
        server.user(user);
    }
    if let Some(database) = &config.database {
        server.dbname(database);
    }
    for (key, value) in &config.params {
        match key.as_str() {
            "application_name" => {
                server.application_name(value);
            }
            "options" => {
                server.options(value);
            }
            _ => {}
        }
    }
    Ok(server)
}

/// A connection string, taken apart.
struct Split {
    /// What the driver understands, in the form it came in.
    driver: String,
    tls: BTreeMap<String, String>,
}

fn split(dsn: &str) -> Result<Split, Error> {
    let wrong = || Error::config("dsn", "is not a connection to a PostgreSQL database");
    let mut tls = BTreeMap::new();
    if dsn.starts_with("postgres://") || dsn.starts_with("postgresql://") {
        let (address, query) = dsn.split_once('?').unwrap_or((dsn, ""));
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            if TLS_KEYS.contains(&key) {
                let value = percent_encoding::percent_decode_str(value).decode_utf8().map_err(|_| wrong())?;
                tls.insert(key.to_owned(), value.into_owned());
            } else if DRIVER_KEYS.contains(&key) {
                kept.push(pair);
            }
        }
        return Ok(Split { driver: format!("{address}?{}", kept.join("&")), tls });
    }
    let mut driver = String::new();
    for (key, value) in pairs(dsn).ok_or_else(wrong)? {
        if TLS_KEYS.contains(&key.as_str()) {
            tls.insert(key, value);
        } else if DRIVER_KEYS.contains(&key.as_str()) {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            driver.push_str(&format!("{key}='{value}' "));
        }
    }
    Ok(Split { driver, tls })
}

/// `key=value` pairs, a value in single quotes if it holds spaces, with backslashes before quotes and backslashes.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut rest = text.trim_start();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let mut characters = after.char_indices().skip(usize::from(quoted));
        let mut value = String::new();
        let end = loop {
            match characters.next() {
                Some((_, '\\')) => value.push(characters.next()?.1),
                Some((at, '\'')) if quoted => break at + 1,
                Some((at, space)) if !quoted && space.is_whitespace() => break at,
                Some((_, character)) => value.push(character),
                None if quoted => return None,
                None => break after.len(),
            }
        };
        pairs.push((key.trim().to_owned(), value));
        rest = after[end..].trim_start();
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::{Host, SslMode};

    use super::*;

    fn of(text: &str) -> Result<PostgresOptions, Error> {
        PostgresOptions::from_config(&Config::parse(text, |_| None).unwrap())
    }

    fn refused(text: &str) -> &'static str {
        match of(text) {
            Err(Error::Config { key, .. }) => key,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_forms_of_a_dsn_and_the_single_keys_mean_the_same() {
        for text in [
            "dsn: host=db port=5433 user=u password='p w' dbname=d sslmode=require TimeZone=Asia/Shanghai",
            "dsn: postgres://u:p%20w@db:5433/d?sslmode=require&pool_max_conns=5",
            "{host: db, port: 5433, user: u, password: p w, database: d, sslMode: require}",
        ] {
            let server = of(text).unwrap().server;
            assert_eq!(server.get_hosts(), [Host::Tcp("db".into())], "{text}");
            assert_eq!((server.get_ports(), server.get_user()), (&[5433][..], Some("u")), "{text}");
            assert_eq!(
                (server.get_password(), server.get_dbname()),
                (Some(&b"p w"[..]), Some("d")),
                "{text}"
            );
            assert_eq!(server.get_ssl_mode(), SslMode::Require, "{text}");
        }
    }

    #[test]
    fn a_password_that_a_dsn_lacks_comes_from_beside_it() {
        let options = of("{dsn: host=db dbname=d user=u, password: secret}").unwrap();
        assert_eq!(options.server.get_password(), Some(&b"secret"[..]));
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(refused("{host: db}"), "database");
        assert_eq!(refused("{database: d}"), "host");
        assert_eq!(refused("{host: db, database: d, port: x}"), "port");
        assert_eq!(refused("{host: db, database: d, sslMode: sometimes}"), "sslMode");
        assert_eq!(
            refused("{host: db, database: d, sslMode: verify-full, sslRootCertFile: /none}"),
            "sslRootCertFile"
        );
        assert_eq!(refused("{host: db, database: d, sslCertFile: /none}"), "sslCertFile");
        assert_eq!(
            refused("{host: db, database: d, connPool: {maxOpenConns: 1, maxIdleConns: 0}}"),
            "connPool.maxOpenConns"
        );
        for dsn in ["host", "host='db", "postgres://u:hunter2@[/d"] {
            let error = PostgresOptions::new(dsn).unwrap_err();
            assert!(
                matches!(error, Error::Config { .. }) && !error.to_string().contains("hunter2"),
                "{error}"
            );
        }
    }
}
