//! The table of the products. A new product is a new entry here, and nothing else.

use crate::config::connection::SslMode;
use crate::options::location::FILE_MODE;
use crate::product::spec::{DataSetSpec, KeyFile, Permitted, ProductSpec};

pub(crate) const PRODUCTS: [&ProductSpec; 2] = [&CONNECT, &PACKAGE_MANAGER];

/// Posit Connect, formerly RStudio Connect.
pub(crate) static CONNECT: ProductSpec = ProductSpec {
    name: "Connect",
    word: "connect",
    system_name: "rstudio-connect",
    config: "/etc/rstudio-connect/rstudio-connect.gcfg",
    data_dir: "/var/lib/rstudio-connect",
    variable_prefix: "CONNECT",
    data_sets: &[
        DataSetSpec {
            name: "core",
            flag: "--sqlite",
            folder: None,
            file: "connect.db",
            search: false,
            file_mark: None,
            url_keys: &["URL"],
            password_keys: &["Password"],
            enabled_by: None,
        },
        DataSetSpec {
            name: "instrumentation",
            flag: "--instrumentation-sqlite",
            folder: None,
            file: "connect-instrumentation.db",
            search: false,
            file_mark: None,
            url_keys: &["InstrumentationURL", "URL"],
            password_keys: &["InstrumentationPassword", "Password"],
            enabled_by: None,
        },
    ],
    // Connect requires TLS unless it is disabled, and its documentation uses this database name.
    sslmode: SslMode::Require,
    dbname: Some("connect"),
    file_mode: 0o600,
    key_variable: None,
    key_files: &[
        KeyFile::InFolder { section: "Database", key: "Dir", file: "secret.key" },
        KeyFile::InSqliteDir { file: "secret.key" },
    ],
    key_file_mode: 0o600,
    permitted: Permitted::Root,
    session_names: &["rstudio-connect"],
    socket: None,
    supports_sqlite_target: false,
    after_to_postgres: "from then on Connect writes to PostgreSQL only; it cannot return to SQLite",
    after_to_sqlite: AFTER_TO_SQLITE,
};

/// Posit Package Manager, formerly RStudio Package Manager.
pub(crate) static PACKAGE_MANAGER: ProductSpec = ProductSpec {
    name: "Package Manager",
    word: "package-manager",
    system_name: "rstudio-pm",
    config: "/etc/rstudio-pm/rstudio-pm.gcfg",
    data_dir: "/var/lib/rstudio-pm",
    variable_prefix: "PACKAGEMANAGER",
    // The documentation names no files. These names are tried first.
    data_sets: &[
        DataSetSpec {
            name: "main",
            flag: "--sqlite",
            folder: None,
            file: "rstudio-pm.db",
            search: true,
            file_mark: None,
            url_keys: &["URL"],
            password_keys: &["Password"],
            enabled_by: None,
        },
        DataSetSpec {
            name: "usage",
            flag: "--usage-sqlite",
            folder: Some(("SQLite", "UsageDataDir")),
            file: "rstudio-pm-usage.db",
            search: true,
            file_mark: Some("usage"),
            url_keys: &["UsageDataURL"],
            password_keys: &["UsageDataPassword", "Password"],
            enabled_by: Some(("Server", "UsageDataEnabled")),
        },
    ],
    sslmode: SslMode::Prefer,
    dbname: None,
    file_mode: FILE_MODE,
    key_variable: Some("PACKAGEMANAGER_ENCRYPTION_KEY"),
    key_files: &[KeyFile::Setting {
        section: "Server",
        key: "EncryptionKeyPath",
        file: "rstudio-pm.key",
    }],
    // The group of the service may read it.
    key_file_mode: 0o640,
    permitted: Permitted::ServiceGroup,
    session_names: &["rstudio-pm", "rspm"],
    socket: Some("/var/run/rstudio-pm/rstudio-pm.sock"),
    supports_sqlite_target: true,
    after_to_postgres: "from then on Package Manager writes to PostgreSQL only, and the SQLite \
                        files become outdated; --from=pgx --to=sqlite3 updates them",
    after_to_sqlite: AFTER_TO_SQLITE,
};

const AFTER_TO_SQLITE: &str =
    "from then on the service writes to the SQLite files only, and PostgreSQL becomes outdated";
