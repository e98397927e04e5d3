//! Databases for tests: each test runs on SQLite and, where a server is named, on PostgreSQL.
