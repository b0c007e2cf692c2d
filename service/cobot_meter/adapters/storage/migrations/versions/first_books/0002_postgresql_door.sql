-- The statements of revision 0002, one after each line of dashes. The codes of its errors:
-- CM001 a row has moved on, CM002 the books would be wrong, CM003 a guard refuses.

-- ------------------------------------------------------------------------------------------
-- Legs of operator accounts: only added, and rolled up later, so that no account is a hot row.
CREATE TABLE operator_leg (
  code TEXT COLLATE "C" NOT NULL, commodity TEXT NOT NULL, nature TEXT NOT NULL,
  debits_posted BIGINT NOT NULL, credits_posted BIGINT NOT NULL,
  debits_pending BIGINT NOT NULL, credits_pending BIGINT NOT NULL
)

-- ------------------------------------------------------------------------------------------
-- Sequences have gaps and are given before they are committed; this counts what is there.
CREATE TABLE journal_leg (entries BIGINT NOT NULL)

-- ------------------------------------------------------------------------------------------
CREATE VIEW journal_mark AS SELECT (
  coalesce((SELECT entries FROM tally WHERE name = 'journal'), 0)
  + coalesce((SELECT sum(entries) FROM journal_leg), 0)
)::BIGINT AS sequence

-- ------------------------------------------------------------------------------------------
-- Accounts as they stand, with what is not rolled up yet.
CREATE VIEW account_now AS
SELECT code, commodity, nature, exact, debits_posted, credits_posted, debits_pending,
  credits_pending
FROM account WHERE exact = 1
UNION ALL
SELECT code, min(commodity), min(nature), 0, sum(debits_posted)::BIGINT,
  sum(credits_posted)::BIGINT, sum(debits_pending)::BIGINT, sum(credits_pending)::BIGINT
FROM (
  SELECT code, commodity, nature, debits_posted, credits_posted, debits_pending, credits_pending
  FROM account WHERE exact = 0
  UNION ALL SELECT * FROM operator_leg
) AS legs GROUP BY code

-- ------------------------------------------------------------------------------------------
-- A leg that is not committed yet is not seen, stays, and is rolled up the next time.
CREATE FUNCTION roll_up_legs() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE rolled BIGINT;
BEGIN
  IF NOT pg_try_advisory_xact_lock(8403) THEN RETURN 0; END IF;
  -- What is proposed for insertion must pass the checks by itself, and a sum of legs may be
  -- negative: the row is there first, empty. Legs whose row is not there yet stay.
  INSERT INTO account (code, commodity, nature, exact, debits_posted, credits_posted,
    debits_pending, credits_pending)
  SELECT code, min(commodity), min(nature), 0, 0, 0, 0, 0 FROM operator_leg GROUP BY code
  ORDER BY code ON CONFLICT (code) DO NOTHING;
  WITH gone AS (
    DELETE FROM operator_leg AS leg USING account WHERE account.code = leg.code RETURNING leg.*
  ),
  sums AS (
    SELECT code, sum(debits_posted)::BIGINT AS dp, sum(credits_posted)::BIGINT AS cp,
      sum(debits_pending)::BIGINT AS dn, sum(credits_pending)::BIGINT AS cn
    FROM gone GROUP BY code
  ),
  added AS (
    UPDATE account SET debits_posted = debits_posted + dp, credits_posted = credits_posted + cp,
      debits_pending = debits_pending + dn, credits_pending = credits_pending + cn
    FROM sums WHERE account.code = sums.code RETURNING 1
  )
  SELECT count(*) INTO rolled FROM gone;
  WITH gone AS (DELETE FROM journal_leg RETURNING entries)
  INSERT INTO tally SELECT 'journal', sum(entries) FROM gone HAVING count(*) > 0
  ON CONFLICT (name) DO UPDATE SET entries = tally.entries + excluded.entries;
  RETURN rolled;
END $$

