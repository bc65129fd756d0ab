import { SEARCH_STATEMENTS } from '../metadata/index.ts';

/**
 * The schema of the records of hosted repositories: entry n migrates `user_version` n to n + 1. The statements of a released entry
 * never change; a new entry is added.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE repositories (
    id INTEGER NOT NULL PRIMARY KEY,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    digests INTEGER NOT NULL DEFAULT 0,  -- what its blobs and manifests are, each digest once; kept by triggers
    bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (registry, repository)
  ) STRICT;

  -- Every digest that a repository has, kept by triggers.
  CREATE TABLE digests (
    digest TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    holders INTEGER NOT NULL  -- repositories
  ) STRICT, WITHOUT ROWID;

  -- One row, kept by triggers.
  CREATE TABLE totals (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    repositories INTEGER NOT NULL,
    digests INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO totals VALUES (1, 0, 0, 0);

  CREATE TABLE blobs (
    repository INTEGER NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    used_at INTEGER NOT NULL,  -- milliseconds since the epoch, as every time here
    needs INTEGER NOT NULL DEFAULT 0,  -- manifests of the repository that name it; kept by triggers
    PRIMARY KEY (repository, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_by_digest ON blobs (digest);
  CREATE INDEX blobs_unneeded ON blobs (used_at) WHERE needs = 0;

  CREATE TABLE manifests (
    id INTEGER NOT NULL PRIMARY KEY,
    repository INTEGER NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    pushed_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    subject TEXT,
    artifact_type TEXT,
    annotations TEXT,  -- a JSON object
    needs INTEGER NOT NULL DEFAULT 0,  -- manifests that name it, tags, and 1 where its subject is there; kept by triggers
    UNIQUE (repository, digest)
  ) STRICT;
  CREATE INDEX manifests_by_digest ON manifests (digest);
  CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
  CREATE INDEX manifests_by_type ON manifests (repository, subject, artifact_type, digest) WHERE subject IS NOT NULL;
  CREATE INDEX manifests_unneeded ON manifests (repository, used_at) WHERE needs = 0;

  -- What manifests name, whether it is there or not.
  CREATE TABLE named (
    manifest INTEGER NOT NULL,
    repository INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (manifest, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX named_by_digest ON named (repository, digest);

  CREATE TABLE tags (
    repository INTEGER NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT,  -- NULL: it was deleted
    moved_at INTEGER NOT NULL,
    moves INTEGER NOT NULL,  -- the number of the latest move
    PRIMARY KEY (repository, tag)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tags_there ON tags (repository, tag) WHERE digest IS NOT NULL;
  CREATE INDEX tags_by_digest ON tags (repository, digest) WHERE digest IS NOT NULL;

  CREATE TABLE moves (
    repository INTEGER NOT NULL,
    tag TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT,  -- NULL: the tag was deleted
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (repository, tag, number)
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER repositories_inserted AFTER INSERT ON repositories BEGIN
    UPDATE totals SET repositories = repositories + 1;
  END;
  CREATE TRIGGER digests_inserted AFTER INSERT ON digests BEGIN
    UPDATE totals SET digests = digests + 1, bytes = bytes + new.size;
  END;
  CREATE TRIGGER digests_deleted AFTER DELETE ON digests BEGIN
    UPDATE totals SET digests = digests - 1, bytes = bytes - old.size;
  END;

  -- A digest that is a blob and a manifest of one repository counts once.
  CREATE TRIGGER blobs_first AFTER INSERT ON blobs
  WHEN NOT EXISTS (SELECT 1 FROM manifests WHERE repository = new.repository AND digest = new.digest) BEGIN
    UPDATE repositories SET digests = digests + 1, bytes = bytes + new.size WHERE id = new.repository;
    INSERT INTO digests (digest, size, holders) VALUES (new.digest, new.size, 1)
      ON CONFLICT (digest) DO UPDATE SET holders = holders + 1;
  END;
  CREATE TRIGGER blobs_last AFTER DELETE ON blobs
  WHEN NOT EXISTS (SELECT 1 FROM manifests WHERE repository = old.repository AND digest = old.digest) BEGIN
    UPDATE repositories SET digests = digests - 1, bytes = bytes - old.size WHERE id = old.repository;
    UPDATE digests SET holders = holders - 1 WHERE digest = old.digest;
    DELETE FROM digests WHERE digest = old.digest AND holders = 0;
  END;
  CREATE TRIGGER manifests_first AFTER INSERT ON manifests
  WHEN NOT EXISTS (SELECT 1 FROM blobs WHERE repository = new.repository AND digest = new.digest) BEGIN
    UPDATE repositories SET digests = digests + 1, bytes = bytes + new.size WHERE id = new.repository;
    INSERT INTO digests (digest, size, holders) VALUES (new.digest, new.size, 1)
      ON CONFLICT (digest) DO UPDATE SET holders = holders + 1;
  END;
  CREATE TRIGGER manifests_last AFTER DELETE ON manifests
  WHEN NOT EXISTS (SELECT 1 FROM blobs WHERE repository = old.repository AND digest = old.digest) BEGIN
    UPDATE repositories SET digests = digests - 1, bytes = bytes - old.size WHERE id = old.repository;
    UPDATE digests SET holders = holders - 1 WHERE digest = old.digest;
    DELETE FROM digests WHERE digest = old.digest AND holders = 0;
  END;

  -- What keeps a blob or a manifest, counted where it is, so that the collection finds what nothing keeps by an index.
  CREATE TRIGGER blobs_inserted AFTER INSERT ON blobs BEGIN
    UPDATE blobs SET needs = (SELECT count(*) FROM named WHERE repository = new.repository AND digest = new.digest)
      WHERE repository = new.repository AND digest = new.digest;
  END;
  CREATE TRIGGER manifests_inserted AFTER INSERT ON manifests BEGIN
    UPDATE manifests SET needs =
        (SELECT count(*) FROM named WHERE repository = new.repository AND digest = new.digest)
        + (SELECT count(*) FROM tags WHERE repository = new.repository AND digest = new.digest)
        + EXISTS (SELECT 1 FROM manifests WHERE repository = new.repository AND digest = new.subject)
      WHERE id = new.id;
    UPDATE manifests SET needs = needs + 1
      WHERE repository = new.repository AND subject = new.digest AND id <> new.id;
  END;
  CREATE TRIGGER manifests_deleted AFTER DELETE ON manifests BEGIN
    UPDATE manifests SET needs = needs - 1 WHERE repository = old.repository AND subject = old.digest;
    DELETE FROM named WHERE manifest = old.id;
  END;
  CREATE TRIGGER named_inserted AFTER INSERT ON named BEGIN
    UPDATE blobs SET needs = needs + 1 WHERE repository = new.repository AND digest = new.digest;
    UPDATE manifests SET needs = needs + 1 WHERE repository = new.repository AND digest = new.digest;
  END;
  CREATE TRIGGER named_deleted AFTER DELETE ON named BEGIN
    UPDATE blobs SET needs = needs - 1 WHERE repository = old.repository AND digest = old.digest;
    UPDATE manifests SET needs = needs - 1 WHERE repository = old.repository AND digest = old.digest;
  END;
  CREATE TRIGGER tags_inserted AFTER INSERT ON tags BEGIN
    UPDATE manifests SET needs = needs + 1 WHERE repository = new.repository AND digest = new.digest;
  END;
  CREATE TRIGGER tags_moved AFTER UPDATE OF digest ON tags BEGIN
    -- The time without a tag begins now.
    UPDATE manifests SET needs = needs - 1, used_at = max(used_at, new.moved_at)
      WHERE repository = old.repository AND digest = old.digest;
    UPDATE manifests SET needs = needs + 1 WHERE repository = new.repository AND digest = new.digest;
  END;
  `,
];

/** The columns of a manifest. */
const MANIFEST = 'digest, media_type, size, pushed_at, subject, artifact_type, annotations';

