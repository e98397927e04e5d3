-- Who may write what there is one writer for: each indexer or settler that takes the database
-- over puts its own random name here, and every later transaction of it looks whether it stands.
CREATE TABLE writers (
    role TEXT NOT NULL PRIMARY KEY,
    holder BYTEA NOT NULL
);
