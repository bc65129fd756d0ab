import { SEARCH_STATEMENTS } from './repository-search.ts';

/**
 * The schema of the metadata database: entry n migrates `user_version` n to n + 1. The statements of a released entry never
 * change; a new entry is added.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- The manifest a tag pointed to when an upstream last reported it.
  CREATE TABLE tags (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    checked_at INTEGER NOT NULL,  -- milliseconds since the epoch, as every time here
    upstream TEXT NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    PRIMARY KEY (registry, repository, tag)
  ) STRICT, WITHOUT ROWID;

  -- The digests of each repository. Bytes are stored once; permission to read them is per repository.
  CREATE TABLE members (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('manifest', 'blob')),
    media_type TEXT NOT NULL,
    size INTEGER,  -- NULL: only an upstream confirmed it
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    PRIMARY KEY (registry, repository, digest)
  ) STRICT, WITHOUT ROWID;

  -- The blobs in the store, for eviction and the totals.
  CREATE TABLE blobs (
    digest TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('mirrored', 'hosted')),
    stored_at INTEGER NOT NULL,
    read_at INTEGER NOT NULL  -- stored_at, until the first read
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX blobs_by_last_read ON blobs (read_at) WHERE kind = 'mirrored';

  -- Totals are updated with each row: summing a million rows takes a second, and the limit is checked often.
  CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    blobs INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO totals VALUES (1, 0, 0);

  CREATE TRIGGER blobs_inserted AFTER INSERT ON blobs BEGIN
    UPDATE totals SET blobs = blobs + 1, bytes = bytes + new.size;
  END;
  CREATE TRIGGER blobs_resized AFTER UPDATE OF size ON blobs BEGIN
    UPDATE totals SET bytes = bytes + new.size - old.size;
  END;
  CREATE TRIGGER blobs_deleted AFTER DELETE ON blobs BEGIN
    UPDATE totals SET blobs = blobs - 1, bytes = bytes - old.size;
  END;
  `,
  `
  -- When the content was last verified; NULL: not since it was stored, or since this column exists.
  ALTER TABLE blobs ADD COLUMN verified_at INTEGER;
  `,
  `
  -- 1: served but not kept, since its platform is not among those to keep.
  ALTER TABLE members ADD COLUMN transient INTEGER NOT NULL DEFAULT 0 CHECK (transient IN (0, 1));

  -- The repositories of a digest: looked up before a blob is purged.
  CREATE INDEX members_by_digest ON members (digest);
  `,
  `
  -- Cached responses by URL, without their bodies.
  CREATE TABLE urls (
    route TEXT NOT NULL,
    url TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    headers TEXT NOT NULL,  -- a JSON object
    checked_at INTEGER NOT NULL,
    fresh_until INTEGER NOT NULL,  -- 0: revalidated each time
    PRIMARY KEY (route, url)
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX urls_by_digest ON urls (digest, checked_at);

  -- A record is useless without its body, and nothing else would delete it.
  CREATE TRIGGER blobs_deleted_from_urls AFTER DELETE ON blobs BEGIN
    DELETE FROM urls WHERE digest = old.digest;
  END;
  `,
  `
  -- When it was last noted, in seconds since the epoch; 0: before this column existed.
  ALTER TABLE members ADD COLUMN noted_at INTEGER NOT NULL DEFAULT 0;

  -- What the disk holds for the blobs, in blocks of 4 KiB, and about what the rows of tags and members take, their index included.
  ALTER TABLE totals ADD COLUMN allocated INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE totals ADD COLUMN row_bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE totals SET
    allocated = (SELECT coalesce(sum((size + 4095) / 4096 * 4096), 0) FROM blobs),
    row_bytes =
      (SELECT coalesce(sum(2 * (length(registry) + length(repository) + 71) + length(media_type) + 60), 0) FROM members)
      + (SELECT coalesce(sum(length(registry) + length(repository) + length(tag) + length(media_type) + 160), 0) FROM tags);

  CREATE TRIGGER blobs_inserted_allocated AFTER INSERT ON blobs BEGIN
    UPDATE totals SET allocated = allocated + (new.size + 4095) / 4096 * 4096;
  END;
  CREATE TRIGGER blobs_resized_allocated AFTER UPDATE OF size ON blobs BEGIN
    UPDATE totals SET allocated = allocated + (new.size + 4095) / 4096 * 4096 - (old.size + 4095) / 4096 * 4096;
  END;
  CREATE TRIGGER blobs_deleted_allocated AFTER DELETE ON blobs BEGIN
    UPDATE totals SET allocated = allocated - (old.size + 4095) / 4096 * 4096;
  END;
  CREATE TRIGGER members_inserted AFTER INSERT ON members BEGIN
    UPDATE totals SET row_bytes = row_bytes
      + 2 * (length(new.registry) + length(new.repository) + 71) + length(new.media_type) + 60;
  END;
  CREATE TRIGGER members_retyped AFTER UPDATE OF media_type ON members WHEN new.media_type <> old.media_type BEGIN
    UPDATE totals SET row_bytes = row_bytes + length(new.media_type) - length(old.media_type);
  END;
  CREATE TRIGGER members_deleted AFTER DELETE ON members BEGIN
    UPDATE totals SET row_bytes = row_bytes
      - 2 * (length(old.registry) + length(old.repository) + 71) - length(old.media_type) - 60;
  END;
  CREATE TRIGGER tags_inserted AFTER INSERT ON tags BEGIN
    UPDATE totals SET row_bytes = row_bytes
      + length(new.registry) + length(new.repository) + length(new.tag) + length(new.media_type) + 160;
  END;
  CREATE TRIGGER tags_retyped AFTER UPDATE OF media_type ON tags WHEN new.media_type <> old.media_type BEGIN
    UPDATE totals SET row_bytes = row_bytes + length(new.media_type) - length(old.media_type);
  END;
  CREATE TRIGGER tags_deleted AFTER DELETE ON tags BEGIN
    UPDATE totals SET row_bytes = row_bytes
      - length(old.registry) - length(old.repository) - length(old.tag) - length(old.media_type) - 160;
  END;
  `,
  `
  -- row_bytes covers the rows of URLs too.
  UPDATE totals SET row_bytes = row_bytes
    + (SELECT coalesce(sum(2 * (length(route) + length(url)) + length(headers) + 220), 0) FROM urls);

  CREATE TRIGGER urls_inserted AFTER INSERT ON urls BEGIN
    UPDATE totals SET row_bytes = row_bytes
      + 2 * (length(new.route) + length(new.url)) + length(new.headers) + 220;
  END;
  CREATE TRIGGER urls_changed AFTER UPDATE OF headers ON urls WHEN length(new.headers) <> length(old.headers) BEGIN
    UPDATE totals SET row_bytes = row_bytes + length(new.headers) - length(old.headers);
  END;
  CREATE TRIGGER urls_deleted AFTER DELETE ON urls BEGIN
    UPDATE totals SET row_bytes = row_bytes
      - 2 * (length(old.route) + length(old.url)) - length(old.headers) - 220;
  END;
  `,
  `
  -- The repositories that every client may see, and when their upstreams last said so to a request without a credential.
  CREATE TABLE public_repositories (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    checked_at INTEGER NOT NULL,
    upstreams TEXT NOT NULL,  -- their URLs: what they said holds for no others
    PRIMARY KEY (registry, repository)
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER public_repositories_inserted AFTER INSERT ON public_repositories BEGIN
    UPDATE totals SET row_bytes = row_bytes + length(new.registry) + length(new.repository) + 80;
  END;
  CREATE TRIGGER public_repositories_deleted AFTER DELETE ON public_repositories BEGIN
    UPDATE totals SET row_bytes = row_bytes - length(old.registry) - length(old.repository) - 80;
  END;
  -- What was fetched with a credential; looked up before a public repository shows a digest.
  CREATE INDEX members_private ON members (digest) WHERE visibility = 'private';

  -- It goes with the last digest of its repository.
  CREATE TRIGGER members_deleted_from_public AFTER DELETE ON members
  WHEN NOT EXISTS (SELECT 1 FROM members WHERE registry = old.registry AND repository = old.repository) BEGIN
    DELETE FROM public_repositories WHERE registry = old.registry AND repository = old.repository;
  END;
  `,
  `
  -- Where each tag pointed, in the order in which this server saw it move. The move with the highest number is where it points.
  CREATE TABLE tag_moves (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    upstream TEXT NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    PRIMARY KEY (registry, repository, tag, number)
  ) STRICT, WITHOUT ROWID;

  -- Tags that an operator keeps at a digest, whatever their upstreams say.
  CREATE TABLE tag_holds (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    upstream TEXT NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    held_at INTEGER NOT NULL,
    until INTEGER,  -- NULL: until it is released
    reason TEXT NOT NULL,
    PRIMARY KEY (registry, repository, tag)
  ) STRICT, WITHOUT ROWID;

  -- row_bytes covers the moves too. The holds are few: their number is limited.
  CREATE TRIGGER tag_moves_inserted AFTER INSERT ON tag_moves BEGIN
    UPDATE totals SET row_bytes = row_bytes + length(new.registry) + length(new.repository) + length(new.tag)
      + length(new.media_type) + length(new.upstream) + 120;
  END;
  CREATE TRIGGER tag_moves_deleted AFTER DELETE ON tag_moves BEGIN
    UPDATE totals SET row_bytes = row_bytes - length(old.registry) - length(old.repository) - length(old.tag)
      - length(old.media_type) - length(old.upstream) - 120;
  END;
  CREATE TRIGGER tags_deleted_from_moves AFTER DELETE ON tags BEGIN
    DELETE FROM tag_moves WHERE registry = old.registry AND repository = old.repository AND tag = old.tag;
  END;
  INSERT INTO tag_moves
    SELECT registry, repository, tag, 1, digest, media_type, size, checked_at, upstream, visibility FROM tags;
  `,
  `
  -- The repositories that have members, kept by triggers: a search reads their names, and not their members.
  CREATE TABLE repositories (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    PRIMARY KEY (registry, repository)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO repositories SELECT DISTINCT registry, repository FROM members;
  UPDATE totals SET row_bytes = row_bytes
    + (SELECT coalesce(sum(length(registry) + length(repository) + 20), 0) FROM repositories);

  CREATE TRIGGER members_inserted_into_repositories AFTER INSERT ON members
  WHEN NOT EXISTS (SELECT 1 FROM repositories WHERE registry = new.registry AND repository = new.repository) BEGIN
    INSERT INTO repositories (registry, repository) VALUES (new.registry, new.repository);
  END;
  CREATE TRIGGER members_deleted_from_repositories AFTER DELETE ON members
  WHEN NOT EXISTS (SELECT 1 FROM members WHERE registry = old.registry AND repository = old.repository) BEGIN
    DELETE FROM repositories WHERE registry = old.registry AND repository = old.repository;
  END;
  -- row_bytes covers the repositories too. The pins are few: their number is limited.
  CREATE TRIGGER repositories_inserted AFTER INSERT ON repositories BEGIN
    UPDATE totals SET row_bytes = row_bytes + length(new.registry) + length(new.repository) + 20;
  END;
  CREATE TRIGGER repositories_deleted AFTER DELETE ON repositories BEGIN
    UPDATE totals SET row_bytes = row_bytes - length(old.registry) - length(old.repository) - 20;
  END;

  -- Tags whose images an operator wants kept: they are not evicted.
  CREATE TABLE tag_pins (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    pinned_at INTEGER NOT NULL,
    PRIMARY KEY (registry, repository, tag)
  ) STRICT, WITHOUT ROWID;
  `,
];

/**
 * Every statement of the store. An addition or replacement is always an upsert and never `REPLACE`, whose deletions run no
 * triggers.
 */
