CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value JSON,
    updated_time DATETIME NOT NULL
);
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guid UUID NOT NULL,
    username VARCHAR(64) NOT NULL,
    email TEXT,
    first_name TEXT,
    last_name TEXT,
    user_role INTEGER NOT NULL DEFAULT 1,
    confirmed BOOLEAN NOT NULL DEFAULT 0,
    locked BOOLEAN NOT NULL DEFAULT 0,
    created_time DATETIME NOT NULL,
    active_time DATETIME,
    preferences JSON
);
CREATE TABLE content (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guid GUID NOT NULL,
    owner_id INTEGER NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    title TEXT,
    app_mode TEXT NOT NULL,
    access_type TEXT NOT NULL DEFAULT 'acl',
    cpu_limit REAL,
    created_time DATETIME NOT NULL,
    settings JSON
);
CREATE TABLE bundles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content_id INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
    active BOOLEAN NOT NULL,
    size INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    manifest BLOB,
    created_time DATETIME NOT NULL
);
CREATE TABLE packages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    source TEXT NOT NULL,
    license TEXT,
    published DATE,
    description TEXT,
    metadata JSON
);
CREATE TABLE downloads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    package_id INTEGER NOT NULL REFERENCES packages (id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    is_binary BOOLEAN NOT NULL DEFAULT 0,
    ip TEXT,
    user_agent TEXT,
    country TEXT,
    bytes INTEGER NOT NULL,
    requested_at DATETIME NOT NULL
);
CREATE TABLE content_visits (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content_id INTEGER NOT NULL REFERENCES content (id),
    user_id INTEGER REFERENCES users (id),
    ip TEXT,
    path TEXT NOT NULL DEFAULT '/',
    data_version INTEGER NOT NULL,
    time DATETIME NOT NULL
);
CREATE TABLE shiny_usage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content_id INTEGER NOT NULL REFERENCES content (id),
    user_id INTEGER REFERENCES users (id),
    started DATETIME NOT NULL,
    ended DATETIME,
    data_version INTEGER NOT NULL
);
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content_id INTEGER REFERENCES content (id),
    node TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    time DATETIME NOT NULL
);
CREATE TABLE audit_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER REFERENCES users (id) ON DELETE SET NULL,
    action TEXT NOT NULL,
    detail JSON,
    ip TEXT,
    time TIMESTAMP NOT NULL
);
