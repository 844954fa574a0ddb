-- A new column may be null and nothing is renamed: a release that knows only 0001 keeps working.
ALTER TABLE scores ADD COLUMN guesses integer;

-- The leaderboard reads each player's best score first.
CREATE INDEX scores_best_of_player ON scores (player_id, points DESC, id);
