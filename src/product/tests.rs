//! Tests of the products as a whole. An invented product shows that a spec is all that it needs.

use crate::config::connection::SslMode;
use crate::config::environment::Environment;
use crate::options::location::Location;
use crate::product::data_sets::{Wanted, resolve};
use crate::product::detect::{DetectInput, detect};
use crate::product::next_steps::{RunOutcome, after};
use crate::product::products::{CONNECT, PACKAGE_MANAGER};
use crate::product::settings::Settings;
use crate::product::spec::{DataSetSpec, KeyFile, Permitted, ProductSpec};
use crate::product::{Provider, Root};
use std::fs;
use std::path::Path;

static WIDGETS: ProductSpec = ProductSpec {
    name: "Widgets",
    word: "widgets",
    system_name: "acme-widgets",
    config: "/etc/acme/acme-widgets.gcfg",
    data_dir: "/srv/widgets",
    variable_prefix: "WIDGETS",
    data_sets: &[DataSetSpec {
        name: "all",
        flag: "--sqlite",
        folder: Some(("Store", "Folder")),
        file: "widgets.db",
        search: false,
        file_mark: None,
        url_keys: &["WidgetURL", "URL"],
        password_keys: &["WidgetPassword"],
        enabled_by: None,
    }],
    sslmode: SslMode::VerifyFull,
    dbname: Some("widgets"),
    file_mode: 0o660,
    key_variable: Some("WIDGETS_KEY"),
    key_files: &[KeyFile::InSqliteDir { file: "widgets.key" }],
    key_file_mode: 0o600,
    permitted: Permitted::Root,
    session_names: &["widgetd"],
    socket: Some("/run/widgets.sock"),
    supports_sqlite_target: true,
    after_to_postgres: "from then on Widgets writes to PostgreSQL only",
    after_to_sqlite: "from then on Widgets writes to SQLite only",
};

#[test]
fn a_third_product_needs_only_a_spec() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root(Some(folder.path().to_owned()));
    let write = |path: &str, content: &str| {
        let path = root.at(Path::new(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write(WIDGETS.config, "[Postgres]\nURL = postgres://w@h/d\n[Store]\nFolder = /srv/store\n");
    write("/srv/store/widgets.db", "");
    let products = [&CONNECT, &PACKAGE_MANAGER, &WIDGETS];
    let (product, config) = detect(DetectInput::default(), &products, &root).unwrap().unwrap();
    assert_eq!(product, &WIDGETS);
    let environment = Environment::of_this_process();
    let settings = Settings::read(product, &config, root.clone(), environment).unwrap();

    let wanted =
        Wanted { only: None, from: Provider::Sqlite, sqlite: None, postgres: None, key_file: None };
    let found = resolve(&settings, &wanted).unwrap();
    let [data_set] = found.data_sets.as_slice() else { panic!("{found:?}") };
    let file = root.at(Path::new("/srv/store/widgets.db"));
    assert_eq!((data_set.name.as_str(), &data_set.source), ("all", &Location::Sqlite(file)));
    assert_eq!(data_set.defaults.sslmode, SslMode::VerifyFull);
    let unknown = Wanted { only: Some("core"), ..wanted };
    assert_eq!(resolve(&settings, &unknown).unwrap_err().hints(), ["--data takes all"]);

    let service = product.service(&root);
    assert_eq!(
        (service.unit.as_str(), service.session_names),
        ("acme-widgets", vec!["widgetd".into()])
    );
    let outcome = RunOutcome {
        program: "migrate",
        flags: "",
        to: Provider::Postgres,
        verified: true,
        is_partial: false,
        switched: true,
    };
    let steps = after(&settings, outcome);
    assert_eq!(steps[0], "start the service: systemctl start acme-widgets");
    assert_eq!(steps[1], WIDGETS.after_to_postgres);
}

#[test]
fn a_root_applies_to_absolute_paths_only() {
    let root = Root(Some("/r".into()));
    assert_eq!(root.at(Path::new("/etc/x")), Path::new("/r/etc/x"));
    assert_eq!(root.at(Path::new("x")), Path::new("x"));
    assert_eq!(Root::default().at(Path::new("/etc/x")), Path::new("/etc/x"));
}

#[test]
fn a_provider_is_read_in_any_case() {
    assert_eq!(Provider::parse("PostGres"), Some(Provider::Postgres));
    assert_eq!(Provider::parse("SQLite"), Some(Provider::Sqlite));
    assert_eq!(Provider::parse("pgx"), None);
}