/** The columns of a tag that is there, and of its manifest. */
const TAG = `SELECT tags.tag, tags.digest, tags.moved_at, manifests.media_type, manifests.size FROM tags
    JOIN manifests ON manifests.repository = tags.repository AND manifests.digest = tags.digest`;

/** Every statement of the store. An addition is never a `REPLACE`, whose deletions run no triggers. */
export const STATEMENTS = {
  ...SEARCH_STATEMENTS,
  findRepository: 'SELECT id, digests, bytes FROM repositories WHERE registry = ? AND repository = ?',
  addRepository: 'INSERT INTO repositories (registry, repository) VALUES (?, ?)',
  nameOfRepository: 'SELECT registry, repository FROM repositories WHERE id = ?',
  listRepositories: `SELECT registry, repository FROM repositories WHERE (registry, repository) > (?, ?)
    ORDER BY registry, repository LIMIT ?`,
  totals: 'SELECT repositories, digests, bytes FROM totals WHERE id = 1',

  getBlob: 'SELECT digest, size, used_at, needs FROM blobs WHERE repository = ? AND digest = ?',
  addBlob: 'INSERT INTO blobs (repository, digest, size, used_at) VALUES (?, ?, ?, ?)',
  useBlob: 'UPDATE blobs SET used_at = ?3 WHERE repository = ?1 AND digest = ?2 AND used_at < ?3',
  deleteBlob: 'DELETE FROM blobs WHERE repository = ? AND digest = ?',
  listBlobs: 'SELECT digest, size FROM blobs WHERE repository = ? AND digest > ? ORDER BY digest LIMIT ?',
  listHoldersOfBlob: `SELECT repositories.id, repositories.registry, repositories.repository FROM blobs
    JOIN repositories ON repositories.id = blobs.repository
    WHERE blobs.digest = ? AND blobs.repository > ? ORDER BY blobs.repository LIMIT ?`,

  findManifest: 'SELECT id, pushed_at, used_at, needs, media_type FROM manifests WHERE repository = ? AND digest = ?',
  getManifest: `SELECT ${MANIFEST}, used_at FROM manifests WHERE repository = ? AND digest = ?`,
  listManifests: `SELECT ${MANIFEST} FROM manifests WHERE repository = ? AND digest > ? ORDER BY digest LIMIT ?`,
  addManifest: `INSERT INTO manifests (repository, ${MANIFEST}, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  useManifest: 'UPDATE manifests SET used_at = ?3 WHERE repository = ?1 AND digest = ?2 AND used_at < ?3',
  deleteManifest: 'DELETE FROM manifests WHERE repository = ? AND digest = ?',
  addNamed: 'INSERT INTO named (manifest, repository, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  // At most as many rows as manifests name the one digest.
  namedBy: `SELECT manifests.digest FROM named CROSS JOIN manifests ON manifests.id = named.manifest
    WHERE named.repository = ? AND named.digest = ? ORDER BY manifests.digest LIMIT 1`,
  listReferrers: `SELECT ${MANIFEST} FROM manifests INDEXED BY manifests_by_subject
    WHERE repository = ? AND subject = ? AND digest > ? ORDER BY digest LIMIT ?`,
  listReferrersOfType: `SELECT ${MANIFEST} FROM manifests INDEXED BY manifests_by_type
    WHERE repository = ? AND subject = ? AND digest > ? AND artifact_type = ?4 ORDER BY digest LIMIT ?5`,

  getTag: `${TAG} WHERE tags.repository = ? AND tags.tag = ?`,
  listTags: `SELECT tags.tag, tags.digest, tags.moved_at, manifests.media_type, manifests.size
    FROM tags INDEXED BY tags_there
    CROSS JOIN manifests ON manifests.repository = tags.repository AND manifests.digest = tags.digest
    WHERE tags.repository = ? AND tags.digest IS NOT NULL AND tags.tag > ? ORDER BY tags.tag LIMIT ?`,
  countTags: `SELECT count(*) AS tags FROM (
      SELECT 1 FROM tags INDEXED BY tags_there WHERE repository = ? AND digest IS NOT NULL LIMIT ?)`,
  listTagNames: 'SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?',
  findTag: 'SELECT digest, moves FROM tags WHERE repository = ? AND tag = ?',
  tagsOf: 'SELECT tag FROM tags WHERE repository = ? AND digest = ? ORDER BY tag',
  pointTag: `INSERT INTO tags (repository, tag, digest, moved_at, moves) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET digest = excluded.digest, moved_at = excluded.moved_at, moves = excluded.moves`,
  addMove: 'INSERT INTO moves (repository, tag, number, digest, at, by) VALUES (?, ?, ?, ?, ?, ?)',
  trimMoves: 'DELETE FROM moves WHERE repository = ? AND tag = ? AND number <= ?',
  listMoves: 'SELECT digest, at, by FROM moves WHERE repository = ? AND tag = ? ORDER BY number DESC',

  isReferenced: 'SELECT 1 AS found FROM digests WHERE digest = ?',
  listDigests: 'SELECT digest, size FROM digests WHERE digest > ? ORDER BY digest LIMIT ?',
  repositoriesOf: `SELECT registry, repositories.repository FROM (
      SELECT repository FROM blobs WHERE digest = ?1
      UNION ALL
      SELECT repository FROM manifests AS manifest WHERE digest = ?1
        AND NOT EXISTS (SELECT 1 FROM blobs WHERE repository = manifest.repository AND digest = ?1)
    ) AS holders CROSS JOIN repositories ON repositories.id = holders.repository LIMIT ?2`,
  unneededBlobs: `SELECT repository, digest, size FROM blobs INDEXED BY blobs_unneeded
    WHERE needs = 0 AND used_at < ? LIMIT ?`,
  unneededManifests: `SELECT digest, size FROM manifests INDEXED BY manifests_unneeded
    WHERE repository = ? AND needs = 0 AND used_at < ? LIMIT ?`,
  nextWithUnneeded: `SELECT repository FROM manifests INDEXED BY manifests_unneeded
    WHERE needs = 0 AND repository > ? ORDER BY repository LIMIT 1`,
} as const;
