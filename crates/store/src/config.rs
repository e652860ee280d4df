//! Which store to open, from the storage configuration of contract section 7.4, and opening it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::FutureExt as _;
use serde::{Deserialize, Deserializer};

use crate::{Answer, Error, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};

/// The storage configuration. What no back end looks at (`log`, `metrics`, `network`, driver options) is accepted and
/// ignored.
///
/// ```
/// let text = "type: sqlite\ndsn: /var/lib/clusterway/search.db\n";
/// let config = store::Config::parse(text, |_| None)?;
/// assert_eq!(config.kind, "sqlite");
/// # Ok::<(), store::Error>(())
/// ```
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `sqlite`, `sqlite3`, or what else is among the [`Backends`]; required.
    #[serde(rename = "type")]
    pub kind: String,
    /// A connection in the driver's own words. If it is given, `host` to `database` do not count. For SQLite the path
    /// of the file, with or without `file:`.
    pub dsn: Option<String>,
    /// The host of the database, or the directory of its socket.
    pub host: Option<String>,
    /// Its port, a number or its text.
    #[serde(deserialize_with = "text_or_number")]
    pub port: Option<String>,
    /// Who logs in.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<String>,
    /// The database's name; required without a `dsn`.
    pub database: Option<String>,
    /// How much TLS: empty, `disable`, `false`, `skip-verify`, `allow`, `prefer`, `require`, `verify-ca` or
    /// `verify-full`.
    pub ssl_mode: Option<String>,
    /// The file with our certificate.
    pub ssl_cert_file: Option<String>,
    /// The file with our key.
    pub ssl_key_file: Option<String>,
    /// The file with the CA that we trust.
    pub ssl_root_cert_file: Option<String>,
    /// How many connections.
    pub conn_pool: ConnPool,
    /// Further parameters of the driver.
    pub params: BTreeMap<String, String>,
}

/// How many connections there are to a database server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnPool {
    /// Connections kept while nobody needs them.
    pub max_idle_conns: u32,
    /// Connections at most.
    pub max_open_conns: u32,
}

impl Default for ConnPool {
    fn default() -> Self {
        Self { max_idle_conns: 5, max_open_conns: 40 }
    }
}

/// Passwords are in `dsn` and `password`: neither is shown.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, host, port, user, database, ssl_mode, .. } = self;
        f.debug_struct("Config")
            .field("kind", kind)
            .field("host", host)
            .field("port", port)
            .field("user", user)
            .field("database", database)
            .field("ssl_mode", ssl_mode)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a file in YAML or JSON, over which the environment's `DB_TYPE`, `DB_DSN`, `DB_HOST`, `DB_PORT`,
    /// `DB_USER`, `DB_PASSWORD` and `DB_DATABASE` go, unless they are empty.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut config: Self = if text.trim().is_empty() {
            Self::default()
        } else {
            // The parser's message would quote the file, in which there may be a password.
            serde_saphyr::from_str(text).map_err(|error| {
                let place = error.location().map(|at| format!(" at line {}", at.line())).unwrap_or_default();
                Error::config("file", format!("is not a storage configuration{place}"))
            })?
        };
        let from = |name: &str| environment(name).filter(|value| !value.is_empty());
        if let Some(kind) = from("DB_TYPE") {
            config.kind = kind;
        }
        let fields = [
            ("DB_DSN", &mut config.dsn),
            ("DB_HOST", &mut config.host),
            ("DB_PORT", &mut config.port),
            ("DB_USER", &mut config.user),
            ("DB_PASSWORD", &mut config.password),
            ("DB_DATABASE", &mut config.database),
        ];
        for (name, field) in fields {
            *field = from(name).or_else(|| field.take()).filter(|value| !value.is_empty());
        }
        if config.conn_pool.max_idle_conns > config.conn_pool.max_open_conns {
            return Err(Error::config("connPool.maxIdleConns", "is above maxOpenConns"));
        }
        Ok(config)
    }

    /// The file of a SQLite store.
    fn sqlite_path(&self) -> Result<&str, Error> {
        let dsn =
            self.dsn.as_deref().ok_or_else(|| Error::config("dsn", "is required: the path of the file"))?;
        let path = dsn.strip_prefix("file:").unwrap_or(dsn);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match path {
            "" | ":memory:" => Err(Error::config("dsn", "must be the path of a file")),
            path => Ok(path),
        }
    }
}

/// Opens a store by its configuration.
pub type Opener = for<'a> fn(&'a Config) -> Answer<'a, Arc<dyn Store>>;

