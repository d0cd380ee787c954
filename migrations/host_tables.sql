-- A minimal copy of the VLVT tables that this backend reads, as they stand in the app's own database.
-- Made by local/, by tests, and in a cluster of our own (DATABASE_HOST_TABLES=create); else the main app has made them.
CREATE TABLE IF NOT EXISTS users (
    id                     VARCHAR(255) PRIMARY KEY,
    provider               VARCHAR(50) NOT NULL,
    email                  VARCHAR(255),
    id_verified            BOOLEAN NOT NULL DEFAULT FALSE,
    after_hours_consent    BOOLEAN NOT NULL DEFAULT FALSE,
    after_hours_consent_at TIMESTAMPTZ,
    created_at             TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS profiles (
    user_id           VARCHAR(255) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    name              VARCHAR(255),
    age               INTEGER,
    bio               TEXT,
    gender            VARCHAR(50),
    sexual_preference VARCHAR(50)
);

CREATE TABLE IF NOT EXISTS user_subscriptions (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    VARCHAR(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    is_active  BOOLEAN NOT NULL DEFAULT FALSE,
    expires_at TIMESTAMPTZ -- NULL: for life
);
CREATE INDEX IF NOT EXISTS idx_user_subscriptions_user_id ON user_subscriptions (user_id);

-- Perceptual hashes (npm's sharp-phash) of photos that the main app's moderators have banned.
CREATE TABLE IF NOT EXISTS banned_photo_hashes (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    photo_hash VARCHAR(16) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- PostgreSQL lets every role make temporary tables and large objects, which none needs here. The right to make large
-- objects is a superuser's to take: where another role runs this, as in Aurora, PostgreSQL warns and goes on.
DO $$ BEGIN EXECUTE 'REVOKE TEMPORARY ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC'; END $$;
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
