"""Asking for dispatchers inside the database, which every callback does at its end.

Two statements must see two moments, before a session's lock and after it; from outside
that costs every callback two more round trips. The outbox brings the event to Prefect.
"""

CHANNEL = "refinery_announce"
"""Where an announcer listens; a lost notice only delays an event until its next round."""

FUNCTION = f"""
CREATE OR REPLACE FUNCTION track.ask_for_dispatchers(wanted uuid[], due timestamptz[])
RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    -- Many callbacks come at once: they share the lock of a session that has a dispatcher. One
    -- that seems to have none is locked for writing from the start, since two that share a lock
    -- and both want to write would wait for each other.
    IF EXISTS (SELECT 1 FROM track.unattended u WHERE u.id = ANY(wanted)) THEN
        PERFORM 1 FROM track.session WHERE id = ANY(wanted) ORDER BY id FOR NO KEY UPDATE;
    ELSE
        PERFORM 1 FROM track.session WHERE id = ANY(wanted) ORDER BY id FOR SHARE;
    END IF;
    -- Leases are read only now: whoever parks writes the session's row when it gives up its own.
    -- What may run later only is noted: the clock asks when it is due.
    IF EXISTS (SELECT 1 FROM unnest(due) AS t(at) WHERE t.at > now()) THEN
        UPDATE track.session s SET wake_at = least(s.wake_at, w.at), finished_at = NULL
          FROM unnest(wanted, due) AS w(id, at)
         WHERE s.id = w.id AND w.at > now()
           AND EXISTS (SELECT 1 FROM track.unattended u WHERE u.id = s.id);
    END IF;
    -- Asked anew, a new event takes the place of one that was not sent. That one may be on its way
    -- at this moment and lead to nothing any more, so it is never kept instead. The announcer, who
    -- deletes what it has sent, is not waited for.
    RETURN QUERY
        WITH asked AS (
            UPDATE track.session s SET wake_requested_at = now(), finished_at = NULL
              FROM unnest(wanted, due) AS w(id, at)
             WHERE s.id = w.id AND coalesce(w.at, now()) <= now()
               AND EXISTS (SELECT 1 FROM track.unattended u WHERE u.id = s.id)
            RETURNING s.id),
        replaced AS (
            DELETE FROM track.outbox WHERE id IN (
                SELECT o.id FROM track.outbox o
                  JOIN asked a ON o.event #>> '{{payload,session}}' = a.id::text
                 WHERE o.event ->> 'event' = 'specimen.session.wake' FOR UPDATE OF o SKIP LOCKED)),
        owed AS (
            INSERT INTO track.outbox (event)
            SELECT jsonb_build_object(
                'event', 'specimen.session.wake', 'id', gen_random_uuid(),
                'resource', jsonb_build_object('prefect.resource.id', 'specimen.session.' || a.id),
                'related', jsonb_build_array(), 'payload', jsonb_build_object('session', a.id))
              FROM asked a)
        SELECT a.id FROM asked a;
    IF FOUND THEN
        PERFORM pg_notify('{CHANNEL}', '');
    END IF;
END $$
"""
"""`due`: since when each of `wanted` has something to do; null: now."""

UNATTENDED = """
CREATE OR REPLACE VIEW track.unattended AS
    SELECT s.id FROM track.session s
     WHERE s.wake_requested_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM track.dispatcher d WHERE d.session_id = s.id
           AND d.ended_at IS NULL AND d.alive_until > clock_timestamp())
"""
"""Sessions that nobody is at and nobody was asked for."""

ALL = (UNATTENDED, FUNCTION)