/// The back ends of a program by the `type` that names them in the configuration.
///
/// ```
/// use std::sync::Arc;
/// use store::{Answer, Backends, Config, SqliteOptions, SqliteStore, Store};
///
/// /// SQLite under another name, in the file that `database` names.
/// fn open_mine(config: &Config) -> Answer<'_, Arc<dyn Store>> {
///     Box::pin(async move {
///         let file = config.database.as_deref().unwrap_or("mine.db");
///         Ok(Arc::new(SqliteStore::open(SqliteOptions::new(file)).await?) as Arc<dyn Store>)
///     })
/// }
///
/// let mut backends = Backends::default();
/// backends.register("mine", open_mine);
/// ```
#[derive(Debug, Clone)]
pub struct Backends(BTreeMap<&'static str, Opener>);

impl Default for Backends {
    /// Those of this crate.
    fn default() -> Self {
        let open_sqlite: Opener = |config| {
            async move {
                let options = SqliteOptions::new(config.sqlite_path()?);
                Ok(Arc::new(SqliteStore::open(options).await?) as Arc<dyn Store>)
            }
            .boxed()
        };
        let open_postgres: Opener = |config| {
            async move {
                let options = PostgresOptions::from_config(config)?;
                Ok(Arc::new(PostgresStore::open(options).await?) as Arc<dyn Store>)
            }
            .boxed()
        };
        Self([("sqlite", open_sqlite), ("sqlite3", open_sqlite), ("postgres", open_postgres)].into())
    }
}

impl Backends {
    /// Adds a back end, or replaces one.
    pub fn register(&mut self, kind: &'static str, open: Opener) {
        self.0.insert(kind, open);
    }

    /// Opens the store that `config` describes.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Unsupported`], and those of the back end.
    pub async fn open(&self, config: &Config) -> Result<Arc<dyn Store>, Error> {
        self.opener(config)?(config).await
    }

    /// Whether `config` names a back end that there is.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Unsupported`].
    pub fn check(&self, config: &Config) -> Result<(), Error> {
        self.opener(config).map(drop)
    }

    fn opener(&self, config: &Config) -> Result<&Opener, Error> {
        if config.kind.is_empty() {
            return Err(Error::config("type", "is required"));
        }
        self.0.get(config.kind.as_str()).ok_or_else(|| {
            let known = self.0.keys().copied().collect::<Vec<_>>().join(", ");
            Error::Unsupported { kind: config.kind.clone(), known }
        })
    }
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Port {
        Number(u16),
        Text(String),
    }
    Ok(Option::<Port>::deserialize(deserializer)?.map(|port| match port {
        Port::Number(number) => number.to_string(),
        Port::Text(text) => text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        Config::parse(text, |_| None).unwrap()
    }

    #[test]
    fn a_file_of_the_contract_is_read() {
        let config = parsed(
            "type: postgres\nhost: db\nport: 5432\nuser: u\npassword: p\ndatabase: d\nsslMode: require\n\
             connPool:\n  maxIdleConns: 2\nlog:\n  stdout: true\nparams:\n  a: b\n",
        );
        assert_eq!((config.kind.as_str(), config.port.as_deref()), ("postgres", Some("5432")));
        assert_eq!((config.conn_pool.max_idle_conns, config.conn_pool.max_open_conns), (2, 40));
        assert_eq!(config.params["a"], "b");
        assert_eq!(parsed(r#"{"type": "sqlite", "port": "1"}"#).port.as_deref(), Some("1"));
    }

    #[test]
    fn the_environment_goes_over_the_file_unless_empty() {
        let environment = |name: &str| match name {
            "DB_TYPE" => Some("sqlite3".to_owned()),
            "DB_DSN" => Some("/x".to_owned()),
            "DB_USER" => Some(String::new()),
            _ => None,
        };
        let config = Config::parse("type: mysql\nuser: u\n", environment).unwrap();
        assert_eq!(
            (config.kind.as_str(), config.dsn.as_deref(), config.user.as_deref()),
            ("sqlite3", Some("/x"), Some("u"))
        );
        assert_eq!(Config::parse("", environment).unwrap().kind, "sqlite3");
    }

    #[test]
    fn no_password_is_shown_or_quoted() {
        let config = parsed("type: postgres\npassword: hunter2\ndsn: hunter2\n");
        assert!(!format!("{config:?}").contains("hunter2"));
        let error = Config::parse("password: [hunter2", |_| None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn sqlite_takes_a_path() {
        for (dsn, path) in [("/a/b.db", "/a/b.db"), ("file:b.db?cache=shared", "b.db")] {
            let config = Config { dsn: Some(dsn.into()), ..Config::default() };
            assert_eq!(config.sqlite_path().unwrap(), path);
        }
        for dsn in [None, Some(":memory:"), Some("file:?x")] {
            let config = Config { dsn: dsn.map(Into::into), ..Config::default() };
            assert!(matches!(config.sqlite_path(), Err(Error::Config { key: "dsn", .. })));
        }
    }

    #[tokio::test]
    async fn what_this_build_has_not_got_is_said() {
        let backends = Backends::default();
        let open = async |kind: &str| {
            backends.open(&parsed(&format!("type: '{kind}'"))).await.map(drop).unwrap_err()
        };
        for kind in ["mysql", "oracle"] {
            let error = open(kind).await;
            assert!(matches!(&error, Error::Unsupported { kind: named, .. } if named == kind), "{error}");
            assert!(error.to_string().contains("sqlite"));
        }
        assert!(matches!(open("").await, Error::Config { key: "type", .. }));
        assert!(matches!(open("postgres").await, Error::Config { key: "host", .. }));
        let error = Config::parse("connPool: {maxIdleConns: 50}", |_| None).unwrap_err();
        assert!(matches!(error, Error::Config { key: "connPool.maxIdleConns", .. }));
    }

    #[tokio::test]
    async fn a_sqlite_store_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let config =
            Config { kind: "sqlite".into(), dsn: path.to_str().map(Into::into), ..Config::default() };
        assert!(Backends::default().open(&config).await.unwrap().clusters().await.unwrap().is_empty());
    }
}