-- ------------------------------------------------------------------------------------------
-- What `CapTerms.cap_msat` says, with Python's floor division.
CREATE FUNCTION caller_cap(terms JSONB) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE settled BIGINT; lapsed BIGINT;
BEGIN
  SELECT coalesce((SELECT debits_posted - credits_posted FROM account
    WHERE code = terms->>'settled'), 0) INTO settled;
  SELECT coalesce((SELECT debits_posted - credits_posted FROM account
    WHERE code = terms->>'lapsed'), 0) INTO lapsed;
  RETURN least((terms->>'max_msat')::BIGINT, greatest(0, (terms->>'newcomer_msat')::BIGINT
    + floor(settled::NUMERIC / (terms->>'share')::BIGINT)::BIGINT
    - (terms->>'weight')::BIGINT * lapsed));
END $$

-- ------------------------------------------------------------------------------------------
-- Every step in order; a guard stands in the statement that moves the money.
CREATE FUNCTION move_money(steps JSONB) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE step RECORD; most BIGINT; claimed BIGINT;
BEGIN
  FOR step IN SELECT * FROM jsonb_to_recordset(steps) AS s(code TEXT, dp BIGINT, cp BIGINT,
    dn BIGINT, cn BIGINT, guard TEXT, asked BIGINT, "limit" BIGINT, cap JSONB)
  LOOP
    most := CASE WHEN step.cap IS NULL THEN step."limit" ELSE caller_cap(step.cap) END;
    UPDATE account SET debits_posted = debits_posted + step.dp,
      credits_posted = credits_posted + step.cp, debits_pending = debits_pending + step.dn,
      credits_pending = credits_pending + step.cn
    WHERE code = step.code AND (step.guard IS NULL
      OR debits_posted + debits_pending - credits_posted + step.asked <= most);
    IF NOT FOUND THEN
      SELECT debits_posted + debits_pending - credits_posted INTO claimed
      FROM account WHERE code = step.code;
      IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'CM002', MESSAGE = step.code || ' was never opened';
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'CM003', MESSAGE = jsonb_build_object('guard', step.guard,
        'open', claimed, 'limit', most, 'asked', step.asked)::TEXT;
    END IF;
  END LOOP;
END $$

-- ------------------------------------------------------------------------------------------
-- A hold ends at the accounts and for the amount it was reserved with.
CREATE FUNCTION check_resolved(transfers JSONB) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE wrong TEXT;
BEGIN
  SELECT hold.hold_id INTO wrong
  FROM jsonb_to_recordset(transfers) AS hold(kind TEXT, debit TEXT, credit TEXT, hold_id TEXT,
    held BIGINT)
  -- By key, one by one: a join planned while the table was small would read all of the index.
  LEFT JOIN LATERAL (
    SELECT debit, credit, amount FROM transfer
    WHERE transfer.kind = 'pending' AND transfer.hold_id = hold.hold_id LIMIT 1
  ) AS reserved ON TRUE
  WHERE hold.kind IN ('post', 'void') AND (reserved.debit, reserved.credit, reserved.amount)
    IS DISTINCT FROM (hold.debit, hold.credit, hold.held) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'CM002', MESSAGE = wrong || ' was reserved otherwise';
  END IF;
END $$

