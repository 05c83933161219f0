-- The tables of schema 1, as the first versions made them.
-- The run of the server that wrote last: one row.
CREATE TABLE life (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    id    INTEGER NOT NULL,
    prior INTEGER,          -- the run before it
    given INTEGER NOT NULL, -- how many events it gave out until it wrote
    clean INTEGER NOT NULL  -- whether that was at its end
);
CREATE TABLE rooms (
    id        INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    room      TEXT NOT NULL,
    epoch     TEXT NOT NULL,
    -- The numbers below it may have been given; after a clean end the last one.
    reserved  INTEGER NOT NULL,
    -- All events behind it are the history, but for what a hole has.
    floor     INTEGER NOT NULL,
    -- Below it something was given out that is lost.
    hole      INTEGER NOT NULL,
    UNIQUE (namespace, room)
);
CREATE TABLE events (
    room    INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    epoch   TEXT NOT NULL,
    time    INTEGER NOT NULL, -- ms since 1970
    sender  TEXT NOT NULL,
    message TEXT NOT NULL,    -- JSON, as it came
    PRIMARY KEY (room, number)
) WITHOUT ROWID;
CREATE TABLE retained (
    room   INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
    key    TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (room, key)
) WITHOUT ROWID;
CREATE TABLE plays (
    id      INTEGER PRIMARY KEY,
    item    TEXT NOT NULL,    -- the feed's id of it, or empty
    started INTEGER NOT NULL, -- ms since 1970
    type    TEXT NOT NULL,
    title   TEXT NOT NULL,
    artist  TEXT NOT NULL,
    album   TEXT NOT NULL,
    length  REAL NOT NULL     -- ms, 0 where unknown
);
CREATE INDEX plays_by_start ON plays (started);