export const STATEMENTS = {
  ...SEARCH_STATEMENTS,
  getTag: `SELECT digest, media_type, size, checked_at, upstream, visibility FROM tags
    WHERE registry = ? AND repository = ? AND tag = ?`,
  putTag: `INSERT INTO tags (registry, repository, tag, digest, media_type, size, checked_at, upstream, visibility)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type, size = excluded.size,
      checked_at = excluded.checked_at, upstream = excluded.upstream, visibility = excluded.visibility`,
  deleteTag: 'DELETE FROM tags WHERE registry = ? AND repository = ? AND tag = ?',
  listTags: `SELECT registry, repository, tag, digest, media_type, size, checked_at, upstream, visibility FROM tags
    WHERE (registry, repository, tag) > (?, ?, ?) ORDER BY registry, repository, tag LIMIT ?`,
  listTagsOf: `SELECT registry, repository, tag, digest, media_type, size, checked_at, upstream, visibility FROM tags
    WHERE registry = ? AND repository = ? AND tag > ? ORDER BY tag LIMIT ?`,
  lastMove: `SELECT number, digest FROM tag_moves WHERE registry = ? AND repository = ? AND tag = ?
    ORDER BY number DESC LIMIT 1`,
  putMove: `INSERT INTO tag_moves (registry, repository, tag, number, digest, media_type, size, seen_at, upstream, visibility)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  trimMoves: 'DELETE FROM tag_moves WHERE registry = ? AND repository = ? AND tag = ? AND number <= ?',
  listMoves: `SELECT digest, media_type, size, seen_at, upstream, visibility FROM tag_moves
    WHERE registry = ? AND repository = ? AND tag = ? ORDER BY number DESC`,
  getHold: 'SELECT digest FROM tag_holds WHERE registry = ? AND repository = ? AND tag = ?',
  countHolds: 'SELECT count(*) AS holds FROM tag_holds',
  putHold: `INSERT INTO tag_holds
      (registry, repository, tag, digest, media_type, size, upstream, visibility, held_at, until, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type, size = excluded.size,
      upstream = excluded.upstream, visibility = excluded.visibility, held_at = excluded.held_at, until = excluded.until,
      reason = excluded.reason`,
  deleteHold: 'DELETE FROM tag_holds WHERE registry = ? AND repository = ? AND tag = ?',
  listHolds: `SELECT registry, repository, tag, digest, media_type, size, upstream, visibility, held_at, until, reason
    FROM tag_holds ORDER BY registry, repository, tag`,
  getPin: 'SELECT pinned_at FROM tag_pins WHERE registry = ? AND repository = ? AND tag = ?',
  countPins: 'SELECT count(*) AS pins FROM tag_pins',
  putPin: `INSERT INTO tag_pins (registry, repository, tag, pinned_at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET pinned_at = excluded.pinned_at`,
  deletePin: 'DELETE FROM tag_pins WHERE registry = ? AND repository = ? AND tag = ?',
  listPins: 'SELECT registry, repository, tag, pinned_at FROM tag_pins ORDER BY registry, repository, tag',
  countTags: `SELECT count(*) AS tags FROM (SELECT 1 FROM tags WHERE registry = ? AND repository = ? LIMIT ?)`,
  getMember: `SELECT digest, kind, media_type, size, visibility, transient FROM members
    WHERE registry = ? AND repository = ? AND digest = ?`,
  putMember: `INSERT INTO members (registry, repository, digest, kind, media_type, size, visibility, transient, noted_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, unixepoch())
    ON CONFLICT DO UPDATE SET kind = excluded.kind, media_type = excluded.media_type, size = excluded.size,
      visibility = excluded.visibility, transient = min(transient, excluded.transient), noted_at = excluded.noted_at`,
  deleteMember: 'DELETE FROM members WHERE registry = ? AND repository = ? AND digest = ?',
  listMembers: `SELECT digest, kind, media_type, size, visibility, transient FROM members
    WHERE registry = ? AND repository = ? AND digest > ? ORDER BY digest LIMIT ?`,
  listNoted: `SELECT registry, repository, digest, noted_at,
      EXISTS (SELECT 1 FROM blobs WHERE blobs.digest = members.digest) AS stored
    FROM members WHERE (registry, repository, digest) > (?, ?, ?) ORDER BY registry, repository, digest LIMIT ?`,
  listRepositories: `SELECT registry, repository FROM repositories WHERE (registry, repository) > (?, ?)
    ORDER BY registry, repository LIMIT ?`,
  repositoriesOf: 'SELECT registry, repository FROM members WHERE digest = ? LIMIT ?',
  getUrl: 'SELECT digest, size, headers, checked_at, fresh_until FROM urls WHERE route = ? AND url = ?',
  putUrl: `INSERT INTO urls (route, url, digest, size, headers, checked_at, fresh_until) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET digest = excluded.digest, size = excluded.size, headers = excluded.headers,
      checked_at = excluded.checked_at, fresh_until = excluded.fresh_until`,
  trimUrls: `DELETE FROM urls WHERE (route, url) IN
    (SELECT route, url FROM urls WHERE digest = ? ORDER BY checked_at DESC LIMIT -1 OFFSET ?)`,
  deleteUrl: 'DELETE FROM urls WHERE route = ? AND url = ?',
  listUrls: `SELECT route, url, digest, size, headers, checked_at, fresh_until FROM urls
    WHERE (route, url) > (?, ?) ORDER BY route, url LIMIT ?`,
  listUrlsOf: `SELECT route, url, digest, size, headers, checked_at, fresh_until FROM urls
    WHERE route = ? AND url > ? ORDER BY url LIMIT ?`,
  urlsOf: 'SELECT route, url FROM urls WHERE digest = ? LIMIT ?',
  getBlob: 'SELECT digest, size, kind, stored_at, verified_at FROM blobs WHERE digest = ?',
  listBlobs: `SELECT digest, size, kind, stored_at, verified_at FROM blobs WHERE digest > ?
    ORDER BY digest LIMIT ?`,
  putBlob: `INSERT INTO blobs (digest, size, kind, stored_at, read_at, verified_at) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
    ON CONFLICT DO UPDATE SET size = excluded.size, stored_at = excluded.stored_at, read_at = excluded.read_at,
      verified_at = excluded.verified_at,
      kind = CASE kind WHEN 'hosted' THEN kind ELSE excluded.kind END`,
  deleteBlob: 'DELETE FROM blobs WHERE digest = ?',
  noteVerified: 'UPDATE blobs SET verified_at = ?2 WHERE digest = ?1',
  touchBlob: 'UPDATE blobs SET read_at = ?2 WHERE digest = ?1',
  leastRecentlyUsed: `SELECT digest, size, kind, stored_at, verified_at, read_at FROM blobs
    WHERE kind = 'mirrored' AND (read_at, digest) > (?, ?) ORDER BY read_at, digest LIMIT ?`,
  getPublic: 'SELECT checked_at, upstreams FROM public_repositories WHERE registry = ? AND repository = ?',
  putPublic: `INSERT INTO public_repositories (registry, repository, checked_at, upstreams)
    SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM members WHERE registry = ?1 AND repository = ?2)
    ON CONFLICT DO UPDATE SET checked_at = excluded.checked_at, upstreams = excluded.upstreams`,
  isPrivateElsewhere: `SELECT 1 FROM members WHERE digest = ?1 AND visibility = 'private'
    AND NOT (registry = ?2 AND repository = ?3)
    AND NOT EXISTS (SELECT 1 FROM public_repositories AS public
      WHERE public.registry = members.registry AND public.repository = members.repository) LIMIT 1`,
  deletePublic: 'DELETE FROM public_repositories WHERE registry = ? AND repository = ?',
  totals: 'SELECT blobs, bytes, allocated, row_bytes FROM totals WHERE id = 1',
} as const;
