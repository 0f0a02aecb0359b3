-- Every row of every table is an event in one chain: `previous` is the hash of the row before.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    event_id TEXT NOT NULL UNIQUE CHECK (length(event_id) BETWEEN 1 AND 64),
    time_ms INTEGER NOT NULL CHECK (time_ms >= 0),
    table_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL CHECK (length(subject) BETWEEN 1 AND 128),
    payload TEXT NOT NULL CHECK (length(payload) <= 32768 AND json_valid(payload)),
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    CHECK (kind = payload ->> '$.event'),
    CHECK (table_name || ' ' || kind IN (
        'swing_trades trade_opened', 'swing_trades trade_closed', 'swing_trades lesson_learned',
        'capital_movements movement_planned', 'capital_movements movement_sent',
        'capital_movements movement_confirmed', 'capital_movements movement_failed',
        'halt_events halt_started', 'halt_events halt_resolved',
        'config_changes config_changed',
        'incidents incident_opened', 'incidents incident_mitigated',
        'equity_samples equity_sampled'))
) STRICT;

CREATE INDEX events_by_subject ON events (table_name, subject, seq);

-- Which record of the log vouches for which row. A copy of the log's word, for queries.
CREATE TABLE anchors (
    log_sequence INTEGER PRIMARY KEY CHECK (log_sequence >= 0),
    seq INTEGER NOT NULL CHECK (seq > 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX anchors_by_seq ON anchors (seq, log_sequence);

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: rows are never updated'); END;

CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: rows are never deleted'); END;

-- Replacing a row deletes it without the trigger above (unless recursive_triggers is on), so what
-- is there already may not be inserted again, whatever the conflict clause says.
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq OR event_id = NEW.event_id OR hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: the row is there already'); END;

CREATE TRIGGER events_in_order BEFORE INSERT ON events
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM events)
    OR NEW.previous IS NOT coalesce((SELECT hash FROM events ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: the row does not follow the last one'); END;

CREATE TRIGGER anchors_no_update BEFORE UPDATE ON anchors
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: anchors are never updated'); END;

CREATE TRIGGER anchors_no_delete BEFORE DELETE ON anchors
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: anchors are never deleted'); END;

CREATE TRIGGER anchors_in_order BEFORE INSERT ON anchors
WHEN NEW.log_sequence <= (SELECT coalesce(max(log_sequence), -1) FROM anchors)
    OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: the anchor is old or of no row'); END;

CREATE VIEW swing_trades AS
SELECT
    opened.subject AS trade_id,
    opened.payload ->> '$.pair' AS pair,
    opened.payload ->> '$.entry' AS entry,
    closed.payload ->> '$.exit' AS exit,
    opened.payload ->> '$.thesis' AS thesis,
    coalesce(closed.payload ->> '$.lesson', learned.payload ->> '$.lesson') AS lesson,
    opened.payload ->> '$.account' AS account,
    opened.payload ->> '$.side' AS side,
    opened.payload ->> '$.quantity' AS quantity,
    opened.time_ms AS entered_at,
    closed.time_ms AS exited_at,
    opened.seq AS seq,
    max(opened.seq, coalesce(closed.seq, 0), coalesce(learned.seq, 0)) AS last_seq
FROM events AS opened
LEFT JOIN events AS closed ON closed.table_name = 'swing_trades'
    AND closed.subject = opened.subject AND closed.kind = 'trade_closed'
LEFT JOIN events AS learned ON learned.table_name = 'swing_trades'
    AND learned.subject = opened.subject AND learned.kind = 'lesson_learned'
WHERE opened.table_name = 'swing_trades' AND opened.kind = 'trade_opened';

CREATE VIEW capital_movements AS
SELECT
    planned.payload ->> '$.direction' AS direction,
    planned.payload ->> '$.amount' AS amount,
    CASE
        WHEN settled.kind = 'movement_confirmed' THEN 'confirmed'
        WHEN settled.kind = 'movement_failed' THEN 'failed'
        WHEN sent.seq IS NOT NULL THEN 'sent'
        ELSE 'planned'
    END AS status,
    settled.payload ->> '$.confirm_txn' AS confirm_txn,
    planned.subject AS movement_id,
    planned.payload ->> '$.asset' AS asset,
    planned.payload ->> '$.source' AS source,
    planned.payload ->> '$.destination' AS destination,
    sent.payload ->> '$.reference' AS reference,
    settled.payload ->> '$.why' AS failure,
    planned.time_ms AS planned_at,
    sent.time_ms AS sent_at,
    settled.time_ms AS settled_at,
    planned.seq AS seq,
    max(planned.seq, coalesce(sent.seq, 0), coalesce(settled.seq, 0)) AS last_seq
FROM events AS planned
LEFT JOIN events AS sent ON sent.table_name = 'capital_movements'
    AND sent.subject = planned.subject AND sent.kind = 'movement_sent'
LEFT JOIN events AS settled ON settled.table_name = 'capital_movements'
    AND settled.subject = planned.subject AND settled.kind IN ('movement_confirmed', 'movement_failed')
WHERE planned.table_name = 'capital_movements' AND planned.kind = 'movement_planned';

CREATE VIEW halt_events AS
SELECT
    started.payload ->> '$.reason' AS reason,
    started.payload ->> '$.trigger_value' AS trigger_value,
    resolved.time_ms AS resolved_at,
    started.subject AS halt_id,
    started.payload ->> '$.account' AS account,
    started.payload ->> '$.rung' AS rung,
    started.time_ms AS started_at,
    resolved.payload ->> '$.by' AS resolved_by,
    resolved.payload ->> '$.why' AS resolution,
    started.seq AS seq,
    max(started.seq, coalesce(resolved.seq, 0)) AS last_seq
FROM events AS started
LEFT JOIN events AS resolved ON resolved.table_name = 'halt_events'
    AND resolved.subject = started.subject AND resolved.kind = 'halt_resolved'
WHERE started.table_name = 'halt_events' AND started.kind = 'halt_started';

CREATE VIEW config_changes AS
SELECT
    payload ->> '$.service' AS service,
    payload ->> '$.field' AS field,
    payload ->> '$.old_value' AS old_value,
    payload ->> '$.new_value' AS new_value,
    payload ->> '$.by' AS changed_by,
    time_ms AS changed_at,
    seq,
    seq AS last_seq
FROM events
WHERE table_name = 'config_changes';

CREATE VIEW incidents AS
SELECT
    opened.payload ->> '$.type' AS type,
    opened.payload ->> '$.severity' AS severity,
    mitigated.time_ms AS mitigated_at,
    opened.subject AS incident_id,
    opened.payload ->> '$.text' AS text,
    opened.time_ms AS opened_at,
    mitigated.payload ->> '$.by' AS mitigated_by,
    mitigated.payload ->> '$.how' AS mitigation,
    mitigated.payload ->> '$.approval' AS approval,
    opened.seq AS seq,
    max(opened.seq, coalesce(mitigated.seq, 0)) AS last_seq
FROM events AS opened
LEFT JOIN events AS mitigated ON mitigated.table_name = 'incidents'
    AND mitigated.subject = opened.subject AND mitigated.kind = 'incident_mitigated'
WHERE opened.table_name = 'incidents' AND opened.kind = 'incident_opened';

CREATE VIEW equity_samples AS
SELECT
    subject AS account,
    time_ms AS sampled_at,
    payload ->> '$.unit_value' AS unit_value,
    payload ->> '$.equity' AS equity,
    payload ->> '$.rung' AS rung,
    payload ->> '$.levels[0]' AS level_1,
    payload ->> '$.levels[1]' AS level_2,
    payload ->> '$.levels[2]' AS level_3,
    payload ->> '$.levels[3]' AS level_4,
    seq,
    seq AS last_seq
FROM events
WHERE table_name = 'equity_samples';
