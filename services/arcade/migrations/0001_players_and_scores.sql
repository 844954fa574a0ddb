-- A player is known by the From of its messages; the name is only what others see.
CREATE TABLE players (
    id            text PRIMARY KEY,
    name          text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- At most one open round per player.
CREATE TABLE rounds (
    player_id text PRIMARY KEY REFERENCES players (id),
    secret    integer NOT NULL,
    guesses   integer NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL DEFAULT now()
);

-- The id gives the order of submission, which decides between equal scores.
CREATE TABLE scores (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    player_id    text NOT NULL REFERENCES players (id),
    points       bigint NOT NULL,
    submitted_at timestamptz NOT NULL DEFAULT now()
);