-- ------------------------------------------------------------------------------------------
-- The row of version 1 is new, any other follows the one before it.
CREATE FUNCTION write_escrow(given JSONB, entry BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE fresh escrow := jsonb_populate_record(NULL::escrow, given);
BEGIN
  IF fresh.version = 1 THEN
    fresh.opened_sequence := entry;
    INSERT INTO escrow VALUES (fresh.*) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE escrow AS row SET
      state = fresh.state, changed_at_ms = fresh.changed_at_ms, version = fresh.version, lookups
      = fresh.lookups, lookup_at_ms = fresh.lookup_at_ms, priced_pusd = fresh.priced_pusd,
      price_msat = fresh.price_msat, credit_used_msat = fresh.credit_used_msat, budget_hold =
      fresh.budget_hold, budget_held_pusd = fresh.budget_held_pusd, attempt = fresh.attempt,
      paid_msat = fresh.paid_msat, settle_index = fresh.settle_index, settled_at_ms =
      fresh.settled_at_ms, keep_until_ms = fresh.keep_until_ms, completed_at_ms =
      fresh.completed_at_ms, inline_cost = fresh.inline_cost, finish_reason =
      fresh.finish_reason, prompt_tokens = fresh.prompt_tokens, completion_tokens =
      fresh.completion_tokens, cost_pusd = fresh.cost_pusd, cost_text = fresh.cost_text,
      cost_standing = fresh.cost_standing, payment_request = fresh.payment_request, invoice_msat
      = fresh.invoice_msat, expires_at_s = fresh.expires_at_s, failure_code =
      fresh.failure_code, failure_message = fresh.failure_message, failure_status =
      fresh.failure_status, occupies_ask = fresh.occupies_ask, due_at_ms = fresh.due_at_ms,
      generation_id = fresh.generation_id, payment_hash = fresh.payment_hash
    WHERE row.escrow_id = fresh.escrow_id AND row.version = fresh.version - 1;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'CM001', MESSAGE = fresh.escrow_id;
  END IF;
END $$

-- ------------------------------------------------------------------------------------------
-- Bodies, cursor, the operator's word, the node, and what is counted.
CREATE FUNCTION write_rest(given JSONB, blobs BYTEA[]) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  kept JSONB := given->'bodies'; subject TEXT := given->>'subject_id';
  new_request BYTEA := blobs[(kept->>'request')::INT];
  new_completion BYTEA := blobs[(kept->>'completion')::INT];
BEGIN
  IF (given->>'shred')::BOOLEAN THEN
    DELETE FROM body WHERE escrow_id = subject;
  ELSIF kept IS NOT NULL THEN
    IF kept->>'wrapped_key' IS NOT NULL THEN
      INSERT INTO body AS old VALUES (subject, blobs[(kept->>'wrapped_key')::INT],
        new_request, new_completion)
      ON CONFLICT (escrow_id) DO UPDATE SET wrapped_key = excluded.wrapped_key,
        request = coalesce(excluded.request, old.request),
        completion = coalesce(excluded.completion, old.completion);
    END IF;
    IF kept->>'wrapped_key' IS NULL OR (kept->>'drop_request')::BOOLEAN THEN
      UPDATE body SET request = CASE WHEN (kept->>'drop_request')::BOOLEAN THEN NULL
          ELSE coalesce(new_request, request) END,
        completion = coalesce(new_completion, completion)
      WHERE escrow_id = subject;
    END IF;
  END IF;
  INSERT INTO settle_cursor AS old SELECT node_pubkey, settle_index
    FROM jsonb_to_record(given->'cursor') AS c(node_pubkey TEXT, settle_index BIGINT)
    WHERE given->'cursor' IS NOT NULL
    ON CONFLICT (node_pubkey) DO UPDATE SET settle_index = excluded.settle_index
    WHERE excluded.settle_index > old.settle_index;
  INSERT INTO caller SELECT caller_id, blocked, cap_msat
    FROM jsonb_to_record(given->'caller') AS c(caller_id TEXT, blocked INT, cap_msat BIGINT)
    WHERE given->'caller' IS NOT NULL
    ON CONFLICT (caller_id) DO UPDATE SET blocked = excluded.blocked, cap_msat = excluded.cap_msat;
  IF given->'node' IS NOT NULL THEN
    INSERT INTO node_adoption SELECT number, pubkey, network, alias
      FROM jsonb_to_record(given->'node')
      AS n(number BIGINT, pubkey TEXT, network TEXT, alias TEXT);
  END IF;
  INSERT INTO tally SELECT given->>'tally', 1 WHERE given->>'tally' IS NOT NULL
    ON CONFLICT (name) DO UPDATE SET entries = tally.entries + 1;
END $$

-- ------------------------------------------------------------------------------------------
-- One transition; false when the journal has it already.
CREATE FUNCTION write_transition(given JSONB, blobs BYTEA[]) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE entry BIGINT; topup_row topup;
BEGIN
  INSERT INTO journal (key, kind, subject_id, caller_id, at_ms, facts) VALUES (given->>'key',
    given->>'kind', given->>'subject_id', given->>'caller_id', (given->>'at_ms')::BIGINT,
    given->>'facts') ON CONFLICT (key) DO NOTHING RETURNING sequence INTO entry;
  IF entry IS NULL THEN RETURN FALSE; END IF;
  IF given->'escrow' IS NOT NULL THEN PERFORM write_escrow(given->'escrow', entry); END IF;
  IF given->'topup' IS NOT NULL THEN
    topup_row := jsonb_populate_record(NULL::topup, given->'topup');
    IF topup_row.version = 1 THEN
      topup_row.opened_sequence := entry;
      INSERT INTO topup VALUES (topup_row.*) ON CONFLICT DO NOTHING;
    ELSE
      UPDATE topup AS row SET state = topup_row.state, version = topup_row.version,
        attempt = topup_row.attempt, payment_hash = topup_row.payment_hash,
        payment_request = topup_row.payment_request, expires_at_s = topup_row.expires_at_s,
        paid_msat = topup_row.paid_msat, settle_index = topup_row.settle_index
      WHERE row.topup_id = topup_row.topup_id AND row.version = topup_row.version - 1;
    END IF;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'CM001', MESSAGE = topup_row.topup_id;
    END IF;
  END IF;
  INSERT INTO account SELECT code, commodity, nature, exact, 0, 0, 0, 0
    FROM jsonb_to_recordset(given->'accounts') AS a(code TEXT, commodity TEXT, nature TEXT,
    exact INT) ORDER BY code ON CONFLICT (code) DO NOTHING;
  IF jsonb_array_length(given->'transfers') > 0 THEN
    PERFORM check_resolved(given->'transfers');
    INSERT INTO transfer SELECT entry, line, kind, debit, credit, commodity, amount, hold_id, held
      FROM jsonb_to_recordset(given->'transfers') AS t(line INT, kind TEXT, debit TEXT, credit TEXT,
      commodity TEXT, amount BIGINT, hold_id TEXT, held BIGINT);
    PERFORM move_money(given->'steps');
    INSERT INTO operator_leg SELECT * FROM jsonb_to_recordset(given->'legs') AS l(code TEXT,
      commodity TEXT, nature TEXT, dp BIGINT, cp BIGINT, dn BIGINT, cn BIGINT);
  END IF;
  PERFORM write_rest(given, blobs);
  RETURN TRUE;
END $$

-- ------------------------------------------------------------------------------------------
-- A batch. Account rows are locked in the order of their codes over all of it, those that are
-- still to be made by a lock of their name, so that no two batches wait for each other. Each
-- transition is a subtransaction, so that one refusal spoils no neighbour.
-- Plans are kept, and those made while tables are small would walk them when they are long.
CREATE FUNCTION apply_transitions(batch JSONB, blobs BYTEA[]) RETURNS JSONB LANGUAGE plpgsql
SET enable_seqscan TO off AS $$
DECLARE
  added BIGINT := 0;
  codes TEXT[] := ARRAY(SELECT DISTINCT jsonb_array_elements_text(t->'locks')
    FROM jsonb_array_elements(batch) AS t);
  given JSONB; outcome JSONB; outcomes JSONB := '[]'; missing BIGINT;
BEGIN
  FOR missing IN SELECT DISTINCT hashtextextended(wanted.code, 8402)
    FROM unnest(codes) AS wanted(code)
    WHERE NOT EXISTS (SELECT 1 FROM account WHERE account.code = wanted.code) ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(missing);
  END LOOP;
  PERFORM 1 FROM account WHERE code = ANY (codes) ORDER BY code FOR NO KEY UPDATE;
  FOR given IN SELECT * FROM jsonb_array_elements(batch) LOOP
    BEGIN
      outcome := jsonb_build_object('new', write_transition(given, blobs));
      IF (outcome->>'new')::BOOLEAN THEN added := added + 1; END IF;
    EXCEPTION
      WHEN SQLSTATE 'CM001' OR SQLSTATE 'CM002' OR SQLSTATE 'CM003'
        OR integrity_constraint_violation OR data_exception THEN
        outcome := jsonb_build_object('refused', SQLSTATE, 'says', SQLERRM);
    END;
    outcomes := outcomes || outcome;
  END LOOP;
  IF added > 0 THEN INSERT INTO journal_leg VALUES (added); END IF;
  RETURN outcomes;
END $$
