"""Heavy work asked over REST that needs raw topics: the runner, and one file a kind of job."""
